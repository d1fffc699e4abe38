//! `gpupol plan --config` on what docker, podman and runc really write (`tests/configs/`).
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test program: it reads files and runs gpupol"
)]

#[cfg(test)]
mod ran;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use ran::{Ran, run};

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
    let job = ["account=lab", "user=ada", "partition=gpu", "gpus=0", "cgroup=/slurm/uid_1/job_7"];
    let (_, plan) = plan("podman.json", &slurm, &job);
    let message = plan["message"].as_str().unwrap_or_default();
    let said = "`slurm account=lab user=ada partition=gpu cgroup=/slurm/uid_1/job_7`";
    assert!(message.ends_with(said), "{plan:#}");
}

/// What the guard makes of containers as engines write them, of nobody, of a tenant and of somebody trusted: who has
/// nothing special is in no row, and who runs the host is contained and starts.
#[test]
fn what_the_guard_makes_of_them() {
    let namespaces = ["kube-system", "research-vision", "gpu-monitoring"];
    for (file, rows, answers) in GUARDED {
        let engine = file.split(['-', '.']).next().expect("a name");
        let entry = entry(if matches!(engine, "runc" | "crun") { "containerd" } else { engine }, None);
        let asked = if engine == "containerd" { namespaces.as_slice() } else { &[""] };
        for (namespace, answer) in asked.iter().zip(*answers) {
            let mut config: Value = serde_json::from_str(&text(&recorded(file))).expect("JSON");
            if !namespace.is_empty() {
                config["annotations"]["io.kubernetes.cri.sandbox-namespace"] = json!(namespace);
            }
            let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{namespace}-{file}"));
            fs::write(&copy, config.to_string()).expect("cargo's directory for tests is ours");
            let (code, plan) = plan_file(&copy, &entry, &[]);
            let found: Vec<&str> = plan["guard"]["rows"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|row| row["row"].as_str())
                .collect();
            assert_eq!(found, *rows, "{file} of {namespace}: {plan:#}");
            let said = if found.is_empty() { "none" } else { plan["guard"]["answer"].as_str().unwrap_or("") };
            assert_eq!(said, *answer, "{file} of {namespace}: {plan:#}");
            assert!((*answer == "refuse") == (plan["reason"] == "guard"), "{plan:#}");
            assert!(code == 4 || *answer != "refuse", "{plan:#}");
        }
    }
}

/// A recorded configuration, the rows it is in, and the answer to nobody, to a tenant and to somebody trusted.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

const ORDINARY: &[&str] = &["none", "none", "none"];
const OF_THE_HOST: &[&str] = &["contain", "refuse", "pass"];

const GUARDED: &[Case] = &[
    ("runc.json", &[], ORDINARY),
    ("docker.json", &[], ORDINARY),
    ("docker-plain.json", &[], ORDINARY),
    ("podman.json", &[], ORDINARY),
    ("containerd-pod.json", &[], ORDINARY),
    ("crun.json", &[], ORDINARY),
    ("containerd-sandbox.json", &[], ORDINARY),
    ("containerd-host-sandbox.json", &[], ORDINARY),
    ("containerd-cni-light.json", &[], ORDINARY),
    ("containerd-gpu-exporter.json", &["cap-sys-admin"], OF_THE_HOST),
    // It joins its sandbox's pid namespace; that this is the host's, the hook asks the kernel.
    ("containerd-node-exporter.json", &["bind-root", "bind-proc", "bind-bpf"], OF_THE_HOST),
    ("containerd-host-pid-sandbox.json", &["host-pid"], OF_THE_HOST),
    ("containerd-kube-proxy.json", PRIVILEGED, OF_THE_HOST),
    (
        "containerd-cni-agent.json",
        &[
            "gpu-node",
            "all-devices",
            "bind-cgroup",
            "bind-proc",
            "bind-bpf",
            "cap-sys-admin",
            "cap-bpf",
            "cap-sys-rawio",
            "cap-sys-module",
        ],
        OF_THE_HOST,
    ),
    // This version does not know CAP_BPF.
    (
        "docker-privileged.json",
        &["gpu-node", "all-devices", "bind-cgroup", "cap-sys-admin", "cap-sys-rawio", "cap-sys-module"],
        OF_THE_HOST,
    ),
    ("docker-device.json", &["gpu-node", "gpu-rule"], OF_THE_HOST),
    ("docker-dev.json", &["bind-dev"], OF_THE_HOST),
    // The hooks are those of NVIDIA's CDI devices; through an entry of the spec form they are taken out instead.
    ("docker-29-gpus.json", &[], ORDINARY),
    ("docker-29-gpus-cdi.json", OF_CDI, &["refuse"]),
    ("docker-29-device-cdi.json", OF_CDI, &["refuse"]),
    ("docker-29-gpus-and-device-cdi.json", OF_CDI, &["refuse"]),
    ("docker-29-gpus-amd-cdi.json", &["gpu-node", "gpu-rule"], OF_THE_HOST),
    ("docker-29-gpus-amd-runtime.json", &[], ORDINARY),
    ("docker-socket.json", &["engine-socket", "host-pid"], OF_THE_HOST),
];

