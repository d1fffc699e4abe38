//! The executor killed after its n-th system call, for every n: a container that has anything of a device has its lease,
//! the host is as it was once the container is gone, and the next start works.

use std::collections::BTreeSet;
use std::path::Path;

use gpupol_hook::cgroup::Version;
use gpupol_hook::sys::BPF_F_ALLOW_MULTI;
use gpupol_plan::lease::Record;
use gpupol_tracer::End;
use serde_json::{Value, json};

use crate::cgroups::{Cgroups, V1, V2};
use crate::scene::{self, Folder};
use crate::systemd;
use crate::traced::{self, Ended};
use crate::undone::{DRIVER, Init, list, make, plan};

/// Nodes of GPUs, and device rules.
type Has = (Vec<String>, String);

/// A container that its runtime has made, in a cgroup of its own.
pub(crate) struct Made<'f> {
    folder: &'f Folder,
    id: String,
    init: Init,
    cgroups: Cgroups,
}

impl<'f> Made<'f> {
    pub(crate) fn new(folder: &'f Folder, version: Version, id: &str) -> Self {
        let init = Init::start(&folder.path(ROOTFS), "");
        // Where systemd is init, the unit that a runtime had it make.
        let scope = format!("{id}-{}.scope", std::process::id());
        let below: &[&str] = if systemd::is_init() { &[&scope] } else { &[] };
        let cgroups = Cgroups::empty(version, &format!("crash-{id}"), below);
        match version {
            Version::V1 => std::fs::write(format!("{}/devices.deny", cgroups.names[0]), "a").unwrap(),
            Version::V2 => cgroups.attach(below.len(), BPF_F_ALLOW_MULTI),
        }
        cgroups.enter(init.pid);
        Self { folder, id: id.to_owned(), init, cgroups }
    }

    pub(crate) fn state(&self) -> String {
        let bundle = self.folder.path("bundle");
        json!({"ociVersion": "1.0.2", "id": self.id, "status": "creating", "bundle": bundle, "pid": self.init.pid})
            .to_string()
    }

    /// What it has of devices.
    pub(crate) fn has(&self, version: Version) -> Has {
        let mut nodes = self.init.sees(&self.folder.path(ROOTFS)).0;
        nodes.retain(|path| path.contains("/dev/nvidia"));
        let rules = match version {
            Version::V1 => {
                std::fs::read_to_string(format!("{}/devices.list", self.cgroups.names[0])).unwrap()
            }
            Version::V2 => format!("{:?}", self.cgroups.programs(self.cgroups.names.len() - 1)),
        };
        (nodes, rules)
    }

    pub(crate) fn start(&self) -> Ended {
        traced::killed_after(usize::MAX, self.folder, "createRuntime", &self.state())
    }

    /// What the runtime does at its end.
    pub(crate) fn stop(self) {
        let state = json!({"id": self.id, "status": "stopped", "bundle": self.folder.path("bundle")});
        let (folder, state) = (self.folder, state.to_string());
        drop(self);
        let ended = traced::killed_after(usize::MAX, folder, "poststop", &state);
        assert_eq!((ended.end, ended.said.as_str()), (End::Exited(0), ""));
    }
}

/// A plan of two nodes and three mounts.
pub(crate) fn two_nodes_and_three_mounts(folder: &Folder) -> Value {
    let mut plan = plan(folder);
    let mut control = plan["lines"][0]["devices"][0]["edits"][0].clone();
    control["containerPath"] = json!("/dev/nvidiactl");
    control["hostPath"] = json!(folder.path("nvidiactl"));
    control["minor"] = json!(255);
    let made =
        std::process::Command::new("mknod").args([&folder.path("nvidiactl"), "c", "195", "255"]).status();
    assert!(made.unwrap().success());
    let program = folder.write("nvidia-smi", "a program\n");
    let sealed = json!(["ro", "nosuid", "nodev"]);
    plan["edits"]["nvidia"].as_array_mut().unwrap().extend([
        control,
        json!({"kind": "bind", "hostPath": program, "containerPath": "/usr/bin/nvidia-smi", "options": sealed}),
        json!({"kind": "tmpfs", "hides": false, "containerPath": "/etc/nvidia", "fileMode": 0o555, "options": sealed}),
        json!({"kind": "file", "containerPath": "/etc/nvidia/rc", "content": "{visible-gpus}\n", "fileMode": 0o444}),
    ]);
    plan
}

/// The leases on disk, each of which can be read: whose they are.
pub(crate) fn leases(folder: &Folder) -> Vec<String> {
    let mut found = Vec::new();
    if std::fs::exists(folder.path("state")).unwrap() {
        list(Path::new(&folder.path("state")), &mut found);
    }
    found.retain(|path| Path::new(path).is_file() && !path.ends_with("/.lock") && !path.ends_with("/.new"));
    let record = |path: &String| Record::parse(&std::fs::read(path).unwrap()).unwrap().container;
    found.iter().map(record).collect()
}

/// Whole records of the audit.
pub(crate) fn audit(folder: &Folder) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.path("audit/audit.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Everything that is not the leases' or the audit's: paths of the host with the sizes of files, and its mounts.
fn host(folder: &Folder) -> (BTreeSet<(String, u64)>, String) {
    let mut found = Vec::new();
    list(Path::new(&folder.path("")), &mut found);
    let ours = [folder.path("state"), folder.path("audit"), folder.path("std")];
    found.retain(|path| !ours.iter().any(|ours| path.starts_with(ours)));
    let size = |path: String| {
        let data = std::fs::symlink_metadata(&path).unwrap();
        (path, if data.is_file() { data.len() } else { 0 })
    };
    (found.into_iter().map(size).collect(), std::fs::read_to_string("/proc/self/mountinfo").unwrap())
}

/// What is in the way of a container when it starts, or which of the two calls is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// The first start after a boot.
    First,
    /// A container that has ended, and nobody was told, held the device.
    OverDead,
    /// The end of a container.
    Poststop,
    /// The first start where systemd is init.
    Told,
}

