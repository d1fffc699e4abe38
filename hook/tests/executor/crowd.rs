//! Two thousand hooks at one moment, and a state directory that cannot be written.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use gpupol_hook::cgroup::Version;
use gpupol_tracer::End;
use serde_json::{Value, json};

use crate::cgroups::V2;
use crate::crash::{Made, audit, leases, two_nodes_and_three_mounts};
use crate::scene::{self, Folder};
use crate::traced;
use crate::undone::{DRIVER, make};

const CROWD: usize = 2_000;

/// All are of containers of their own, whose init is the same: nobody asks whether it is.
#[test]
fn of_two_thousand_hooks_one_gets_an_exclusive_device() {
    let test = "crowd::of_two_thousand_hooks_one_gets_an_exclusive_device";
    if scene::role().is_none() {
        scene::run_child(test, &["crowd"], &format!(r#"{V2}{DRIVER}ulimit -n 8192; exec "$@""#));
        return;
    }
    let folder = Folder::new("crowd");
    make(&folder, &two_nodes_and_three_mounts(&folder));
    let made = Made::new(&folder, Version::V2, "c");
    let said = folder.write("said", "");
    let errors = OpenOptions::new().append(true).open(&said).unwrap();
    let hook = |_| -> Child {
        let mut command = Command::new(traced::program());
        command.args(["createRuntime", "--entry", "e", "--entries", &folder.path("entries")]).env_clear();
        command.stdin(Stdio::piped()).stderr(errors.try_clone().unwrap()).spawn().unwrap()
    };
    let mut hooks: Vec<Child> = (0..CROWD).map(hook).collect();
    // Each waits for its state, and none is done before the last has come.
    for (number, hook) in hooks.iter_mut().enumerate() {
        let mut state: Value = serde_json::from_str(&made.state()).unwrap();
        state["id"] = json!(format!("c{number}"));
        hook.stdin.as_mut().unwrap().write_all(state.to_string().as_bytes()).unwrap();
    }
    hooks.iter_mut().for_each(|hook| drop(hook.stdin.take()));
    let given = hooks.iter_mut().filter_map(|hook| hook.wait().unwrap().success().then_some(())).count();
    let said = std::fs::read_to_string(said).unwrap();
    // Who waits too long for the lock is refused as well, which a slow machine may come to.
    let refused = |line: &&str| line.contains("(no-free-device)") || line.contains("flock(`.lock`, 5 s)");
    assert_eq!((given, said.lines().filter(refused).count()), (1, CROWD - 1), "{said}");
    assert!(said.lines().any(|line| line.contains("(no-free-device)")), "{said}");
    assert_eq!(leases(&folder).len(), 1);
}

/// What nobody said that it ended is found by who looks for it, such as a timer.
#[test]
fn leases_of_the_dead_are_reclaimed() {
    let test = "crowd::leases_of_the_dead_are_reclaimed";
    if scene::role().is_none() {
        scene::run_child(test, &["reclaim"], &format!(r#"{V2}{DRIVER}exec "$@""#));
        return;
    }
    let folder = Folder::new("reclaim");
    make(&folder, &two_nodes_and_three_mounts(&folder));
    let reclaim = || {
        let ended = traced::killed_after(usize::MAX, &folder, "reclaim", "");
        assert_eq!((ended.end, ended.said.as_str()), (End::Exited(0), ""));
    };
    reclaim();
    assert!(!std::fs::exists(folder.path("state")).unwrap(), "there was nothing to be looked for");
    let made = Made::new(&folder, Version::V2, "c");
    assert_eq!(made.start().end, End::Exited(0));
    reclaim();
    assert_eq!(leases(&folder), ["c"], "it lives");
    drop(made);
    reclaim();
    assert_eq!(leases(&folder), Vec::<String>::new());
    let ended = audit(&folder).into_iter().filter(|record| record["event"] == "stop");
    let ended: Vec<_> = ended.map(|record| record["endedBy"].clone()).collect();
    assert_eq!(ended, ["reclaimed"]);
}

/// A tmpfs at the place of the leases, as `mount -o` has it.
fn on_a_tmpfs(test: &str, options: &str, said: &str, mend: &str) {
    if scene::role().is_none() {
        scene::run_child(test, &["tmpfs"], &format!(r#"{V2}{DRIVER}exec "$@""#));
        return;
    }
    let folder = Folder::new("run");
    make(&folder, &two_nodes_and_three_mounts(&folder));
    let state = folder.directory("state");
    let mount = |options: &str| {
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none", &state]).status();
        assert!(status.unwrap().success(), "{options}");
    };
    mount(options);
    let made = Made::new(&folder, Version::V2, "c");
    let without = made.has(Version::V2);
    let ended = made.start();
    assert_eq!((ended.end, ended.said.lines().count()), (End::Exited(1), 1), "{}", ended.said);
    assert!(ended.said.contains("leases in `") && ended.said.contains(said), "{}", ended.said);
    assert_eq!(
        (made.has(Version::V2), leases(&folder)),
        (without, Vec::new()),
        "it has something, and no lease"
    );
    mount(&format!("remount,{mend}"));
    assert_eq!(made.start().end, End::Exited(0));
    assert_eq!(leases(&folder), ["c"]);
    made.stop();
    assert_eq!(leases(&folder), Vec::<String>::new());
    let status = Command::new("umount").arg(&state).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_read_only_run() {
    on_a_tmpfs("crowd::a_read_only_run", "ro,mode=755", "Read-only file system", "rw");
}

/// Of inodes: those of the leases' directory, its lock, the device's directory and the lease are one too many.
#[test]
fn a_run_without_a_free_inode() {
    on_a_tmpfs(
        "crowd::a_run_without_a_free_inode",
        "nr_inodes=4,mode=755",
        "No space left on device",
        "nr_inodes=99",
    );
}
