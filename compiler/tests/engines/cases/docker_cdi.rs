//! CDI devices of somebody else's that Docker, since 25, puts into a container itself.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::expect::{does_not_start, gpus, ran};
use crate::docker::{Docker, SETTINGS, settings_of_site};
use crate::host::{GPUS, MAJOR, make_node};
use crate::installed::Installed;
use crate::oracle::Answer;
use crate::view::{View, succeeds};

/// They are there and do not open, the doctor finds them, and nobody installs gpupol beside them.
pub(crate) fn contained(view: &View) {
    let installed = Installed::new(view);
    let with_cdi = |cdi: bool| {
        let mut settings = settings_of_site(view);
        settings["features"] = json!({ "cdi": cdi });
        view.write(SETTINGS, &format!("{settings:#}\n"));
    };
    for gpu in &GPUS[..2] {
        make_node(&view.path(&format!("/dev/nvidia{}", gpu.minor)), MAJOR, gpu.minor);
    }
    view.write("/etc/cdi/nvidia.json", &specification().to_string());
    with_cdi(true);
    let said = view.sh("gpupol install docker 2>&1 && exit 1 || true");
    assert!(said.contains("with `/etc/cdi/nvidia.json` there, Docker since 28.3"), "{said}");
    with_cdi(false);
    view.sh("gpupol install docker");
    super::doctor::sound(view, "docker");
    // Somebody switches it on later.
    let text = view.read(SETTINGS);
    assert!(text.contains("\"cdi\": false"), "{text}");
    view.write(SETTINGS, &text.replace("\"cdi\": false", "\"cdi\": true"));
    super::doctor::unsound_but_guarded(view, "docker", "/etc/cdi/nvidia.json");
    let docker = Docker::start(&installed);
    let outcome = docker.run(&["--device", "nvidia.com/gpu=0"]);
    if succeeds(view.command("dockerd").arg("--version")).contains(" 20.") {
        assert!(outcome.code != Some(0) && outcome.seen.is_none(), "{outcome:?}");
        return;
    }
    let seen = ran(outcome);
    assert_eq!(seen.allowed(), BTreeSet::new(), "{seen:?}");
    let given = seen
        .nodes
        .values()
        .any(|node| (node.number, &node.answer) == ((MAJOR, GPUS[0].minor), &Answer::Denied));
    assert!(given, "{seen:?}");
    installed.change_policies("on-denied refuse", "on-denied refuse\n    on-bypass refuse");
    let line = does_not_start(&docker.run(&["--device", "nvidia.com/gpu=0"]));
    assert!(line.contains("(gpu-node)") && line.contains("(guard)"), "{line}");
    assert_eq!(gpus(&installed, &ran(docker.run(&["--gpus", "1"]))), [0]);
}

/// As NVIDIA's toolkit writes it, without the driver's files.
fn specification() -> Value {
    let node = |index: usize| json!([{ "path": format!("/dev/nvidia{}", GPUS[index].minor) }]);
    let hook = json!({ "hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook", "args": ["nvidia-cdi-hook", "update-ldcache"] });
    json!({
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": [
            { "name": "0", "containerEdits": { "deviceNodes": node(0) } },
            { "name": "1", "containerEdits": { "deviceNodes": node(1) } },
        ],
        "containerEdits": { "env": ["NVIDIA_VISIBLE_DEVICES=void"], "hooks": [hook] },
    })
}
