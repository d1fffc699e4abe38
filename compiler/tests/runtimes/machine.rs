//! A machine of its own: systemd as init over an overlay of this host's files, in namespaces and a cgroup of its own.
//!
//! What systemd does to cgroups of containers only systemd shows. Another system's files can be booted instead, for what a
//! newer systemd does: `GPUPOL_TEST_TREE` names a directory that has them, with systemd, runc and crun in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::leftovers::{remove_cgroups, wait_until};
use crate::needs;

/// A machine that runs.
pub(crate) struct Machine {
    holder: Child,
    /// Its cgroup in each hierarchy that it has.
    cgroups: Vec<PathBuf>,
    /// Its init, as this host knows it.
    pub(crate) init: u32,
}

/// `$1` is a directory to mount on, `$2` what is booted, `$3` which cgroups it has; the rest are directories that it has too, at their own places.
/// Nothing that this host would start is started there: what is enabled stands below `/etc`, and is hidden.
const BOOT: &str = concat!(
    include_str!("root.sh"),
    r#"
for at in run tmp var/tmp etc/systemd/system dev; do
    mkdir -p "$root/$at"
    mount -t tmpfs -o mode=755 gpupol-test "$root/$at"
done
for unit in tmp.mount systemd-tmpfiles-setup.service systemd-tmpfiles-clean.timer systemd-modules-load.service \
    systemd-networkd.service systemd-resolved.service systemd-udevd.service systemd-udev-trigger.service \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    proc-sys-fs-binfmt_misc.automount systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket \
    systemd-journald-audit.socket systemd-journal-flush.service; do
    ln -s /dev/null "$root/etc/systemd/system/$unit"
done
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 gpupol-test "$root/proc/driver"
mount -t sysfs sysfs "$root/sys"
if [ "$version" = V2 ]; then
    mount -t cgroup2 none "$root/sys/fs/cgroup"
else
    # crun takes no host that shows it both.
    export SYSTEMD_PROC_CMDLINE="systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"
    mount -t tmpfs -o mode=755 gpupol-test "$root/sys/fs/cgroup"
    while IFS=: read -r number controllers path; do
        [ -n "$controllers" ] || continue
        at=$root/sys/fs/cgroup/${controllers#name=}
        mkdir "$at"
        case $controllers in name=*) controllers=none,$controllers ;; esac
        mount -t cgroup -o "$controllers" cgroup "$at"
    done </proc/self/cgroup
fi
umount -R /sys/fs/cgroup
mkdir -p "$root/run/dbus"
fill "$@"
hostname gpupol-test
cd "$root"
pivot_root . old
exec chroot . sh -c '
umount -l /old
export container=gpupol-test
unset LISTEN_FDS
exec /lib/systemd/systemd --system --unit=basic.target --log-target=console --show-status=no'
"#
);

/// The cgroups before `--` are entered, and what stands behind it is run.
const ENTER: &str = r#"
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit; shift; done
shift
exec "$@""#;

/// Which cgroups it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// The hierarchies of v1 that this host has, as far as systemd still knows them.
    V1,
    /// The unified one.
    V2,
}

impl Machine {
    /// Boots one that shares these directories; `empty` is a directory to mount on.
    pub(crate) fn boot(version: Version, empty: &Path, shared: &[&Path]) -> Self {
        let cgroups = cgroups_of(version, empty);
        cgroups.iter().for_each(|cgroup| make(cgroup));
        let tree = std::env::var("GPUPOL_TEST_TREE").unwrap_or_else(|_| "/".to_owned());
        assert!(
            Path::new(&tree).join("lib/systemd/systemd").exists(),
            "`{tree}` has no systemd: run `apt-get install systemd dbus`"
        );
        needs::program("dbus-daemon", "dbus");
        let log = File::create(empty.with_extension("log")).expect("the directory is ours");
        let mut command = Command::new("sh");
        command.args(["-c", ENTER, "enter"]).args(&cgroups).arg("--");
        command.args(["unshare", "--cgroup", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork"]);
        command.args(["--propagation", "private", "--kill-child", "sh", "-c", BOOT, "boot"]);
        command.arg(empty).arg(&tree).arg(format!("{version:?}")).args(shared);
        let streams = log.try_clone().expect("a descriptor is free");
        let holder = command.stdin(Stdio::null()).stdout(streams).stderr(log).spawn().expect("sh runs");
        let mut machine = Self { holder, cgroups, init: 0 };
        assert!(wait_until(|| machine.find_init()), "no init: {}", machine.said(empty));
        assert!(wait_until(|| machine.is_up()), "it did not start: {}", machine.said(empty));
        machine
    }

    /// A command that runs in it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        let scope = |cgroup: &PathBuf| {
            let scope = cgroup.join("init.scope");
            if scope.is_dir() { scope } else { cgroup.clone() }
        };
        command.args(["-c", ENTER, "enter"]).args(self.cgroups.iter().map(scope)).arg("--");
        command.args(["nsenter", "-m", "-u", "-i", "-n", "-p", "-C", "-t", &self.init.to_string(), "--"]);
        command.arg(program);
        command
    }

    fn find_init(&mut self) -> bool {
        let id = self.holder.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        self.init = children.trim().parse().unwrap_or_default();
        self.init != 0
    }

    fn is_up(&self) -> bool {
        let at = |path: &str| Path::new(&format!("/proc/{}/root/{path}", self.init)).exists();
        if !at("run/systemd/private") || !at("run/dbus/system_bus_socket") {
            return false;
        }
        let output = self.command(Path::new("systemctl")).arg("is-system-running").output();
        let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        // A unit that cannot run here leaves it degraded, and is none of ours.
        said.is_ok_and(|said| said == "running" || said == "degraded")
    }

    fn said(&self, empty: &Path) -> String {
        fs::read_to_string(empty.with_extension("log")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With the one that holds it its init ends, and with that everything in it.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        let name = self.cgroups.first().and_then(|cgroup| cgroup.file_name()).unwrap_or_default();
        wait_until(|| remove_cgroups(&name.to_string_lossy()));
    }
}

/// The cgroups of its own in each hierarchy of this version.
fn cgroups_of(version: Version, empty: &Path) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let unified = root.join("unified");
    let hierarchies: Vec<PathBuf> = match version {
        Version::V2 if unified.is_dir() => vec![unified],
        Version::V2 => vec![root.to_owned()],
        Version::V1 => {
            let all = fs::read_dir(root).expect("cgroups are mounted").flatten().map(|entry| entry.path());
            all.filter(|path| path.join("cgroup.procs").is_file() && *path != unified).collect()
        }
    };
    let site = empty.parent().and_then(Path::file_name).unwrap_or_default();
    let name = format!("{}-machine", site.to_string_lossy());
    hierarchies.into_iter().map(|hierarchy| hierarchy.join(&name)).collect()
}

/// In the hierarchy of `cpuset` nothing can be in a cgroup that has no processors.
fn make(cgroup: &Path) {
    fs::create_dir(cgroup).expect("cgroups are mounted, and the name is ours");
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(all) = fs::read(cgroup.with_file_name(file)) {
            fs::write(cgroup.join(file), all).expect("the cgroup is ours");
        }
    }
}
