//! Containers that an ordinary user of the host starts with a runtime of their own, in a user namespace of their own.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, lchown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::bundle::{Bundle, at, look};
use crate::container::Container;
use crate::needs;
use crate::oracle::Seen;
use crate::runtime::Kind;
use crate::site::{Outcome, Site};
use crate::view::Cgroup;

/// The user, who has no group and no other ids of their own.
pub(crate) const UID: u32 = 1000;

/// By whom the container's user namespace is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// By the runtime itself, as `crun run` does: the hook is called with no rights.
    Runtime,
    /// By the engine before it calls the runtime, as rootless Podman does: the hook is called as its root.
    Engine,
    /// Likewise, within one that the user made before, which says that its root's uid outside is 0.
    Nested,
}

/// Puts a process into a cgroup and becomes another user.
const JOIN: &str = "
set -e
if [ -n \"$1\" ]; then echo 0 > \"$1/cgroup.procs\"; fi
shift
exec setpriv --reuid \"$0\" --regid \"$0\" --clear-groups \"$@\"
";

const NAMESPACE: [&str; 4] = ["unshare", "--user", "--map-root-user", "--mount"];

impl Site {
    /// Starts a container as the user, in the cgroup of that directory if it names one.
    pub(crate) fn run_as_user(&self, container: &Container, by: By, cgroup: Option<&Path>) -> Outcome {
        let bundle = self.bundle();
        let id = self.write(&bundle, container, &look());
        change(&bundle, by);
        give_away(&bundle.dir);
        let home = self.home();
        let [stdin, stdout, stderr] = ["stdin", "stdout", "stderr"].map(|name| home.join(name));
        let [stdout_to, stderr_to] = [&stdout, &stderr].map(|path| File::create(path).expect("it is ours"));
        let empty = File::create(&stdin).and_then(|_| File::open(&stdin)).expect("it is ours");
        let mut command = self.view.command(Path::new("sh"));
        command.args(["-c", JOIN, &UID.to_string()]);
        command.arg(cgroup.unwrap_or(Path::new("")));
        let depth = match by {
            By::Runtime => 0,
            By::Engine => 1,
            By::Nested => 2,
        };
        command.args([NAMESPACE].repeat(depth).concat());
        self.users_runtime(&mut command, &home);
        command.arg("run").arg("--bundle").arg(&bundle.dir).arg(&id);
        command.env("XDG_RUNTIME_DIR", &home).stdin(empty).stdout(stdout_to).stderr(stderr_to);
        let started = command.status().expect("nsenter runs").success();
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        let said = read(stderr) + &read(bundle.dir.join("hook"));
        Outcome { started, seen: Seen::read(&read(stdout)), said }
    }

    /// The runtime as a user calls it, who may make no cgroups.
    fn users_runtime(&self, command: &mut Command, home: &Path) {
        let (kind, cgroup) = (self.runtime().kind(), self.runtime().cgroup());
        if kind == Kind::Crun && cgroup == Cgroup::V2 {
            command.env("LD_PRELOAD", needs::memlock_shim());
        }
        command.arg(self.runtime().program()).arg("--root").arg(home.join("state"));
        match kind {
            Kind::Crun => command.arg("--cgroup-manager=disabled"),
            Kind::Runc => command.arg("--rootless=true"),
        };
    }

    /// A directory of the user's.
    fn home(&self) -> PathBuf {
        let home = self.dir.join("home");
        if !home.exists() {
            fs::DirBuilder::new().mode(0o700).create(&home).expect("it is new");
            lchown(&home, Some(UID), Some(UID)).expect("we are root");
        }
        home
    }
}

/// What a user's own `config.json` has: no cgroup, no file system that only root may mount, and the user's one id.
fn change(bundle: &Bundle, by: By) {
    let text = fs::read_to_string(bundle.config()).expect("it was written");
    let mut config: Value = serde_json::from_str(&text).expect("it is JSON");
    let mounts = config["mounts"].as_array_mut().expect("runc lists mounts");
    mounts.retain(|mount| mount["type"] != "cgroup" && mount["type"] != "sysfs");
    for options in mounts.iter_mut().filter_map(|mount| mount["options"].as_array_mut()) {
        options.retain(|option| option != "gid=5");
    }
    let linux = config["linux"].as_object_mut().expect("runc writes it");
    for name in ["cgroupsPath", "resources"] {
        linux.remove(name);
    }
    config["process"]["rlimits"] = json!([]);
    if by == By::Runtime {
        let mapping = json!([{ "containerID": 0, "hostID": UID, "size": 1 }]);
        at(&mut config, "/linux/uidMappings", mapping.clone());
        at(&mut config, "/linux/gidMappings", mapping);
        let namespaces = config["linux"]["namespaces"].as_array_mut();
        namespaces.expect("runc lists namespaces").push(json!({ "type": "user" }));
    }
    fs::write(bundle.config(), config.to_string()).expect("the bundle is ours");
}

/// Gives all of a tree to the user.
pub(crate) fn give_away(path: &Path) {
    lchown(path, Some(UID), Some(UID)).expect("we are root");
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("it can be read") {
            give_away(&entry.expect("it can be read").path());
        }
    }
}