const ROOTFS: &str = "bundle/rootfs";

/// What is there when the executor was killed and its container is about to end: a row of the report.
fn left(has: Option<(Has, &Has)>, folder: &Folder) -> String {
    let lease = if leases(folder).contains(&"victim".to_owned()) { "its lease" } else { "no lease" };
    let of_victim = |record: &Value| record["container"] == "victim";
    let last = audit(folder).into_iter().rfind(of_victim);
    let record =
        last.map_or("no record".to_owned(), |last| format!("record: {}", last["event"].as_str().unwrap()));
    let Some((has, without)) = has else { return format!("{lease}, {record}") };
    let rules = if has.1 == without.1 { "no rules" } else { "rules" };
    format!("{} nodes, {rules}, {lease}, {record}", has.0.len())
}

/// One start that is killed after its `count`-th call, and the one after it: what the first leaves; none if it makes no such
/// call.
fn survives(folder: &Folder, version: Version, which: Case, count: usize) -> Option<String> {
    for below in ["state", "audit"] {
        let _ = std::fs::remove_dir_all(folder.path(below));
    }
    if which == Case::OverDead {
        let dead = Made::new(folder, version, "dead");
        assert_eq!(dead.start().end, End::Exited(0));
    }
    let before = host(folder);
    let victim = Made::new(folder, version, "victim");
    let without = victim.has(version);
    let (ended, left) = if which == Case::Poststop {
        assert_eq!(victim.start().end, End::Exited(0));
        let state = victim.state();
        drop(victim);
        let ended = traced::killed_after(count, folder, "poststop", &state);
        (ended, left(None, folder))
    } else {
        let ended = traced::killed_after(count, folder, "createRuntime", &victim.state());
        let (has, holds) = (victim.has(version), leases(folder).contains(&"victim".to_owned()));
        assert!(has == without || holds, "it has {has:?}, and no lease");
        drop(victim);
        (ended, left(Some((has, &without)), folder))
    };
    let case = format!("{which:?}, killed after call {count} ({:?}: {})", ended.end, ended.said);
    let after = host(folder);
    assert_eq!(after.1, before.1, "{case}: mounts of the host");
    let made: Vec<_> = after.0.difference(&before.0).collect();
    let is_target = |(path, size): &&(String, u64)| path.contains("/rootfs/") && *size == 0;
    assert!(made.iter().all(is_target) && before.0.is_subset(&after.0), "{case}: {made:?}");
    let mut gone = leases(folder);
    match which {
        Case::First | Case::Told => {}
        Case::OverDead => gone.push("dead".to_owned()),
        Case::Poststop => gone.push("victim".to_owned()),
    }
    let next = Made::new(folder, version, "next");
    let started = next.start();
    assert_eq!((started.end, started.said.as_str()), (End::Exited(0), ""), "{case}");
    assert_eq!(leases(folder), ["next"], "{case}");
    assert_ne!(next.has(version), without, "{case}: the next one got nothing");
    for dead in gone {
        let stopped = |record: &Value| record["event"] == "stop" && record["container"] == dead.as_str();
        assert!(audit(folder).iter().any(stopped), "{case}: no record of the end of {dead}");
    }
    next.stop();
    assert_eq!(leases(folder), Vec::<String>::new(), "{case}");
    (ended.end == End::Killed).then_some(left)
}

fn everywhere(test: &str, version: Version, case: Case) {
    let view = if version == Version::V1 { V1 } else { V2 };
    if scene::role().is_none() {
        let booted = if case == Case::Told { systemd::BOOTED } else { "" };
        scene::run_child(test, &["crash"], &format!(r#"{view}{DRIVER}{booted}exec "$@""#));
        return;
    }
    let _told = (case == Case::Told).then(|| systemd::stand_in(systemd::Mood::Helpful));
    let folder = Folder::new("crash");
    make(&folder, &two_nodes_and_three_mounts(&folder));
    let mut report: Vec<String> = (1..).map_while(|count| survives(&folder, version, case, count)).collect();
    // Fewer would mean that it never came to what it is to do.
    assert!(report.len() > 50, "only {} calls", report.len());
    // How many calls come before a step depends on the length of the host's tables and on what is renamed meanwhile, so a later count may fall
    // before a step that an earlier one fell after. Each state counts once, where it first appears.
    let mut seen = BTreeSet::new();
    report.retain(|left| seen.insert(left.clone()));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../snapshots/hook");
    settings.set_prepend_module_to_snapshot(false);
    let name = test.replace("crash::", "killed_in_");
    settings.bind(|| insta::assert_snapshot!(name, report.join("\n")));
}

#[test]
fn the_first_start_on_v1() {
    everywhere("crash::the_first_start_on_v1", Version::V1, Case::First);
}

#[test]
fn the_first_start_on_v2() {
    everywhere("crash::the_first_start_on_v2", Version::V2, Case::First);
}

#[test]
fn a_start_over_a_dead_container_on_v2() {
    everywhere("crash::a_start_over_a_dead_container_on_v2", Version::V2, Case::OverDead);
}

#[test]
fn a_start_of_a_unit_of_systemd() {
    everywhere("crash::a_start_of_a_unit_of_systemd", Version::V2, Case::Told);
}

#[test]
fn a_poststop_on_v2() {
    everywhere("crash::a_poststop_on_v2", Version::V2, Case::Poststop);
}
