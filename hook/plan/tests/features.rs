//! Features: who asks for which, and who gets them.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability;
use gpupol_plan::choose::{Leases, choose};
use gpupol_plan::config::Config;
use gpupol_plan::entry::Entry;
use gpupol_plan::feature::Feature;
use gpupol_plan::index::RequestIndices;
use gpupol_plan::plan::Plan;
use gpupol_plan::request::{Capabilities, Devices, Request, request};
use serde_json::{Value, json};

fn asked(engine: &str, annotations: Value, env: &[&str]) -> Result<Option<Request>, String> {
    let entry = json!({"entryVersion": 1, "engine": engine, "form": "hook", "allocate": true,
        "plans": "/p", "stateDir": "/s", "audit": "/a"});
    let config = json!({"annotations": annotations, "process": {"env": env}});
    let entry = Entry::parse(entry.to_string().as_bytes()).unwrap();
    let config = Config::parse(config.to_string().as_bytes()).unwrap();
    request(RequestIndices::Auto, &entry, &config).map_err(|refusal| refusal.message)
}

/// The features that a container asks for beside a GPU.
fn by_variables(env: &[&str]) -> Result<Vec<Feature>, String> {
    asked("containerd", json!({"gpupol.io/gpus": "1"}), env)
        .map(|request| request.unwrap().features.into_iter().collect())
}

#[test]
fn nvidias_variables_ask_by_their_exact_values() {
    let rows: [(&[&str], &[Feature]); 12] = [
        (&[], &[]),
        (&["NVIDIA_GDS=enabled"], &[Feature::Gds]),
        (&["NVIDIA_GDS=Enabled"], &[]),
        (&["NVIDIA_GDS=1"], &[]),
        (&["NVIDIA_GDS=enabled", "NVIDIA_GDS=disabled"], &[]),
        (&["NVIDIA_GDRCOPY=enabled"], &[Feature::Gdrcopy]),
        (&["NVIDIA_MOFED=enabled"], &[Feature::GpudirectRdma]),
        (&["NVIDIA_NVSWITCH=enabled"], &[Feature::Nvswitch]),
        (&["NVIDIA_IMEX_CHANNELS=3,0"], &[Feature::Imex(Some(0)), Feature::Imex(Some(3))]),
        (&["NVIDIA_IMEX_CHANNELS=all"], &[]),
        (&["NVIDIA_IMEX_CHANNELS="], &[]),
        (&["NVIDIA_MOFED=enabled", "NVIDIA_GDS=enabled"], &[Feature::Gds, Feature::GpudirectRdma]),
    ];
    for (env, features) in rows {
        assert_eq!(by_variables(env).unwrap(), features, "{env:?}");
    }
    assert_eq!(
        by_variables(&["NVIDIA_IMEX_CHANNELS=x"]).unwrap_err(),
        "NVIDIA_IMEX_CHANNELS has `x`, which is no channel"
    );
}

#[test]
fn the_annotation_lists_features_by_name() {
    let listed = |list: &str| asked("crio", json!({"gpupol.io/gpus": "1", "gpupol.io/features": list}), &[]);
    let features: Vec<Feature> = listed("gds, imex/7,imex").unwrap().unwrap().features.into_iter().collect();
    assert_eq!(features, [Feature::Gds, Feature::Imex(None), Feature::Imex(Some(7))]);
    assert_eq!(listed("gds,rdma").unwrap_err(), "gpupol.io/features has `rdma`, which is no feature");
}

#[test]
fn docker_without_annotations_has_a_variable_and_the_others_have_not() {
    let env = &["NVIDIA_VISIBLE_DEVICES=0", "GPUPOL_FEATURES=gds"];
    assert_eq!(asked("docker", json!({}), env).unwrap().unwrap().features, [Feature::Gds].into());
    assert!(asked("podman", json!({}), env).unwrap().unwrap().features.is_empty());
}

