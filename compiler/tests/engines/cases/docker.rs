//! Docker, whose default runtime is gpupol's.

use std::collections::BTreeSet;

use serde_json::Value;

use super::doctor::{sound, stays_installed};
use super::expect::{assert_sees, does_not_start, gpus, ran, refused};
use crate::docker::{Docker, SETTINGS, settings_of_site};
use crate::installed::Installed;
use crate::view::View;

/// Makes gpupol Docker's default runtime, with one more runtime for another tenant, and starts dockerd.
pub(crate) fn set_up(view: &View) -> (Installed<'_>, Docker<'_>) {
    let installed = Installed::new(view);
    install(&installed);
    let docker = Docker::start(&installed);
    sound(view, "docker");
    (installed, docker)
}

/// The daemon's default runtime, and one of its own for another tenant.
pub(crate) fn install(installed: &Installed) {
    let view = installed.view;
    view.write(SETTINGS, &format!("{:#}\n", settings_of_site(view)));
    view.sh("gpupol install docker");
    view.sh("gpupol install docker --runtime-name gpupol-research --ask-by-env");
}

/// What is uninstalled leaves the files as they were, and Docker as it was.
pub(crate) fn uninstalled(view: &View) {
    let installed = Installed::new(view);
    let before = view.sh(FILES);
    install(&installed);
    let with = view.sh(FILES);
    let mut docker = Docker::start(&installed);
    docker.hold("own", &["--gpus", "device=2"]).expect("it starts");
    view.sh("gpupol install docker");
    assert_eq!(view.sh(FILES), with, "what is installed already is changed by another time");
    // Without the link nobody could stop it any more.
    stays_installed(view, "docker");
    assert_eq!(view.sh(FILES), with);
    docker.says(&["rm", "--force", "own"]);
    view.sh("gpupol uninstall docker --name gpupol-research");
    view.sh("gpupol uninstall docker");
    let site = format!("{:#}\n", settings_of_site(view));
    assert_eq!(view.read(SETTINGS), site);
    view.sh(&format!("rm {SETTINGS}"));
    assert_eq!(view.sh(FILES), before);
    view.write(SETTINGS, &site);
    docker.end_daemon("TERM");
    docker.start_daemon();
    ran(docker.run(&[]));
    let outcome = docker.run(&["--gpus", "1"]);
    assert!(outcome.said.contains("could not select device driver"), "{outcome:?}");
}

/// Every file of where gpupol installs something, with its mode, owner and digest. dockerd makes a key of its own.
const FILES: &str = r"cd / && find etc/docker etc/gpupol etc/containers usr/local ! -name key.json -printf '%p %y %m %u %l\n' | sort
    find etc/docker etc/gpupol etc/containers usr/local -type f ! -name key.json -exec sha256sum {} + | sort";

/// The lines that this field's users type, and what each gives.
pub(crate) fn usual_lines(view: &View) {
    let (installed, docker) = set_up(view);
    for (options, indices) in [
        (&[][..], &[][..]),
        (&["--gpus", "all"], &[0]),
        (&["--gpus", "2"], &[0, 1]),
        (&["--gpus", "device=0"], &[0]),
        (&["--gpus", "\"device=0,2\""], &[0, 2]),
        (&["--gpus", "device=GPU-00000000-0000-4000-8000-000000000003"], &[3]),
        (&["--gpus", "\"device=0\",\"capabilities=compute,utility\""], &[0]),
        (&["--runtime", "gpupol-research", "--env", "NVIDIA_VISIBLE_DEVICES=all"], &[2]),
        (&["--env", "NVIDIA_VISIBLE_DEVICES=all"], &[]),
    ] {
        let seen = ran(docker.run(options));
        assert_eq!(gpus(&installed, &seen), indices, "{options:?}");
        assert_eq!(seen.files.is_empty(), indices.is_empty(), "{options:?}: {seen:?}");
    }
    let utility = ran(docker.run(&["--gpus", "\"device=0\",\"capabilities=utility\""]));
    assert!(!utility.files.keys().any(|path| path.contains("libcuda")), "{utility:?}");
    for (path, file) in &utility.files {
        assert!(
            path.ends_with("/socket") || file.line.starts_with("made ") || file.line.starts_with("#!"),
            "{path}: {file:?}"
        );
        assert!(file.write != "written" && file.mount.contains("ro"), "{path}: {file:?}");
    }
    refused(&docker.run(&["--gpus", "5"]), "too-many");
    refused(&docker.run(&["--gpus", "device=4"]), "device-not-granted");
    let events: Vec<Value> = installed.audit().iter().map(|record| record["event"].clone()).collect();
    let count = |event: &str| events.iter().filter(|found| *found == event).count();
    assert_eq!((count("start"), count("stop"), count("refusal")), (8, 10, 2), "{events:?}");
    assert_eq!(installed.leases(), 0);
}

