//! Which system calls the executor makes, in their order: a new one shows in review.

use gpupol_hook::cgroup::Version;
use gpupol_tracer::{End, Then};

use crate::cgroups::V2;
use crate::crash::{Made, two_nodes_and_three_mounts};
use crate::scene::{self, Folder};
use crate::systemd;
use crate::traced;
use crate::undone::{DRIVER, make};

/// Calls for nothing but the process's own memory: how many there are depends on the lengths of the host's tables.
const MEMORY: [&str; 4] = ["brk", "mmap", "mprotect", "munmap"];

/// Calls the executor for a container, and compares the names of its system calls. A row of equal ones is one line:
/// how long it is depends on lengths too.
fn calls(name: &str, folder: &Folder, verb: &str, state: &str, end: End) {
    let mut names: Vec<&'static str> = Vec::new();
    let ended = traced::call(folder, verb, state, |call| {
        if !MEMORY.contains(&call.name()) {
            names.push(call.name());
        }
        Then::Go
    });
    assert_eq!(ended.end, end, "{name}: {}", ended.said);
    names.dedup();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../snapshots/hook");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(format!("calls_{name}"), names.join("\n")));
}

#[test]
fn system_calls() {
    if scene::role().is_none() {
        scene::run_child("calls::system_calls", &["calls"], &format!(r#"{V2}{DRIVER}exec "$@""#));
        return;
    }
    let folder = Folder::new("calls");
    make(&folder, &two_nodes_and_three_mounts(&folder));
    let first = Made::new(&folder, Version::V2, "first");
    calls("given", &folder, "createRuntime", &first.state(), End::Exited(0));
    let second = Made::new(&folder, Version::V2, "second");
    calls("refused", &folder, "createRuntime", &second.state(), End::Exited(1));
    let ended = first.state();
    drop(first);
    calls("poststop", &folder, "poststop", &ended, End::Exited(0));
    let config = std::fs::read_to_string(folder.path("bundle/config.json")).unwrap();
    let silent = config.replace("gpupol.io/gpus", "x");
    folder.write("bundle/config.json", &silent);
    calls("contained", &folder, "createRuntime", &second.state(), End::Exited(0));
    folder.write("bundle/config.json", silent.replace(r#""allow":true"#, r#""allow":false"#));
    calls("nothing_asked", &folder, "createRuntime", &second.state(), End::Exited(0));
}

/// A container of which systemd must be told.
#[test]
fn system_calls_with_systemd() {
    if scene::role().is_none() {
        let shell = format!(r#"{V2}{DRIVER}{}exec "$@""#, systemd::BOOTED);
        scene::run_child("calls::system_calls_with_systemd", &["calls"], &shell);
        return;
    }
    let _told = systemd::stand_in(systemd::Mood::Helpful);
    let folder = Folder::new("calls");
    make(&folder, &two_nodes_and_three_mounts(&folder));
    let told = Made::new(&folder, Version::V2, "told");
    calls("told", &folder, "createRuntime", &told.state(), End::Exited(0));
}
