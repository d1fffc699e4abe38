//! A view: a mount namespace of its own in which `/sys/fs/cgroup` is purely v1 or purely v2, and `/dev` and
//! `/proc/driver` are made.
//!
//! A process holds the namespace until the test ends; it ends by itself when this program does.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::machine::{Machine, Version};
use crate::needs;

/// Which cgroup hierarchy a view shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cgroup {
    /// The device rules are those of the v1 `devices` controller.
    V1,
    /// The device rules are programs on cgroup2.
    V2,
    /// The same, and systemd is init and holds the cgroups for its own.
    Systemd,
    /// As `V1`, with such a systemd.
    SystemdV1,
}

impl Cgroup {
    /// Whether the device rules are those of cgroup v1.
    pub(crate) fn is_v1(self) -> bool {
        matches!(self, Self::V1 | Self::SystemdV1)
    }

    /// Whether runtimes leave it to systemd.
    pub(crate) fn is_systemds(self) -> bool {
        matches!(self, Self::Systemd | Self::SystemdV1)
    }
}

/// A held mount namespace.
pub(crate) enum View {
    /// Held by a process of this host.
    Held(Child),
    /// That of a machine of its own.
    Machine(Machine),
}

/// crun refuses a host that has both hierarchies, so each view shows one.
const ONLY_V1: &str = "
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
mountpoint -q /sys/fs/cgroup/devices || { echo 'this host does not mount the cgroup v1 devices controller'; exit 1; }
";
const ONLY_V2: &str = "umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup
";
/// A `/dev` of the view's own: crun 1.8.1 writes its standard links into whatever a rootfs's `/dev` leads to, and no
/// test may change the real one.
const OWN_DEV: &str = "
mount -t tmpfs -o mode=755 gpupol-test \"$1\"
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty \"$1\"
mkdir \"$1/pts\" \"$1/shm\" \"$1/mqueue\" && mount --bind /dev/pts \"$1/pts\" && ln -s pts/ptmx \"$1/ptmx\"
mount --move \"$1\" /dev
";
/// A second `/proc` that nothing covers: the kernel lets a user namespace mount its own only if there is one.
const MADE_PROC: &str = "
mount -t tmpfs -o mode=755 gpupol-test /proc/driver
mount -t proc proc \"$1\"
echo held
exec cat
";

impl View {
    /// Opens one; `empty` is a directory to mount on.
    pub(crate) fn hold(cgroup: Cgroup, empty: &Path) -> Self {
        let setup = match cgroup {
            Cgroup::V1 => ONLY_V1,
            Cgroup::V2 => ONLY_V2,
            Cgroup::Systemd => return Self::boot(Version::V2, empty),
            Cgroup::SystemdV1 => return Self::boot(Version::V1, empty),
        };
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg(format!("exec 2>&1; set -e; {setup}{OWN_DEV}{MADE_PROC}"))
            .arg("view")
            .arg(empty)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`unshare` of util-linux runs");
        let mut said = String::new();
        let output = holder.stdout.as_mut().expect("stdout is piped");
        BufReader::new(output).read_line(&mut said).expect("the holder speaks");
        assert_eq!(said.trim_end(), "held", "no {cgroup:?} view on this host");
        Self::Held(holder)
    }

    fn boot(version: Version, empty: &Path) -> Self {
        let site = empty.parent().expect("it lies in a site");
        Self::Machine(Machine::boot(version, empty, &[site, needs::target()]))
    }

    /// A command that runs inside.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let holder = match self {
            Self::Held(holder) => holder,
            Self::Machine(machine) => return machine.command(program),
        };
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", holder.id())).arg("--").arg(program);
        command
    }

    /// Where a path of the view is for this program.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.process()))
    }

    /// The view's mounts, as the kernel lists them.
    pub(crate) fn mounts(&self) -> String {
        let table = format!("/proc/{}/mountinfo", self.process());
        std::fs::read_to_string(table).expect("the holder is alive")
    }

    fn process(&self) -> u32 {
        match self {
            Self::Held(holder) => holder.id(),
            Self::Machine(machine) => machine.init,
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Self::Held(holder) = self {
            drop(holder.stdin.take());
            let _ = holder.wait();
        }
    }
}

/// A new directory below `/var/tmp`: on disk, passable for everybody (user namespaces), with working device nodes.
pub(crate) fn scratch(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = PathBuf::from(format!("/var/tmp/gpupol-{name}-{}-{number}", std::process::id()));
    std::fs::create_dir(&path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
    path
}