#[test]
fn features_alone_ask_for_nothing() {
    assert_eq!(asked("containerd", json!({"gpupol.io/features": "gds"}), &["NVIDIA_GDS=enabled"]), Ok(None));
    assert_eq!(asked("containerd", json!({"gpupol.io/features": "no such"}), &[]), Ok(None));
}

fn node(path: &str, minor: u32) -> Value {
    json!({"kind": "device-node", "hostPath": path, "containerPath": path, "major": 504, "minor": minor,
        "fileMode": 438, "permissions": "rw"})
}

/// `gds` and two channels, of which the host lacks the second.
fn plan() -> Plan {
    let rule = json!({"file": "a.kdl", "line": 1, "name": "grant g"});
    let device = json!({"uuid": "GPU-0", "index": "0", "pci": "0000:00:00.0",
        "gpu": {"nvidia": {"uuid": "GPU-0", "minor": 0}}, "edits": [node("/dev/nvidia0", 0)]});
    let line = json!({"gpuSet": "a", "rule": rule, "atMost": 1, "default": 1, "sharing": {"mode": "exclusive"}, "order": "ranked",
        "devices": [device], "slots": null});
    let plan = json!({"planVersion": 1, "tenant": "t", "grant": "g", "policyDigest": "", "topologyDigest": "",
    "rule": rule, "capabilitiesRule": rule, "host": {"bootId": null, "driverVersion": null}, "capabilities": ["compute"],
    "lines": [line], "edits": {"nvidia": [node("/dev/nvidiactl", 255)]}, "features": [
        {"feature": "gds", "rule": rule, "edits": [node("/dev/nvidia-fs0", 1), node("/dev/nvidia-fs1", 2)]},
        {"feature": "imex/0", "rule": rule, "edits": [node("/dev/channel0", 3)]},
        {"feature": "imex/1", "rule": rule, "lacking": "the host does not have this channel"},
    ]});
    Plan::parse(plan.to_string().as_bytes()).unwrap()
}

/// The paths that a request for these features leads to, or the refusal.
fn given(features: &[Feature]) -> Result<Vec<String>, (&'static str, String)> {
    let request = Request {
        devices: Devices::Default,
        capabilities: Capabilities::Named([Capability::Compute].into()),
        features: features.iter().copied().collect::<BTreeSet<_>>(),
        grant: None,
        tenant: None,
        requirements: Vec::new(),
    };
    let plan = plan();
    let choice = choose(&plan, &request, &Leases::new())
        .map_err(|refusal| (refusal.reason.slug(), refusal.message))?;
    Ok(choice.edits(&plan).into_iter().map(|(_, edit)| edit.container_path().unwrap().to_owned()).collect())
}

#[test]
fn a_feature_is_given_to_who_asks_and_to_nobody_else() {
    let devices = ["/dev/nvidiactl", "/dev/nvidia0"];
    assert_eq!(given(&[]).unwrap(), devices);
    assert_eq!(given(&[Feature::Imex(Some(0))]).unwrap(), [devices[0], devices[1], "/dev/channel0"]);
    let both = [Feature::Imex(Some(0)), Feature::Gds];
    let paths = [devices[0], devices[1], "/dev/nvidia-fs0", "/dev/nvidia-fs1", "/dev/channel0"];
    assert_eq!(given(&both).unwrap(), paths);
}

#[test]
fn what_is_not_granted_or_not_there_is_refused() {
    let (reason, message) = given(&[Feature::Gds, Feature::Nvswitch]).unwrap_err();
    assert_eq!(reason, "feature-not-granted");
    assert_eq!(message, "feature `nvswitch` is not among those of grant `g`: gds, imex/0, imex/1");
    assert_eq!(given(&[Feature::Imex(Some(2))]).unwrap_err().0, "feature-not-granted");
    let (reason, message) = given(&[Feature::Imex(Some(1))]).unwrap_err();
    assert_eq!(reason, "feature-lacking");
    assert_eq!(message, "feature `imex/1` cannot be given on this host: the host does not have this channel");
    assert_eq!(
        given(&[Feature::Imex(None)]).unwrap_err().0,
        "feature-lacking",
        "as a whole it is every granted one"
    );
}
