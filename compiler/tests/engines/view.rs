//! A computer for an engine: everything that its daemons see, in namespaces of their own, and nothing of it outlives a test.
//!
//! Its files are an overlay of this host's, or of the tree that `GPUPOL_TEST_TREE` names. Its processes end with the one that
//! holds it, and that one ends when this program does.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::leftovers::{remove_cgroups, wait_until};
use crate::needs;

/// Which cgroups it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cgroup {
    /// The device rules are those of the v1 `devices` controller.
    V1,
    /// The device rules are programs on cgroup2.
    V2,
}

/// A computer that runs.
pub(crate) struct View {
    holder: Child,
    /// It has this directory too, at the same place: on disk, and gone with the computer.
    pub(crate) dir: PathBuf,
}

/// Makes it, and holds it.
const SETUP: &str = concat!(include_str!("../runtimes/root.sh"), include_str!("computer.sh"));
/// Its first process takes care of orphans, and ends with its input.
const HOLD: &str = "
echo held
trap : CHLD
while read -r _; do :; done
";
/// Where its commands are looked for: what this host has of its own in `/usr/local` is hidden.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl View {
    /// Makes one.
    pub(crate) fn new(cgroup: Cgroup) -> Self {
        needs::root();
        let dir = scratch();
        let empty = dir.join("empty");
        fs::create_dir(&empty).expect("the directory is new");
        let tree = std::env::var("GPUPOL_TEST_TREE").unwrap_or_else(|_| "/".to_owned());
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--net",
            "--uts",
            "--ipc",
            "--pid",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
        ]);
        command.args(["bash", "-c", &format!("exec 2>&1\n{SETUP}{HOLD}"), "computer"]);
        command.arg(&empty).arg(tree).arg(format!("{cgroup:?}")).args([&dir, needs::target()]);
        let mut holder =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("`unshare` runs");
        let mut said = String::new();
        let output = holder.stdout.as_mut().expect("stdout is piped");
        BufReader::new(output).read_line(&mut said).expect("the holder speaks");
        let view = Self { holder, dir };
        assert_eq!(said.trim_end(), "held", "no {cgroup:?} computer on this host");
        view
    }

    /// What cgroups of its containers are made below.
    pub(crate) fn cgroup_parent(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// A command that runs on it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let at = format!("/proc/{}/ns", self.holder.id());
        command.args(["mnt", "net", "uts", "ipc"].map(|kind| format!("--{}={at}/{kind}", option(kind))));
        command.arg(format!("--pid={at}/pid_for_children")).arg("--").arg(program);
        command.env("PATH", PATH).env("NO_COLOR", "1").current_dir("/").stdin(Stdio::null());
        command
    }

    /// Runs a shell's words there, which must not fail, and gives what they print.
    pub(crate) fn sh(&self, words: &str) -> String {
        succeeds(self.command("bash").args(["-euo", "pipefail", "-c", words]))
    }

    /// Where a path of it is for this program.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.holder.id()))
    }

    /// Writes a file there.
    pub(crate) fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().expect("it has one")).expect("the computer is ours");
        fs::write(path, text).expect("the computer is ours");
    }

    /// Reads a file there; one that is missing is empty.
    pub(crate) fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_default()
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // With the first process all others of the computer end.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        wait_until(|| remove_cgroups(&self.cgroup_parent()));
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// What a command prints that must not fail.
pub(crate) fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("nsenter runs");
    assert!(output.status.success(), "{command:?}: {}", words(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All that a command said.
pub(crate) fn words(output: &Output) -> String {
    let [printed, said] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{}\n{printed}{said}", output.status)
}

/// nsenter's word for a kind of namespace.
fn option(kind: &str) -> &str {
    if kind == "mnt" { "mount" } else { kind }
}

/// A new directory below `/var/tmp`: on disk, with working device nodes.
fn scratch() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = PathBuf::from(format!("/var/tmp/gpupol-engines-{}-{number}", std::process::id()));
    fs::create_dir(&path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
    path
}

/// A path of ours as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("our paths are UTF-8")
}
