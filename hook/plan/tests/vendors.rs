//! Plans with GPUs of two vendors: whoever gets one vendor's gets nothing of the other's.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]

use std::collections::BTreeSet;

use gpupol_plan::choose::{Leases, choose};
use gpupol_plan::plan::Plan;
use gpupol_plan::refusal::{Reason, Refusal};
use gpupol_plan::request::{Capabilities, Devices, Request};
use gpupol_plan::requirement::Requirement;
use serde_json::{Value, json};

fn node(path: &str, minor: u32) -> Value {
    json!({"kind": "device-node", "hostPath": path, "containerPath": path, "major": 200, "minor": minor,
        "fileMode": 438, "permissions": "rw"})
}

/// An NVIDIA GPU, a whole board of AMD, and a part of another one.
fn plan() -> Plan {
    let rule = json!({"file": "a.kdl", "line": 1, "name": "grant g"});
    let nvidia = json!({"uuid": "GPU-n", "index": "0", "pci": "0000:01:00.0",
        "gpu": {"nvidia": {"uuid": "GPU-n", "minor": 0}}, "edits": [node("/dev/nvidia0", 0)]});
    let board = json!({"uuid": "GPU-a", "index": "1", "pci": "0000:02:00.0",
        "gpu": {"amd": {"minor": 128}}, "edits": [node("/dev/dri/renderD128", 128)]});
    let part = json!({"uuid": "GPU-b-1of2", "index": "2", "pci": "0000:03:00.0",
        "gpu": {"amd": {"minor": 130, "partition": 1}}, "edits": [node("/dev/dri/renderD130", 130)]});
    let line = json!({"gpuSet": "s", "rule": rule, "atMost": 3, "default": 1, "sharing": {"mode": "exclusive"},
        "order": "ranked", "devices": [nvidia, board, part], "slots": null});
    let plan = json!({"planVersion": 1, "tenant": "t", "grant": "g", "policyDigest": "", "topologyDigest": "",
        "rule": rule, "capabilitiesRule": rule, "host": {"bootId": null, "driverVersion": null, "cudaVersion": "12.4"},
        "capabilities": ["compute"], "lines": [line],
        "edits": {"nvidia": [node("/dev/nvidiactl", 255)], "amd": [node("/dev/kfd", 1)]}});
    Plan::parse(plan.to_string().as_bytes()).unwrap()
}

fn paths(names: &[&str], requirements: &[(&str, &str)]) -> Result<Vec<String>, Refusal> {
    let requirement = |(variable, text): &(&str, &str)| Requirement {
        variable: (*variable).to_owned(),
        text: (*text).to_owned(),
    };
    let request = Request {
        devices: Devices::Named(names.iter().map(|name| (*name).to_owned()).collect()),
        capabilities: Capabilities::All,
        features: BTreeSet::new(),
        grant: None,
        tenant: None,
        requirements: requirements.iter().map(requirement).collect(),
    };
    let plan = plan();
    let choice = choose(&plan, &request, &Leases::new())?;
    Ok(choice.edits(&plan).into_iter().map(|(_, edit)| edit.container_path().unwrap().to_owned()).collect())
}

#[test]
fn shared_nodes_come_with_their_vendors_gpus_only() {
    let table: [(&[&str], &[&str]); 4] = [
        (&["0"], &["/dev/nvidiactl", "/dev/nvidia0"]),
        (&["1"], &["/dev/kfd", "/dev/dri/renderD128"]),
        (&["1", "2"], &["/dev/kfd", "/dev/dri/renderD128", "/dev/dri/renderD130"]),
        (&["0", "1"], &["/dev/nvidiactl", "/dev/kfd", "/dev/nvidia0", "/dev/dri/renderD128"]),
    ];
    for (names, expected) in table {
        assert_eq!(paths(names, &[]).unwrap(), expected, "{names:?}");
    }
}

#[test]
fn an_address_names_whole_boards_only() {
    assert_eq!(paths(&["0000:02:00.0"], &[]).unwrap(), ["/dev/kfd", "/dev/dri/renderD128"]);
    assert_eq!(paths(&["0000:03:00.0"], &[]).unwrap_err().reason, Reason::DeviceNotGranted);
    assert_eq!(paths(&["GPU-b-1of2"], &[]).unwrap(), ["/dev/kfd", "/dev/dri/renderD130"]);
}

#[test]
fn what_images_require_of_nvidia_no_other_has() {
    let cuda = [("NVIDIA_REQUIRE_CUDA", "cuda>=12.0")];
    assert!(paths(&["0"], &cuda).is_ok());
    let refusal = paths(&["0", "1"], &cuda).unwrap_err();
    assert_eq!(refusal.reason, Reason::Requirement);
    assert_eq!(refusal.message, "`NVIDIA_REQUIRE_CUDA` requires `cuda>=12.0`, and device 1 is a GPU of AMD");
}
