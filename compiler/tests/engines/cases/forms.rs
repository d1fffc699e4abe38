//! The other forms: those that guard less, and another daemon of the same host.

use super::expect::{gpus, ran, refused};
use crate::docker::{Docker, SETTINGS, settings_of_another, settings_of_site};
use crate::host::{GPUS, MAJOR, make_node};
use crate::installed::Installed;
use crate::oracle::Seen;
use crate::podman::{self, Podman, SETTINGS_OF_SITE};
use crate::view::View;

/// `--gpus-only`: who asks is decided about, and nobody guards the others.
pub(crate) fn gpus_only(view: &View) {
    let installed = Installed::new(view);
    view.write(SETTINGS, &settings_of_site(view).to_string());
    view.sh("gpupol install docker --gpus-only");
    let docker = Docker::start(&installed);
    let given = |options: &[&str]| gpus(&installed, &ran(docker.run(options)));
    assert_eq!(given(&[]), [0; 0]);
    assert_eq!(given(&["--gpus", "all"]), [0]);
    assert_eq!(given(&["--gpus", "\"device=0,2\""]), [0, 2]);
    refused(&docker.run(&["--gpus", "5"]), "too-many");
    make_node(&view.path("/dev/nvidia2"), MAJOR, 2);
    let around = ran(docker.run(&["--device", "/dev/nvidia2"]));
    assert_eq!(opened(&around), [2], "who asks by no `--gpus` is guarded by nobody");
    refused(&docker.run(&["--gpus", "device=0", "--device", "/dev/nvidia2", "--privileged"]), "guard");
    assert_eq!(installed.leases(), 0);
}

/// A runtime of its own beside the default one, which stays as it was.
pub(crate) fn named_runtime(view: &View) {
    let installed = Installed::new(view);
    view.write(SETTINGS, &settings_of_site(view).to_string());
    view.sh("gpupol install docker --runtime-name gpupol-research");
    let docker = Docker::start(&installed);
    let default = docker.says(&["info", "--format", "{{.DefaultRuntime}}"]);
    assert_eq!(default.trim(), "runc");
    let given = |options: &[&str]| {
        gpus(&installed, &ran(docker.run(&[&["--runtime", "gpupol-research"], options].concat())))
    };
    assert_eq!(given(&[]), [0; 0]);
    assert_eq!(
        given(&["--env", "NVIDIA_VISIBLE_DEVICES=all"]),
        [0; 0],
        "every image says so, and nobody was told to listen"
    );
    assert_eq!(given(&["--env", "NVIDIA_VISIBLE_DEVICES=2"]), [2]);
    refused(
        &docker.run(&["--runtime", "gpupol-research", "--env", "NVIDIA_VISIBLE_DEVICES=0"]),
        "device-not-granted",
    );
    assert_eq!(gpus(&installed, &ran(docker.run(&[]))), [0; 0]);
}

/// A tenant's own daemon beside the host's.
pub(crate) fn another_daemon(view: &View) {
    let installed = Installed::new(view);
    installed.change_policies(
        "identity docker runtime=gpupol-research",
        "identity docker runtime=gpupol-research\n    identity docker daemon=prod",
    );
    view.write(SETTINGS, &settings_of_site(view).to_string());
    view.write("/srv/prod.json", &settings_of_another(view, "prod").to_string());
    view.sh("gpupol install docker");
    view.sh("gpupol install docker --daemon prod --config /srv/prod.json");
    let docker = Docker::start(&installed);
    let prod = Docker::start_another(&installed, "prod");
    prod.hold("own", &["--gpus", "all"]).expect("it starts");
    assert_eq!(gpus(&installed, &prod.looks("own")), [2]);
    assert_eq!(gpus(&installed, &ran(docker.run(&["--gpus", "all"]))), [0]);
    refused(&docker.run(&["--gpus", "device=2"]), "no-free-device");
    refused(&prod.run(&["--gpus", "device=1"]), "device-not-granted");
    prod.says(&["rm", "--force", "own"]);
    assert_eq!(installed.leases(), 0);
}

/// Podman's own stage before a container is made, which Podman leaves out if its program is gone.
pub(crate) fn precreate(view: &View) {
    let (installed, podman) = podman(view, "gpupol install podman --form precreate");
    let asks = ["--annotation", "gpupol.io/gpus=1"];
    assert_eq!(gpus(&installed, &ran(podman.run(&[]))), [0; 0]);
    assert_eq!(gpus(&installed, &ran(podman.run(&asks))), [0]);
    let refusal = podman.run(&["--annotation", "gpupol.io/gpus=5"]);
    assert!(refusal.code != Some(0) && refusal.seen.is_none(), "{refusal:?}");
    // Podman does not show what the hook says.
    assert_eq!(installed.audit().last().map(|record| record["reason"].clone()), Some("too-many".into()));
    assert_eq!(gpus(&installed, &ran(podman.run(&["--volume", "/dev:/host/dev"]))), [0; 0]);
    view.sh("mv /usr/local/sbin/gpupol-hook /usr/local/sbin/aside");
    assert_eq!(gpus(&installed, &ran(podman.run(&asks))), [0; 0], "the hook is left out");
}

/// Devices of CDI bring the hook.
pub(crate) fn cdi(view: &View) {
    let (installed, podman) = podman(view, "gpupol install podman --form cdi");
    view.sh(
        "mkdir -p /etc/cdi && gpupol export cdi /etc/gpupol/policies --topology /etc/gpupol/host.json --entry podman \
         --hook /usr/local/sbin/gpupol-hook -o /etc/cdi/gpupol.json",
    );
    let device = |name: &str| format!("--device=gpupol.io/gpu=desks.sharing.{name}");
    assert_eq!(gpus(&installed, &ran(podman.run(&[&device("0")]))), [0]);
    assert_eq!(gpus(&installed, &ran(podman.run(&[&device("2")]))), [2]);
    assert_eq!(gpus(&installed, &ran(podman.run(&[]))), [0; 0]);
    assert_eq!(installed.leases(), 0);
}

fn podman<'v>(view: &'v View, install: &str) -> (Installed<'v>, Podman<'v>) {
    let installed = Installed::new(view);
    view.write(podman::SETTINGS, &(SETTINGS_OF_SITE.to_owned() + "runtime = \"runc\"\n"));
    view.sh(install);
    let podman = Podman::new(&installed);
    (installed, podman)
}

/// The GPUs, by index, whose node opened, whatever else did.
fn opened(seen: &Seen) -> Vec<usize> {
    let gpus = GPUS.iter().enumerate().filter(|(_, gpu)| seen.allowed().contains(&(MAJOR, gpu.minor)));
    gpus.map(|(index, _)| index).collect()
}
