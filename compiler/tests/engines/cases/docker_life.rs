//! Docker's daemon comes and goes; its containers, and who has which GPU, stay.

use super::docker::set_up;
use super::expect::{gpus, ran, refused};
use crate::docker::Docker;
use crate::leftovers::wait_until;
use crate::view::View;

/// Its own GPU alone, which nobody else may have at the same time.
const OWN: [&str; 2] = ["--gpus", "device=2"];

/// A daemon is restarted while containers run: they keep their GPUs and leases, and both end with them.
pub(crate) fn restarted(view: &View) {
    ends_and_starts(view, "TERM");
}

/// A daemon is killed while containers run.
pub(crate) fn killed(view: &View) {
    ends_and_starts(view, "KILL");
}

fn ends_and_starts(view: &View, signal: &str) {
    let (installed, mut docker) = set_up(view);
    docker.hold("stays", &OWN).expect("it starts");
    docker.hold("ends", &["--gpus", "device=1"]).expect("it starts");
    let pid = pid_of(&docker, "ends");
    docker.end_daemon(signal);
    // One ends while there is no daemon that could say so.
    view.sh(&format!("kill -9 {pid}"));
    assert_eq!(installed.leases(), 2);
    docker.start_daemon();
    assert_eq!(gpus(&installed, &docker.looks("stays")), [2]);
    refused(&docker.run(&OWN), "no-free-device");
    assert_eq!(gpus(&installed, &ran(docker.run(&["--gpus", "device=1"]))), [1]);
    docker.says(&["rm", "--force", "stays"]);
    assert_eq!(gpus(&installed, &ran(docker.run(&OWN))), [2]);
    assert_eq!(installed.leases(), 0);
}

/// A container's init, by its number on the computer.
fn pid_of(docker: &Docker, name: &str) -> String {
    docker.says(&["inspect", "--format", "{{.State.Pid}}", name]).trim().to_owned()
}

/// Containers that are killed one by one give their GPU back, though nobody calls a hook for them.
pub(crate) fn containers_killed(view: &View) {
    let (installed, docker) = set_up(view);
    for _ in 0..3 {
        docker.hold("own", &OWN).expect("it starts");
        view.sh(&format!("kill -9 {}", pid_of(&docker, "own")));
        let ended = || docker.says(&["inspect", "--format", "{{.State.Running}}", "own"]).trim() == "false";
        assert!(wait_until(ended), "it still runs");
        docker.says(&["rm", "own"]);
    }
    docker.hold("own", &OWN).expect("it starts");
    let again = docker.says(&["restart", "-t", "0", "own"]);
    assert_eq!(again.trim(), "own");
    assert_eq!(gpus(&installed, &docker.looks("own")), [2]);
    docker.says(&["stop", "-t", "0", "own"]);
    docker.says(&["start", "own"]);
    assert_eq!(gpus(&installed, &docker.looks("own")), [2]);
    docker.says(&["rm", "--force", "own"]);
    assert_eq!(installed.leases(), 0);
}