/// What NVIDIA's CDI devices come to that an engine has put there itself.
const OF_CDI: &[&str] = &["gpu-node", "gpu-rule", "driver-socket", "gpu-hook"];

/// What `privileged: true` comes to on a host with GPUs.
const PRIVILEGED: &[&str] = &[
    "gpu-node",
    "all-devices",
    "bind-cgroup",
    "cap-sys-admin",
    "cap-bpf",
    "cap-sys-rawio",
    "cap-sys-module",
];

/// What the spec form makes of real files: what was there stays, and what is added is what the hook form gives.
#[test]
fn the_spec_form_adds_and_keeps() {
    let debian = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian");
    fs::create_dir_all(debian.join("etc")).expect("cargo's directory for tests is ours");
    fs::write(debian.join("etc/debian_version"), "12").expect("cargo's directory for tests is ours");
    for (file, engine, runtime) in
        [("docker.json", "docker", Some("gpupol-research")), ("podman.json", "podman", None)]
    {
        let (_, plan) = plan(file, &entry(engine, runtime), &[]);
        let given = |kind: &str| {
            plan["edits"].as_array().into_iter().flatten().filter(|edit| edit["kind"] == kind).count()
        };
        let ran = spec_form(&recorded(file), &entry(engine, runtime), &debian);
        assert_eq!(ran.code, 0, "{ran}");
        let mut edited: Value = serde_json::from_str(&ran.out).expect("JSON");
        let mut before: Value = serde_json::from_str(&text(&recorded(file))).expect("JSON");
        let env = edited.pointer("/process/env").and_then(Value::as_array).expect("variables");
        let asked = |one: &&Value| one.as_str().is_some_and(|one| one.starts_with("NVIDIA_VISIBLE_DEVICES="));
        assert_eq!(env.iter().filter(asked).collect::<Vec<_>>(), ["NVIDIA_VISIBLE_DEVICES=void"]);
        let added = |list: &str| {
            let all =
                |config: &Value| config.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
            let (all, before) = (all(&edited), all(&before));
            assert_eq!(all[..before.len()], before, "{list}");
            all.len() - before.len()
        };
        assert_eq!(added("/linux/devices"), given("device-node"));
        assert_eq!(added("/linux/resources/devices"), given("device-node"));
        assert!(added("/mounts") > 10);
        for list in ["/linux/devices", "/linux/resources/devices", "/mounts", "/process/env"] {
            for config in [&mut edited, &mut before] {
                if let Some(list) = config.pointer_mut(list) {
                    *list = Value::Null;
                }
            }
        }
        edited["linux"].as_object_mut().expect("an object").entry("devices").or_insert(Value::Null);
        before["linux"].as_object_mut().expect("an object").entry("devices").or_insert(Value::Null);
        assert_eq!(edited, before, "{file}");
    }
}

