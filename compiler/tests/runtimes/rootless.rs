//! Real Podman, called by an ordinary user who has no ids but their own.

use std::fs::{self, File};
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::container::Entry;
use crate::leftovers::{is_alive, wait_until};
use crate::needs;
use crate::oracle::{SCRIPT, Seen};
use crate::site::{Outcome, Site};
use crate::user::{UID, give_away};

/// No network, no limits that this user may not set.
const SETTINGS: &str = "
[containers]
default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]
pids_limit = 0
netns = \"none\"
log_driver = \"k8s-file\"
[engine]
cgroup_manager = \"cgroupfs\"
events_logger = \"file\"
lock_type = \"file\"
";

/// Podman wants to know its user by name, so the host's `/etc` has one more for as long as it runs.
const OWN_ETC: &str = "
set -e
mount -t tmpfs -o mode=755 gpupol-test \"$1\"
mkdir \"$1/upper\" \"$1/work\"
mount -t overlay -o \"lowerdir=/etc,upperdir=$1/upper,workdir=$1/work\" gpupol-test /etc
grep -v \":$0:\" /etc/passwd > \"$1/passwd\" || true
echo \"ada:x:$0:$0::$2:/bin/sh\" >> \"$1/passwd\"
cat \"$1/passwd\" > /etc/passwd
: > /etc/subuid
: > /etc/subgid
cd \"$2\"
shift 2
exec setpriv --reuid \"$0\" --regid \"$0\" --clear-groups \"$@\"
";

/// Runs a container that looks around and ends, with our hook at createRuntime.
pub(crate) fn run(site: &Site, options: &[&str]) -> Outcome {
    let bundle = site.bundle();
    give_away(&bundle.dir);
    let home = home(site);
    let [hooks, etc, settings] = ["hooks", "etc", "containers.conf"].map(|name| home.join(name));
    let hook = needs::hook();
    let entries = site.installed.entries();
    let args = json!(["gpupol-hook", "createRuntime", "--entry", Entry::Podman.name(), "--entries", entries]);
    let hook = json!({"version": "1.0.0", "hook": {"path": hook, "args": args}, "when": {"always": true}, "stages": ["createRuntime"]});
    for directory in [&hooks, &etc] {
        fs::create_dir_all(directory).expect("the directory is ours");
    }
    fs::write(hooks.join("gpupol.json"), hook.to_string()).expect("the directory is ours");
    fs::write(&settings, SETTINGS).expect("the directory is ours");
    let [stdin, stdout, stderr] = ["stdin", "stdout", "stderr"].map(|name| bundle.dir.join(name));
    let [to, errors] = [&stdout, &stderr].map(|path| File::create(path).expect("it is ours"));
    let empty = File::create(&stdin).and_then(|_| File::open(&stdin)).expect("it is ours");
    let mut command = site.view.command(Path::new("unshare"));
    command.args(["--mount", "--propagation", "private", "sh", "-c", OWN_ETC, &UID.to_string()]);
    command.arg(&etc).arg(&home).arg(needs::program("podman", "podman"));
    command.args(["--storage-driver", "vfs", "--hooks-dir"]).arg(hooks);
    command.arg("--runtime").arg(site.runtime_of(&site.dir)).args(["run", "--rm", "--cgroups=disabled"]);
    command.arg(format!("--annotation=run.oci.hooks.stderr={}", bundle.dir.join("hook").display()));
    command.args(options).arg("--rootfs").arg(bundle.rootfs()).args(["sh", "-c", SCRIPT]);
    command
        .env("HOME", &home)
        .env("XDG_RUNTIME_DIR", &home)
        .env("USER", "ada")
        .env("CONTAINERS_CONF", settings);
    let started = command.stdin(empty).stdout(to).stderr(errors).status().expect("nsenter runs").success();
    end_pause(&home);
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    let said = read(stderr) + &read(bundle.dir.join("hook"));
    Outcome { started, seen: Seen::read(&read(stdout)), said }
}

fn home(site: &Site) -> PathBuf {
    let home = site.dir.join("rootless");
    fs::create_dir_all(&home).expect("the directory is ours");
    lchown(&home, Some(UID), Some(UID)).expect("we are root");
    home
}

/// Podman leaves a process behind that holds its namespaces.
fn end_pause(home: &Path) {
    let Ok(pid) = fs::read_to_string(home.join("libpod/tmp/pause.pid")) else { return };
    let pid: u32 = pid.trim().parse().expect("a pid file holds a number");
    let ended = Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).status();
    ended.expect("sh runs");
    assert!(wait_until(|| !is_alive(pid)), "Podman's process {pid} did not end");
}
