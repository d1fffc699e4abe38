//! A start that fails after its devices were applied: nothing of it is left.
//!
//! Containment comes last, and here it is what cannot be done: of a program that must stand alone nothing can be taken,
//! nor of a rule of cgroup v1 that is about all major numbers at once.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use gpupol_hook::cgroup::Version;
use gpupol_hook::sys::BPF_F_ALLOW_MULTI;
use serde_json::{Value, json};

use crate::cgroups::{Cgroups, V1, V2};
use crate::command::call;
use crate::scene::{self, Folder};
use crate::tmpfs;

pub(crate) const DRIVER: &str = "mount -t tmpfs none /proc/driver; ";
/// What a runtime has made when it calls its hooks.
const INIT: &str = r#"mount --bind "$1" "$1"; mount -t tmpfs none "$1/dev"; "#;

/// The init of a container that waits for the hook.
pub(crate) struct Init {
    holder: Child,
    pub(crate) pid: u32,
}

impl Init {
    /// `more` is what a script does besides in the container's mount namespace, with the root in `$1`.
    pub(crate) fn start(rootfs: &str, more: &str) -> Self {
        let mut holder = Command::new("unshare")
            .args(["--mount", "--pid", "--ipc", "--fork", "--kill-child", "--propagation", "private"])
            .args(["sh", "-ec", &format!("{INIT}{more} echo made; exec sleep 600"), "sh", rootfs])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "made\n");
        let id = holder.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        Self { holder, pid: children.trim().parse().unwrap() }
    }

    /// Every path below its root file system but those of its own process, and its mounts.
    pub(crate) fn sees(&self, rootfs: &str) -> (Vec<String>, String) {
        let mut found = Vec::new();
        list(Path::new(&format!("/proc/{}/root{rootfs}", self.pid)), &mut found);
        found.sort();
        (found, std::fs::read_to_string(format!("/proc/{}/mountinfo", self.pid)).unwrap())
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        // The one that holds it ends when it has ended, and has left its cgroup.
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        let _ = rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL);
        let _ = self.holder.wait();
    }
}

pub(crate) fn list(directory: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        found.push(entry.path().display().to_string());
        let is_process = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if entry.file_type().unwrap().is_dir() && !is_process {
            list(&entry.path(), found);
        }
    }
}

/// A host with a GPU, an entry and a plan set that gives it.
pub(crate) fn make(folder: &Folder, plan: &Value) {
    let gpu = "/proc/driver/nvidia/gpus/0000:3b:00.0";
    std::fs::create_dir_all(gpu).unwrap();
    std::fs::write(format!("{gpu}/information"), "GPU UUID: \t GPU-1\nDevice Minor: \t 0\n").unwrap();
    std::fs::write("/proc/driver/nvidia/version", "NVRM version: NVIDIA Kernel Module  550.54.15  x\n")
        .unwrap();
    for directory in ["entries", "plans/one", "bundle/rootfs/dev", "bundle/rootfs/usr/lib"] {
        folder.directory(directory);
    }
    let entry = json!({
        "entryVersion": 1, "engine": "podman", "form": "hook", "allocate": true, "plans": folder.path("plans"),
        "stateDir": folder.path("state"), "audit": folder.path("audit/audit.jsonl")
    });
    folder.write("entries/e.json", entry.to_string());
    let config = json!({
        "root": {"path": "rootfs"}, "annotations": {"gpupol.io/gpus": "1"}, "linux": {
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}],
            "resources": {"devices": [{"allow": true, "access": "rwm"}]},
        }
    });
    folder.write("bundle/config.json", config.to_string());
    let (plan, slices) = scene::parts(plan, 0);
    let index = json!({
        "indexVersion": 1, "onDenied": "refuse", "requestIndices": "auto",
        "tenants": [{"name": "lab", "identities": [{"engine": "podman"}]}],
        "grants": [{"tenant": "lab", "name": "g", "rank": 0, "named": false, "when": [],
            "plan": slices["plan"], "shared": slices["shared"]}]
    });
    folder.write("plans/one/index", scene::index(&index));
    folder.write("plans/one/plans", plan);
    std::os::unix::fs::symlink("one", folder.path("plans/current")).unwrap();
}