/// Who is denied has no spec form, who asks for nothing keeps the file.
#[test]
fn where_the_spec_form_adds_nothing() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let ran = spec_form(&recorded("docker.json"), &entry("docker", None), root);
    assert_eq!((ran.code, ran.out.as_str()), (4, ""), "{ran}");
    assert!(ran.err.contains("denied (no-tenant)"), "{ran}");
    let ran = spec_form(&recorded("docker-plain.json"), &entry("docker", None), root);
    let [found, before] = [ran.out.clone(), text(&recorded("docker-plain.json"))]
        .map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
    assert_eq!((ran.code, found), (0, before));
    let none = root.join("none");
    let ran = spec_form(&recorded("docker.json"), &entry("docker", Some("gpupol-research")), &none);
    assert!(ran.code == 2 && ran.err.contains("cannot be opened"), "{ran}");
}

fn spec_form(config: &Path, entry: &Path, rootfs: &Path) -> Ran {
    let policies = recorded("policies.kdl");
    let [policies, config, entry, rootfs] =
        [&policies, config, entry, rootfs].map(|path| path.to_str().expect("UTF-8"));
    let args = ["plan", policies, "--topology", "builtin:campus", "--config", config, "--entry", entry];
    run(Path::new("/"), &[&args[..], &["--spec-form", rootfs]].concat())
}

/// dockerd's hook for `--gpus` under another engine: a way around the plan, which an entry of the spec form takes out.
#[test]
fn hooks_of_other_gpu_stacks_by_form() {
    let by_hook = entry("podman", Some("by-hook"));
    let by_spec = entry("podman", Some("by-spec"));
    let text = text(&by_spec).replace(r#""form":"hook""#, r#""form":"spec""#);
    fs::write(&by_spec, text).expect("cargo's directory for tests is ours");
    let ran = |entry: &Path| command(&recorded("docker.json"), entry, "human", &[]);
    let (by_hook, by_spec) = (ran(&by_hook), ran(&by_spec));
    assert!(by_hook.code == 4 && format!("{by_hook}").contains("(gpu-hook)"), "{by_hook}");
    let said = format!("{by_spec}");
    assert!(said.contains("denied (no-grant)") && !said.contains("gpu-hook"), "{said}");
}

/// Every recorded configuration is in the table above.
#[test]
fn none_is_forgotten() {
    let entries = fs::read_dir(recorded("")).expect("the recorded files are there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("read").file_name().into_string().expect("UTF-8")).collect();
    names.retain(|name| name.ends_with(".json"));
    names.sort();
    let mut known: Vec<&str> = GUARDED.iter().map(|(file, ..)| *file).collect();
    known.sort_unstable();
    assert_eq!(names, known);
}

/// People read it too.
#[test]
fn the_guard_in_words() {
    let ran = command(&recorded("containerd-kube-proxy.json"), &entry("containerd", None), "human", &[]);
    let line = ran.out.lines().find(|line| line.starts_with("guard: ")).unwrap_or_else(|| panic!("{ran}"));
    assert_eq!(
        line.split(", device rules").next(),
        Some(
            "guard: contained, every GPU number outside of its plan is denied: device node `/dev/nvidia0`, 195:0 (gpu-node)"
        ),
    );
}

fn plan(config: &str, entry: &Path, identity: &[&str]) -> (i32, Value) {
    plan_file(&recorded(config), entry, identity)
}

/// Exit code and document of `gpupol plan`.
fn plan_file(config: &Path, entry: &Path, identity: &[&str]) -> (i32, Value) {
    let ran = command(config, entry, "json", identity);
    let document = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran}"));
    (ran.code, document)
}

/// What Kubernetes allocates through an entry without `allocate`, in a pod as containerd writes it, and what the spec form makes of
/// it. Who was allocated nothing is judged as through any entry.
#[test]
fn where_kubernetes_allocates() {
    let ceiling = ceiling();
    for file in GUARDED.iter().map(|(file, ..)| *file).filter(|file| file.starts_with("containerd-")) {
        let of = |entry| plan(file, entry, &["namespace=research-vision"]);
        assert_eq!(of(&ceiling), of(&entry("containerd", None)), "{file}");
    }
    let mut config: Value = serde_json::from_str(&text(&recorded("containerd-pod.json"))).expect("JSON");
    config["annotations"]["stage"] = json!("train");
    config["annotations"]["io.kubernetes.cri.sandbox-namespace"] = json!("research-vision");
    let allocated = |name: &str, minor: u32| {
        let mut config = config.clone();
        let path = format!("/dev/nvidia{minor}");
        config["linux"]["devices"] = json!([{ "path": path, "type": "c", "major": 195, "minor": minor }]);
        let rule = json!({ "allow": true, "type": "c", "major": 195, "minor": minor, "access": "rwm" });
        config["linux"]["resources"]["devices"]
            .as_array_mut()
            .expect("containerd denies all first")
            .push(rule);
        config["hooks"]["createContainer"] =
            json!([{ "path": "/usr/bin/nvidia-cdi-hook", "args": ["nvidia-cdi-hook", "update-ldcache"] }]);
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&file, config.to_string()).expect("cargo's directory for tests is ours");
        file
    };
    let one = allocated("allocated-one.json", 6);
    let (code, granted) = plan_file(&one, &ceiling, &[]);
    assert_eq!((code, indices(&granted), &granted["guard"]), (0, vec!["1"], &Value::Null), "{granted:#}");
    let (code, by_gpupol) = plan_file(&one, &entry("containerd", None), &[]);
    assert_eq!((code, &by_gpupol["reason"]), (4, &json!("guard")), "{by_gpupol:#}");
    let (code, other) = plan_file(&allocated("allocated-other.json", 1), &ceiling, &[]);
    assert_eq!((code, &other["reason"]), (4, &json!("device-not-granted")), "{other:#}");
    let ran = spec_form(&one, &ceiling, Path::new(env!("CARGO_TARGET_TMPDIR")));
    let edited: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
    assert_eq!(edited["hooks"]["createContainer"], json!([]), "{edited:#}");
    let devices = edited["linux"]["devices"].as_array().expect("a list");
    let paths: Vec<&str> = devices.iter().filter_map(|device| device["path"].as_str()).collect();
    assert!(paths.contains(&"/dev/nvidia6") && paths.contains(&"/dev/nvidia-uvm"), "{paths:?}");
    let written = devices.iter().all(|device| device["fileMode"] == 438);
    assert!(written, "a node is the allocation's own: {edited:#}");
}

