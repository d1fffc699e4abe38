//! What Docker's users see of an installation that is not whole, and of one that is replaced.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;

use serde_json::{Value, json};

use super::docker::set_up;
use super::doctor::unsound;
use super::expect::{does_not_start, gpus, ran, refused};
use crate::docker::{Docker, IMAGE};
use crate::host::GPUS;
use crate::installed::{HOOK, Installed};
use crate::view::{View, words};

/// Whoever wants no GPU is not disturbed by what the plan set is like; who asks is refused with what is wrong with it.
pub(crate) fn plan_sets(view: &View) {
    let (installed, docker) = set_up(view);
    let current = view.path("/etc/gpupol/plans/current");
    let good = fs::read_link(&current).expect("it is a link");
    fs::remove_file(&current).expect("the computer is ours");
    unharmed(&installed, &docker);
    symlink(&good, &current).expect("it is gone");
    let plans = installed.in_force("plans");
    let whole = fs::read(&plans).expect("it can be read");
    fs::write(&plans, &whole[..whole.len() / 2]).expect("the computer is ours");
    unharmed(&installed, &docker);
    fs::write(&plans, &whole).expect("the computer is ours");
    let index = installed.in_force("index");
    let entire = fs::read(&index).expect("it can be read");
    fs::write(&index, &entire[..entire.len() / 2]).expect("the computer is ours");
    unharmed(&installed, &docker);
    fs::write(&index, &entire).expect("the computer is ours");
    crate::host::set_driver(view, "560.35.03");
    unharmed(&installed, &docker);
    crate::host::set_driver(view, crate::host::DRIVER);
    assert_eq!(gpus(&installed, &ran(docker.run(&["--gpus", "device=0"]))), [0]);
}

fn unharmed(installed: &Installed, docker: &Docker) {
    assert_eq!(gpus(installed, &ran(docker.run(&[]))), [0; 0]);
    let device = ran(docker.run(&["--device", "/dev/zero:/dev/nvidia9"]));
    assert!(device.allowed().is_empty(), "{device:?}");
    refused(&docker.run(&["--gpus", "device=0"]), "plan-set");
}

/// Without its entry, without its program and without the real runtime no container starts, and one line says why.
pub(crate) fn not_whole(view: &View) {
    let (installed, docker) = set_up(view);
    let entry = "/etc/gpupol/entries/docker.json";
    let link = "/usr/local/sbin/gpupol-runtime.docker";
    for (missing, named) in
        [(entry, "gpupol: entry `docker` in `/etc/gpupol/entries`"), (HOOK, link), (link, link)]
    {
        docker.hold("before", &["--gpus", "device=2"]).expect("it starts");
        let (path, aside) = (view.path(missing), view.path(&format!("{missing}.aside")));
        fs::rename(&path, &aside).expect("the computer is ours");
        unsound(view, "docker", if missing == entry { "`docker`" } else { link });
        let outcome = docker.run(&[]);
        assert!(outcome.code != Some(0) && outcome.seen.is_none(), "{outcome:?}");
        let lines: Vec<&str> = outcome.said.lines().filter(|line| line.contains(named)).collect();
        assert_eq!(lines.len(), 1, "{missing}: {outcome:?}");
        assert_eq!(docker.says(&["inspect", "--format", "{{.State.Running}}", "before"]).trim(), "true");
        fs::rename(&aside, &path).expect("the computer is ours");
        assert_eq!(gpus(&installed, &docker.looks("before")), [2], "{missing}");
        docker.says(&["rm", "--force", "before"]);
        assert_eq!(gpus(&installed, &ran(docker.run(&["--gpus", "device=2"]))), [2], "{missing}");
    }
    view.write(entry, "{");
    let line = does_not_start(&docker.run(&[]));
    assert!(line.contains("entry `docker`"), "{line}");
}

/// Program and plan set are replaced by renames while containers start: each of them starts, with its GPU.
pub(crate) fn upgraded_under_load(view: &View) {
    const STARTS: usize = 12;
    let (installed, docker) = set_up(view);
    replaced_at_work(&installed);
    let results = thread::scope(|scope| {
        let starts = || (0..STARTS).map(|_| start(&docker)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(starts)).collect();
        let mut replaced = 0;
        while !threads.iter().all(thread::ScopedJoinHandle::is_finished) {
            replace(&installed, replaced);
            replaced += 1;
        }
        assert!(replaced > 2, "nothing was replaced meanwhile");
        threads.into_iter().flat_map(|thread| thread.join().expect("no start panics")).collect::<Vec<_>>()
    });
    assert_eq!(results.len(), 2 * STARTS);
    for (is_good, said) in results {
        assert!(is_good, "{said}");
    }
    assert_eq!(installed.leases(), 0);
}

/// Whether a container comes to a good end that needs the node of a GPU which it asks for. What it prints is nobody's business: Docker 26
/// loses the output of some that end at once.
fn start(docker: &Docker) -> (bool, String) {
    let node = format!("/dev/nvidia{}", GPUS[0].minor);
    let output = docker
        .command(&["run", "--rm", "--gpus", "device=0", IMAGE, "ls", &node])
        .output()
        .expect("nsenter runs");
    (output.status.success(), words(&output))
}

/// The program is replaced after an engine has started it, and before it says by which path its hook is to be called.
fn replaced_at_work(installed: &Installed) {
    let (view, bundle) = (installed.view, "/run/bundle");
    view.sh(&format!("mkdir {bundle} && runc spec --bundle {bundle}"));
    let mut config: Value =
        serde_json::from_str(&view.read(&format!("{bundle}/config.json"))).expect("runc wrote JSON");
    config["root"]["path"] = json!(view.dir.join("rootfs"));
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["sh", "-c", "ls /dev"]);
    config["annotations"] = json!({"gpupol.io/gpus": "1"});
    view.write(&format!("{bundle}/config.json"), &config.to_string());
    let said = view.sh(&format!(
        "exec 9<{HOOK} && cp {HOOK} {HOOK}.new && mv {HOOK}.new {HOOK}
        exec -a gpupol-runtime.docker /proc/self/fd/9 run --bundle {bundle} {}-replaced 2>&1",
        view.cgroup_parent()
    ));
    assert!(said.contains("nvidiactl"), "{said}");
}

/// A new program, as an upgrade puts it there, and a plan set of other policies.
fn replace(installed: &Installed, round: usize) {
    let new = installed.view.path("/usr/local/sbin/.gpupol-hook.new");
    fs::copy(installed.view.path(HOOK), &new).expect("the computer is ours");
    fs::rename(new, installed.view.path(HOOK)).expect("the computer is ours");
    let [old, new] = [round, round + 1]
        .map(|round| format!("at-most=3 default=1 {{ sharing time-slicing replicas={} }}", 8 + round % 2));
    installed.change_policies(&old, &new);
}