pub(crate) fn plan(folder: &Folder) -> Value {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let node = folder.path("nvidia0");
    assert!(Command::new("mknod").args([&node, "c", "195", "0"]).status().unwrap().success());
    let library = folder.write("libcuda.so.1", "a library\n");
    let device = json!({
        "uuid": "GPU-1", "index": "0", "pci": "0000:3b:00.0", "gpu": {"nvidia": {"uuid": "GPU-1", "minor": 0}},
        "edits": [{"kind": "device-node", "hostPath": node, "containerPath": "/dev/nvidia0", "major": 195,
            "minor": 0, "fileMode": 438, "permissions": "rw"}]
    });
    let rule = json!({"file": "p.kdl", "line": 1, "name": "grant g"});
    json!({
        "planVersion": 1, "tenant": "lab", "grant": "g", "rule": rule, "capabilitiesRule": rule,
        "policyDigest": "sha256:0", "topologyDigest": "sha256:0",
        "host": {"bootId": boot.trim(), "driverVersion": "550.54.15"}, "capabilities": ["compute"],
        "lines": [{"gpuSet": "s", "rule": rule, "atMost": 1, "default": 1, "sharing": {"mode": "exclusive"}, "order": "ranked",
            "devices": [device], "slots": null}],
        "edits": {"nvidia": [{"kind": "bind", "hostPath": library, "containerPath": "/usr/lib/nvidia/libcuda.so.1",
            "options": ["ro", "nosuid", "nodev"]}]}
    })
}

/// The files of leases.
pub(crate) fn leases(folder: &Folder) -> Vec<String> {
    let mut found = Vec::new();
    list(Path::new(&folder.path("state/leases")), &mut found);
    found.retain(|path| Path::new(path).is_file() && !path.ends_with("/.lock"));
    found
}

fn events(folder: &Folder) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(folder.path("audit/audit.jsonl")).unwrap();
    let mut events = BTreeMap::new();
    for record in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        *events.entry(record["event"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    events
}

/// Starts the container in a cgroup with these rules; what the hook said, and whether all is as it was.
fn start(folder: &Folder, cgroups: &Cgroups, rules: impl Fn() -> String) -> ((i32, String), bool) {
    let rootfs = folder.path("bundle/rootfs");
    let init = Init::start(&rootfs, tmpfs::PROC);
    cgroups.enter(init.pid);
    let before = (init.sees(&rootfs), rules());
    let state = json!({
        "ociVersion": "1.0.2", "id": "c", "status": "creating", "bundle": folder.path("bundle"), "pid": init.pid
    });
    let said = call(folder, &["createRuntime"], &state.to_string());
    (said, (init.sees(&rootfs), rules()) == before)
}

/// The same start twice: where containment can be done, and where it cannot.
fn starts(test: &str, view: &str, said: &str, start: impl Fn(&Folder, bool) -> ((i32, String), bool)) {
    if scene::role().is_none() {
        scene::run_child(test, &["start"], &format!(r#"{view}{DRIVER}exec "$@""#));
        return;
    }
    let folder = Folder::new("undone");
    let plan = tmpfs::with_tmpfs(plan(&folder));
    make(&folder, &plan);
    let ((code, line), as_before) = start(&folder, false);
    assert_eq!((code, line.lines().count()), (1, 1), "{line}");
    assert!(line.contains("containment") && line.contains(said) && !line.contains("not undone"), "{line}");
    assert!(as_before, "something of the start was left");
    assert_eq!(leases(&folder), Vec::<String>::new());
    assert_eq!(events(&folder), BTreeMap::from([("failure".to_owned(), 1)]));
    let (said, as_before) = start(&folder, true);
    assert_eq!(said, (0, String::new()));
    assert!(!as_before, "nothing was given");
    assert_eq!(leases(&folder).len(), 1);
}

#[test]
fn on_v2_beside_a_program_that_stands_alone() {
    let test = "undone::on_v2_beside_a_program_that_stands_alone";
    starts(test, V2, "no other may stand beside", |folder, possible| {
        let cgroups = Cgroups::empty(Version::V2, "undone", &[]);
        cgroups.attach(0, if possible { BPF_F_ALLOW_MULTI } else { 0 });
        start(folder, &cgroups, || format!("{:?}", cgroups.programs(0)))
    });
}

#[test]
fn on_v1_with_a_rule_of_all_major_numbers() {
    let test = "undone::on_v1_with_a_rule_of_all_major_numbers";
    starts(test, V1, "about all major numbers at once", |folder, possible| {
        let cgroups = Cgroups::empty(Version::V1, "undone", &[]);
        let file = |name: &str| format!("{}/{name}", cgroups.names[0]);
        std::fs::write(file("devices.deny"), "a").unwrap();
        std::fs::write(file("devices.allow"), if possible { "c 1:7 rw" } else { "c *:7 rw" }).unwrap();
        start(folder, &cgroups, || std::fs::read_to_string(file("devices.list")).unwrap())
    });
}
