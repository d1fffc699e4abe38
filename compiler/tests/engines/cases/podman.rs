//! Podman of root's, whose runtime is gpupol's by `containers.conf`.

use super::doctor::{sound, stays_installed, unsound};
use super::expect::{gpus, ran, refused};
use crate::installed::{HOOK, Installed};
use crate::podman::{Podman, SETTINGS, SETTINGS_OF_SITE};
use crate::view::View;

/// A line below `[engine]`.
const RUNC: &str = "runtime = \"runc\"\n";

fn set_up<'v>(view: &'v View, runtime: &str) -> (Installed<'v>, Podman<'v>) {
    let installed = Installed::new(view);
    view.write(SETTINGS, &(SETTINGS_OF_SITE.to_owned() + runtime));
    view.sh("gpupol install podman");
    let podman = Podman::new(&installed);
    sound(view, "podman");
    (installed, podman)
}

/// What containers get that ask, that do not, and that go around.
pub(crate) fn by_runc(view: &View) {
    lines(view, RUNC);
}

/// The same by Debian's default runtime.
pub(crate) fn by_crun(view: &View) {
    lines(view, "");
}

fn lines(view: &View, runtime: &str) {
    let (installed, podman) = set_up(view, runtime);
    for (options, indices) in [
        (&[][..], &[][..]),
        (&["--annotation", "gpupol.io/gpus=1"], &[0]),
        (&["--env", "NVIDIA_VISIBLE_DEVICES=0,2"], &[0, 2]),
        (&["--env", "NVIDIA_VISIBLE_DEVICES=all"], &[]),
    ] {
        assert_eq!(gpus(&installed, &ran(podman.run(options))), indices, "{options:?}");
    }
    let line = refused(&podman.run(&["--annotation", "gpupol.io/gpus=5"]), "too-many");
    assert!(line.starts_with("Error: "), "{line}");
    refused(&podman.run(&["--privileged"]), "guard");
    let dev = ran(podman.run(&["--volume", "/dev:/host/dev"]));
    assert_eq!(gpus(&installed, &dev), [0; 0]);
    let own = ["--env", "NVIDIA_VISIBLE_DEVICES=2"];
    podman.hold("own", &own);
    assert_eq!(gpus(&installed, &podman.looks("own")), [2]);
    refused(&podman.run(&own), "no-free-device");
    stays_installed(view, "podman");
    podman.says(&["restart", "--time", "0", "own"]);
    assert_eq!(gpus(&installed, &podman.looks("own")), [2]);
    podman.says(&["rm", "--force", "--time", "0", "own"]);
    assert_eq!(installed.leases(), 0);
}

/// Without its entry or its program no container starts; without a plan set those without GPUs do.
pub(crate) fn not_whole(view: &View) {
    let (_installed, podman) = set_up(view, RUNC);
    view.sh("mv /etc/gpupol/plans/current /etc/gpupol/plans/aside");
    ran(podman.run(&[]));
    refused(&podman.run(&["--annotation", "gpupol.io/gpus=1"]), "plan-set");
    view.sh("mv /etc/gpupol/entries/podman.json /etc/gpupol/entries/aside");
    unsound(view, "podman", "`podman`");
    // Podman asks the runtime twice, to start it and to clean up, and tells its user of the first.
    for missing in ["entry `podman` in `/etc/gpupol/entries`", "\"gpupol-runtime\" not found"] {
        let outcome = podman.run(&[]);
        assert!(outcome.code != Some(0) && outcome.seen.is_none(), "{outcome:?}");
        let lines: Vec<&str> = outcome.said.lines().filter(|line| line.starts_with("Error: ")).collect();
        assert!(lines.len() == 1 && lines.concat().contains(missing), "{outcome:?}");
        view.sh(&format!("mv {HOOK} {HOOK}.aside || true"));
    }
}
