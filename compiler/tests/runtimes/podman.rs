//! Real Podman, which reads the CDI specification that `gpupol export cdi` writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::bundle::Bundle;
use crate::container::Entry;
use crate::leftovers::{is_in_use, remove_cgroups, wait_until};
use crate::needs;
use crate::oracle::{SCRIPT, Seen};
use crate::site::{Outcome, Site, text};

/// Limits that root of a container of this machine may set, and no network.
const SETTINGS: &str = "
[containers]
default_ulimits = [\"nofile=20000:20000\", \"nproc=4096:4096\"]
pids_limit = 0
netns = \"none\"
cgroupns = \"private\"
log_driver = \"k8s-file\"
[engine]
cgroup_manager = \"cgroupfs\"
events_logger = \"file\"
";

/// Podman reads specifications below `/etc` alone, and so does the hook its entries: it gets an `/etc` of its own over the
/// host's, for as long as it runs.
const OWN_ETC: &str = "
set -e
mount -t tmpfs -o mode=755 gpupol-test \"$1\"
mkdir \"$1/upper\" \"$1/work\"
mount -t overlay -o \"lowerdir=/etc,upperdir=$1/upper,workdir=$1/work\" gpupol-test /etc
mkdir -p /etc/cdi /etc/gpupol
cp \"$2\" /etc/cdi/gpupol.json
cp -r \"$3\" /etc/gpupol/entries
shift 3
exec \"$@\"
";

/// Podman on the made host, with a storage of its own.
pub(crate) struct Podman<'s> {
    site: &'s Site,
    dir: PathBuf,
    parent: String,
    hooks: Option<PathBuf>,
}

impl<'s> Podman<'s> {
    /// Writes the specification of the site's policies.
    pub(crate) fn new(site: &'s Site) -> Self {
        Self::through(site, Entry::Podman)
    }

    /// The same, for that entry.
    pub(crate) fn through(site: &'s Site, entry: Entry) -> Self {
        let dir = site.dir.join("podman");
        fs::create_dir_all(dir.join("etc")).expect("the directory is ours");
        fs::write(dir.join("containers.conf"), SETTINGS).expect("the directory is ours");
        let hook = needs::hook();
        let specification = dir.join("gpupol.json");
        let arguments = ["cdi", "--entry", entry.name(), "--hook", text(&hook), "-o", text(&specification)];
        site.installed.export(&arguments);
        let parent = format!("{}-podman", site.dir.file_name().unwrap_or_default().to_string_lossy());
        Self { site, dir, parent, hooks: None }
    }

    /// The same with our hook at Podman's own stage before a container is made.
    pub(crate) fn with_precreate(mut self) -> Self {
        let hooks = self.dir.join("hooks");
        fs::create_dir(&hooks).expect("the directory is new");
        let args = ["gpupol-hook", "precreate", "--entry", "podman"];
        let hook = json!({
            "version": "1.0.0", "hook": {"path": needs::hook(), "args": args}, "when": {"always": true}, "stages": ["precreate"]
        });
        fs::write(hooks.join("gpupol.json"), hook.to_string()).expect("the directory is ours");
        self.hooks = Some(hooks);
        self
    }

    /// The specification.
    pub(crate) fn specification(&self) -> PathBuf {
        self.dir.join("gpupol.json")
    }

    /// `podman run` of a container that looks around and ends.
    pub(crate) fn run(&self, options: &[&str]) -> Outcome {
        let bundle = self.site.bundle();
        let output = self.command(&bundle, options, SCRIPT).output().expect("nsenter runs");
        self.outcome(&bundle, &output)
    }

    /// What a container that must come to its end prints when it runs that command.
    pub(crate) fn run_command(&self, bundle: &Bundle, options: &[&str], command: &str) -> String {
        let output = self.command(bundle, options, command).output().expect("nsenter runs");
        let [printed, said] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        assert!(output.status.success(), "{command}: {said}{printed}");
        printed.into_owned()
    }

    /// `podman run` of a container of that name that stays, by a runtime.
    pub(crate) fn hold(&self, runtime: &Path, name: &str, options: &[&str]) {
        let bundle = self.site.bundle();
        let mut command = self.base(runtime);
        command.args(["run", "--detach", "--name", name]).args(self.settings(&bundle)).args(options);
        command.arg("--rootfs").arg(bundle.rootfs()).args(["sh", "-c", "exec sleep 600"]);
        succeeds(&mut command);
    }

    /// What a container that stays sees by now.
    pub(crate) fn looks(&self, runtime: &Path, name: &str) -> Seen {
        let printed = succeeds(self.base(runtime).args(["exec", name, "sh", "-c", SCRIPT]));
        Seen::read(&printed).unwrap_or_else(|| panic!("{name} said too little: {printed}"))
    }

    /// Calls Podman for a container that stays.
    pub(crate) fn tell(&self, runtime: &Path, words: &[&str], name: &str) {
        succeeds(self.base(runtime).args(words).arg(name));
    }

    fn command(&self, bundle: &Bundle, options: &[&str], script: &str) -> Command {
        let mut command = self.base(&self.site.runtime_of(&self.dir));
        command.args(["run", "--rm"]).args(self.settings(bundle)).args(options);
        command.arg("--rootfs").arg(bundle.rootfs()).args(["sh", "-c", script]);
        command
    }

    fn settings(&self, bundle: &Bundle) -> [String; 2] {
        [
            format!("--cgroup-parent=/{}", self.parent),
            format!("--annotation=run.oci.hooks.stderr={}", bundle.dir.join("hook").display()),
        ]
    }

    /// Podman with that runtime, before its own words.
    fn base(&self, runtime: &Path) -> Command {
        let mut command = self.site.view.command(Path::new("unshare"));
        command.args(["--mount", "--propagation", "private", "sh", "-c", OWN_ETC, "own-etc"]);
        command.args([&self.dir.join("etc"), &self.specification(), &self.site.installed.entries()]);
        command.arg(needs::program("podman", "podman")).args(["--storage-driver", "vfs"]);
        for (option, place) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            command.arg(option).arg(self.dir.join(place));
        }
        if let Some(hooks) = &self.hooks {
            command.arg("--hooks-dir").arg(hooks);
        }
        command.arg("--runtime").arg(runtime).env("CONTAINERS_CONF", self.dir.join("containers.conf"));
        command
    }

    fn outcome(&self, bundle: &Bundle, output: &Output) -> Outcome {
        let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let hook = fs::read_to_string(bundle.dir.join("hook")).unwrap_or_default();
        let seen = Seen::read(&words(&output.stdout));
        Outcome { started: output.status.success(), seen, said: words(&output.stderr) + &hook }
    }
}

/// What a command prints that must not fail.
fn succeeds(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("nsenter runs");
    let [printed, said] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{command:?}: {said}{printed}");
    printed.into_owned()
}

impl Drop for Podman<'_> {
    /// What Podman leaves behind to clean up ends a moment after it.
    fn drop(&mut self) {
        wait_until(|| !is_in_use(&self.dir) && remove_cgroups(&self.parent));
    }
}
