//! Compose's three ways to ask for GPUs.

use serde_json::{Value, json};

use super::docker::set_up;
use super::expect::{gpus, refused};
use crate::docker::{IMAGE, outcome};
use crate::oracle::SCRIPT;
use crate::view::View;

/// Reservations of devices, a runtime of one's own, and devices by their nodes, which go around the plan and are contained.
pub(crate) fn three_ways(view: &View) {
    let (installed, _docker) = set_up(view);
    crate::host::make_node(&view.path("/dev/nvidia2"), crate::host::MAJOR, 2);
    let reserve = |mut device: Value| {
        device["driver"] = json!("nvidia");
        device["capabilities"] = json!(["gpu"]);
        json!({"deploy": {"resources": {"reservations": {"devices": [device]}}}})
    };
    let run = |service: Value| run(view, service);
    for (service, indices) in [
        (reserve(json!({"count": 1})), &[0][..]),
        (reserve(json!({"count": "all"})), &[0]),
        (reserve(json!({"device_ids": ["0", "2"]})), &[0, 2]),
        (json!({"runtime": "gpupol-research", "environment": ["NVIDIA_VISIBLE_DEVICES=all"]}), &[2]),
        (json!({"runtime": "gpupol-research"}), &[]),
    ] {
        let outcome = run(service.clone());
        let seen = outcome.seen.as_ref().unwrap_or_else(|| panic!("{service}: {outcome:?}"));
        assert_eq!(gpus(&installed, seen), indices, "{service}");
    }
    let nodes = run(json!({"devices": ["/dev/nvidia2:/dev/nvidia2"]}));
    assert!(nodes.seen.as_ref().is_some_and(|seen| seen.allowed().is_empty()), "{nodes:?}");
    refused(&run(reserve(json!({"device_ids": ["4"]}))), "device-not-granted");
    assert_eq!(installed.leases(), 0);
}

/// `docker-compose run` of a service that looks around.
fn run(view: &View, mut service: Value) -> crate::docker::Outcome {
    service["image"] = json!(IMAGE);
    service["network_mode"] = json!("none");
    let file = json!({"services": {"look": service}});
    view.write("/tmp/compose.yaml", &file.to_string());
    let mut command = view.command("docker-compose");
    command.args([
        "--file",
        "/tmp/compose.yaml",
        "--project-name",
        "gpupol",
        "run",
        "--rm",
        "-T",
        "look",
        "sh",
        "-c",
        SCRIPT,
    ]);
    outcome(&command.output().expect("nsenter runs"))
}