/// A shared and a dedicated GPU side by side: A has 0 and 1, B has 0, 2 and 3, C has 3, and 2 is B's alone.
pub(crate) fn side_by_side(view: &View) {
    let (installed, docker) = set_up(view);
    let containers =
        [("a1", "device=0,1", &[0, 1][..]), ("b1", "device=0,2,3", &[0, 2, 3]), ("c1", "device=3", &[3])];
    for (name, devices, indices) in containers {
        docker.hold(name, &["--gpus", &format!("\"{devices}\"")]).expect("it starts");
        assert_eq!(gpus(&installed, &docker.looks(name)), indices, "{name}");
    }
    for (name, _, indices) in containers {
        assert_eq!(gpus(&installed, &docker.looks(name)), indices, "{name}, beside the others");
    }
    let line = refused(&docker.run(&["--gpus", "device=2"]), "no-free-device");
    assert!(line.contains("docker: Error response from daemon"), "{line}");
    refused(&docker.run(&["--runtime", "gpupol-research", "--gpus", "1"]), "no-free-device");
    docker.says(&["rm", "--force", "b1"]);
    assert_eq!(gpus(&installed, &ran(docker.run(&["--gpus", "device=2"]))), [2]);
    docker.says(&["rm", "--force", "a1", "c1"]);
    assert_eq!(installed.leases(), 0);
}

/// What goes around a plan elsewhere: it is contained, asked for or not.
pub(crate) fn bypasses(view: &View) {
    let (installed, docker) = set_up(view);
    let node = view.path("/dev/nvidia2");
    crate::host::make_node(&node, crate::host::MAJOR, 2);
    for options in [
        &["--privileged"][..],
        &["--privileged", "--gpus", "device=0"],
        &["--cap-add", "SYS_ADMIN"],
        &["--pid", "host"],
    ] {
        refused(&docker.run(options), "guard");
    }
    for options in [
        &["--device", "/dev/nvidia2"][..],
        &["--volume", "/dev:/host/dev", "--device-cgroup-rule", "c 195:* rmw"],
        &["--device-cgroup-rule", "c 195:* rw", "--volume", "/dev/nvidia2:/dev/zero2"],
    ] {
        let seen = docker.run(options);
        let seen = ran(seen);
        assert_eq!(seen.allowed(), BTreeSet::new(), "{options:?}: {seen:?}");
        let with_gpu = ran(docker.run(&[options, &["--gpus", "device=0"]].concat()));
        assert_eq!(gpus_allowed(&with_gpu), [0], "{options:?}: {with_gpu:?}");
    }
    assert_eq!(ran(docker.run(&["--volume", "/dev:/dev"])).allowed(), BTreeSet::new());
    refused(&docker.run(&["--volume", "/dev:/dev", "--gpus", "device=0"]), "bad-request");
    let line = does_not_start(&docker.run(&["--runtime", "runc", "--gpus", "1"]));
    assert!(line.contains("runc"), "{line}");
    // Whoever may use the socket may choose it, and is root; what it then brings along nobody of gpupol's is asked about.
    let runc = ran(docker.run(&["--runtime", "runc"]));
    assert_sees(&runc, &BTreeSet::new());
    assert_eq!(installed.leases(), 0);
}

fn gpus_allowed(seen: &crate::oracle::Seen) -> Vec<usize> {
    let gpus = crate::host::GPUS.iter().enumerate();
    gpus.filter(|(_, gpu)| seen.allowed().contains(&(crate::host::MAJOR, gpu.minor)))
        .map(|(index, _)| index)
        .collect()
}