/// An entry of containerd that does not allocate.
fn ceiling() -> PathBuf {
    let mut entry: Value = serde_json::from_str(&text(&entry("containerd", None))).expect("we wrote JSON");
    entry["allocate"] = json!(false);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("containerd-ceiling.json");
    fs::write(&path, entry.to_string()).expect("cargo's directory for tests is ours");
    path
}

/// `gpupol plan` on the recorded policy and the made-up host.
fn command(config: &Path, entry: &Path, format: &str, identity: &[&str]) -> Ran {
    let policies = recorded("policies.kdl");
    let [policies, config, entry] = [&policies, config, entry].map(|path| path.to_str().expect("UTF-8"));
    let mut args = vec!["plan", policies, "--topology", "builtin:campus", "--format", format];
    args.extend(["--config", config, "--entry", entry]);
    args.extend(identity.iter().flat_map(|pair| ["--identity", pair]));
    run(Path::new("/"), &args)
}

fn indices(plan: &Value) -> Vec<&str> {
    let devices = plan["devices"].as_array().expect("a granted plan lists devices");
    devices.iter().filter_map(|device| device["index"].as_str()).collect()
}

fn entry(engine: &str, runtime: Option<&str>) -> PathBuf {
    let mut entry = json!({
        "entryVersion": 1, "engine": engine, "form": "hook", "allocate": engine != "slurm",
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
