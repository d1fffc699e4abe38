//! Who gets a daemon's pipes: its own grant's containers, and no one else's.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]
#![expect(clippy::disallowed_methods, reason = "a test writes its inputs and runs the command")]

#[cfg(test)]
mod ran;

use std::path::Path;

use serde_json::Value;

use ran::run;

/// Two grants give the same devices with the same capabilities, one of them through MPS.
const POLICY: &str = r#"policy version=1
tenant prod { identity kubernetes namespace="prod" }
trust watch reason="it profiles what is served" { identity kubernetes namespace="watch" }
gpu-set served { model "NVIDIA L40S" }
grant inference { to prod; gpus served; sharing mps clients=4; capabilities compute utility }
grant profiling { to watch; gpus served; capabilities compute utility }
"#;

fn topology() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("examples/topologies/l40s-4x-pcie.json").to_str().unwrap().to_owned()
}

/// What `gpupol plan` says of a container of that namespace.
fn plan(policy: &str, namespace: &str) -> Value {
    let place = tempfile::tempdir().unwrap();
    let container = format!("container engine=kubernetes namespace={namespace} {{ request gpus=1 }}\n");
    std::fs::write(place.path().join("p.kdl"), policy).unwrap();
    std::fs::write(place.path().join("w.txt"), container).unwrap();
    let args = ["plan", "p.kdl", "--topology", &topology(), "--workload", "w.txt", "--format", "json"];
    let ran = run(place.path(), &args);
    assert_eq!(ran.code, 0, "{ran}");
    serde_json::from_str(&ran.out).unwrap()
}

/// What is bound from a daemon's directory, and where.
fn of_daemons(plan: &Value) -> Vec<(&str, &str)> {
    let text =
        |edit: &'_ Value, key: &str| edit.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let edits = plan.get("edits").unwrap().as_array().unwrap();
    let paths = edits.iter().filter(|edit| text(edit, "hostPath").starts_with("/run/gpupol"));
    paths.map(|edit| (edit["hostPath"].as_str().unwrap(), edit["containerPath"].as_str().unwrap())).collect()
}

#[test]
fn a_plan_of_the_same_devices_has_no_daemon() {
    let client = plan(POLICY, "prod");
    let directory = "/run/gpupol/mps/inference/GPU-0000000e-0000-4000-8000-000000000000";
    let [pipe, shm] = ["pipe", "shm"].map(|below| format!("{directory}/{below}"));
    assert_eq!(of_daemons(&client), [(pipe.as_str(), "/tmp/nvidia-mps"), (shm.as_str(), "/dev/shm")]);
    let watch = plan(POLICY, "watch");
    assert_eq!(watch.get("devices").unwrap().as_array().unwrap().len(), 4, "{watch:#}");
    assert_eq!(of_daemons(&watch), []);
    assert_eq!(watch.get("mpsDaemons"), None);
}

/// A GPU in another compute mode, and one that is too old, are given to nobody.
#[test]
fn gpus_that_are_not_ready_are_named() {
    let place = tempfile::tempdir().unwrap();
    let mut host: Value = serde_json::from_str(&std::fs::read_to_string(topology()).unwrap()).unwrap();
    let gpus = host.get_mut("gpus").unwrap().as_array_mut().unwrap();
    let modes =
        [Value::from("default"), Value::from("prohibited"), serde_json::json!({ "unknown": "not asked" })];
    for (gpu, mode) in gpus.iter_mut().zip(modes) {
        gpu.as_object_mut().unwrap().insert("computeMode".to_owned(), mode);
    }
    gpus[3].as_object_mut().unwrap().insert("computeCapability".to_owned(), "6.1".into());
    std::fs::write(place.path().join("h.json"), host.to_string()).unwrap();
    std::fs::write(place.path().join("p.kdl"), POLICY).unwrap();
    let ran = run(place.path(), &["check", "p.kdl", "--topology", "h.json", "--format", "json"]);
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    let findings = said.get("diagnostics").unwrap().as_array().unwrap();
    let unready = findings.iter().filter(|finding| finding.get("code").unwrap() == "GP4022");
    let messages: Vec<&str> =
        unready.map(|finding| finding.get("message").unwrap().as_str().unwrap()).collect();
    let beside = "in which a process can have the GPU beside the daemon";
    assert_eq!(
        messages,
        [
            format!("GPU 0 of `h.json` is given through MPS, and the compute mode is `default`, {beside}"),
            format!("GPU 1 of `h.json` is given through MPS, and the compute mode is `prohibited`, {beside}"),
            format!("GPU 2 of `h.json` is given through MPS, and the compute mode is unknown (not asked), {beside}"),
            "GPU 3 of `h.json` is given through MPS, and the compute capability is 6.1, and MPS keeps clients apart from 7.0 on".to_owned(),
        ]
    );
    assert_eq!(ran.code, 1);
}
