//! `gpupol plan --config` on what docker, podman and runc really write (`tests/configs/`).
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test program: it reads files and runs gpupol"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// `docker run --gpus 2`, with the label that Docker 20.10 cannot hand on as a variable.
#[test]
fn docker_gpus_2() {
    let (code, plan) = plan("docker.json", &entry("docker", Some("gpupol-research")), &[]);
    assert_eq!(
        (code, &plan["tenant"], &plan["grant"]),
        (0, &json!("research"), &json!("training")),
        "{plan:#}"
    );
    assert_eq!(indices(&plan), ["0", "1"], "{plan:#}");
}

/// The same through the daemon's default runtime is nobody's.
#[test]
fn docker_by_another_runtime() {
    let (code, plan) = plan("docker.json", &entry("docker", None), &[]);
    assert_eq!(
        (code, &plan["outcome"], &plan["reason"]),
        (4, &json!("denied"), &json!("no-tenant")),
        "{plan:#}"
    );
}

/// Without `--gpus` nothing is asked, through whatever entry.
#[test]
fn docker_without_gpus() {
    for runtime in [None, Some("gpupol-research")] {
        let (code, plan) = plan("docker-plain.json", &entry("docker", runtime), &[]);
        assert_eq!((code, &plan["outcome"]), (0, &json!("not-asked")), "{plan:#}");
    }
}

/// `podman run --annotation gpupol.io/gpus=1 --annotation stage=dev`.
#[test]
fn podman_annotation() {
    let (code, plan) = plan("podman.json", &entry("podman", None), &[]);
    assert_eq!((code, &plan["grant"]), (0, &json!("desk")), "{plan:#}");
    assert_eq!(plan["devices"][0]["sharing"], json!({ "mode": "time-slicing", "replicas": 4 }), "{plan:#}");
}

/// `runc spec` asks for nothing; with an annotation it does, and is whose `--identity` says.
#[test]
fn runc_spec() {
    let containerd = entry("containerd", None);
    let (code, plan) = plan("runc.json", &containerd, &[]);
    assert_eq!((code, &plan["outcome"]), (0, &json!("not-asked")), "{plan:#}");

    let mut config: Value = serde_json::from_str(&text(&recorded("runc.json"))).expect("runc writes JSON");
    config["annotations"] = json!({ "gpupol.io/gpus": "3", "stage": "train" });
    let asking = Path::new(env!("CARGO_TARGET_TMPDIR")).join("asking-runc.json");
    fs::write(&asking, config.to_string()).expect("cargo's directory for tests is ours");
    let (code, plan) = plan_file(&asking, &containerd, &["namespace=research-vision"]);
    assert_eq!((code, indices(&plan).len()), (0, 3), "{plan:#}");
    let (code, plan) = plan_file(&asking, &containerd, &["namespace=elsewhere"]);
    assert_eq!((code, &plan["reason"]), (4, &json!("no-tenant")), "{plan:#}");
}

/// What stands in no `config.json` is said by `--identity`, in the keys of the entry's engine.
#[test]
fn facts_of_the_kernel() {
    let podman = entry("podman", None);
    for (user, reason) in [("user=0", None), ("user=1000", Some("no-tenant"))] {
        let (_, plan) = plan("podman.json", &podman, &[user]);
        assert_eq!(plan["reason"].as_str(), reason, "{user}: {plan:#}");
    }
    let slurm = entry("slurm", None);
    let job = ["account=lab", "user=ada", "partition=gpu", "cgroup=/slurm/uid_1/job_7"];
    let (_, plan) = plan("podman.json", &slurm, &job);
    let message = plan["message"].as_str().unwrap_or_default();
    let said = "`slurm account=lab user=ada partition=gpu cgroup=/slurm/uid_1/job_7`";
    assert!(message.ends_with(said), "{plan:#}");
}

fn plan(config: &str, entry: &Path, identity: &[&str]) -> (i32, Value) {
    plan_file(&recorded(config), entry, identity)
}

/// Exit code and document of `gpupol plan`.
fn plan_file(config: &Path, entry: &Path, identity: &[&str]) -> (i32, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpupol"));
    command.arg("plan").arg(recorded("policies.kdl")).args([
        "--topology",
        "builtin:campus",
        "--format",
        "json",
    ]);
    command.arg("--config").arg(config).arg("--entry").arg(entry);
    for pair in identity {
        command.args(["--identity", pair]);
    }
    let output = command.output().expect("gpupol runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code().unwrap_or(-1), document)
}

fn indices(plan: &Value) -> Vec<&str> {
    let devices = plan["devices"].as_array().expect("a granted plan lists devices");
    devices.iter().filter_map(|device| device["index"].as_str()).collect()
}

fn entry(engine: &str, runtime: Option<&str>) -> PathBuf {
    let mut entry = json!({
        "entryVersion": 1, "engine": engine, "form": "hook", "allocate": true,
        "plans": "/etc/gpupol/plans", "stateDir": "/run/gpupol", "audit": "/var/log/gpupol/audit.jsonl",
    });
    if let Some(runtime) = runtime {
        entry["runtime"] = json!(runtime);
    }
    let name = format!("{engine}-{}.json", runtime.unwrap_or("default"));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Tests run side by side and write the same bytes; a rename keeps a reader from seeing half of them.
    let new = path.with_extension(format!("{:?}", std::thread::current().id()));
    fs::write(&new, entry.to_string()).expect("cargo's directory for tests is ours");
    fs::rename(new, &path).expect("cargo's directory for tests is ours");
    path
}

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs").join(name)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
