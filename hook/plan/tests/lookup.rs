//! From identity and labels to a grant: nobody gets what is another tenant's.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]

use gpupol_plan::config::Config;
use gpupol_plan::entry::Entry;
use gpupol_plan::identity;
use gpupol_plan::index::{self, Clause, Contents, Index};
use gpupol_plan::lookup::{self, Decision};
use gpupol_plan::observed::Observed;
use serde_json::{Value, json};

fn contents() -> Contents {
    let grant = |tenant: &str, name: &str, rank: i64, named: bool, when: Value| json!({"tenant": tenant, "name": name, "rank": rank, "named": named, "when": when, "plan": {"offset": 0, "length": 1}, "shared": {"offset": 1, "length": 1}});
    let stage = |value: &str| json!([{"test": "label", "key": "stage", "values": [value]}]);
    let index = json!({
        "indexVersion": 1, "onDenied": "refuse", "requestIndices": "auto",
        "tenants": [
            {"name": "prod", "identities": [{"engine": "kubernetes", "namespace": "prod-*"},
                {"engine": "docker", "daemon": "prod"}]},
            {"name": "research", "identities": [{"engine": "kubernetes", "namespace": "research-*"},
                {"engine": "kubernetes", "uid": "u-1"},
                {"engine": "docker", "daemon": "default", "runtime": "gpupol-research"}]},
            {"name": "root", "identities": [{"engine": "podman"}]}],
        "grants": [grant("prod", "inference", 0, false, json!([])),
            grant("research", "urgent", 5, false, stage("urgent*")), grant("research", "big", 0, true, json!([])),
            grant("research", "train", 0, false, stage("train"))]});
    serde_json::from_value(index).unwrap()
}

/// As the hook decides, on the bytes that the compiler writes.
fn decide(contents: &Contents, entry: &Entry, config: &Config, observed: &Observed) -> Decision {
    let bytes = index::write(contents, &index::automaton(&contents.tenants).unwrap());
    let index = Index::of(&bytes).unwrap();
    let whose = identity::tenant(&index, &identity::facts(entry, config, observed));
    lookup::decide(&index, &whose, entry, config, observed)
}

fn entry(engine: &str, daemon: Value, runtime: Value) -> Entry {
    let entry = json!({"entryVersion": 1, "engine": engine, "daemon": daemon, "runtime": runtime, "form": "hook",
        "allocate": engine != "slurm", "plans": "/p", "stateDir": "/s", "audit": "/a"});
    Entry::parse(entry.to_string().as_bytes()).unwrap()
}

/// `TENANT/GRANT`, the slug of a refusal, or `not asked`.
fn outcome(entry: &Entry, annotations: Value) -> String {
    let config = json!({"annotations": annotations});
    match decide(
        &contents(),
        entry,
        &Config::parse(config.to_string().as_bytes()).unwrap(),
        &Observed::default(),
    ) {
        Decision::NotAsked => "not asked".to_owned(),
        Decision::Refused { refusal, .. } => refusal.reason.slug().to_owned(),
        Decision::Granted(granted) => format!("{}/{}", granted.tenant.name, granted.grant.name),
    }
}

fn pod(namespace: &str, more: Value) -> Value {
    let mut annotations = json!({"io.kubernetes.cri.sandbox-namespace": namespace, "gpupol.io/gpus": "1"});
    annotations.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    annotations
}

#[test]
fn a_pod_is_of_the_tenant_of_its_namespace() {
    let containerd = entry("containerd", Value::Null, Value::Null);
    assert_eq!(outcome(&containerd, pod("prod-1", json!({}))), "prod/inference");
    assert_eq!(outcome(&containerd, pod("research-1", json!({"stage": "train"}))), "research/train");
    assert_eq!(outcome(&containerd, pod("research", json!({"stage": "train"}))), "no-tenant");
    assert_eq!(outcome(&containerd, json!({"gpupol.io/gpus": "1"})), "no-tenant");
    let by_uid = json!({"io.kubernetes.cri.sandbox-uid": "u-1", "stage": "train"});
    assert_eq!(outcome(&containerd, pod("elsewhere", by_uid)), "research/train");
}

#[test]
fn another_engines_keys_prove_nothing() {
    let forged = pod("prod-1", json!({"io.kubernetes.pod.namespace": "prod-1", "stage": "train"}));
    let docker = entry("docker", Value::Null, json!("gpupol-research"));
    assert_eq!(outcome(&docker, forged.clone()), "research/train");
    assert_eq!(outcome(&entry("docker", Value::Null, json!("other")), forged.clone()), "no-tenant");
    assert_eq!(
        outcome(&entry("docker", json!("prod"), json!("gpupol-research")), forged.clone()),
        "no-tenant"
    );
    assert_eq!(outcome(&entry("slurm", Value::Null, Value::Null), forged.clone()), "not-supported");
    let planted = json!({"io.kubernetes.cri.sandbox-namespace": "prod-1", "gpupol.io/gpus": "1"});
    assert_eq!(outcome(&entry("crio", Value::Null, Value::Null), planted), "no-tenant");
}

#[test]
fn an_absent_daemon_is_the_default_one_and_an_absent_runtime_its_default_runtime() {
    let asks = || json!({"gpupol.io/gpus": "1", "stage": "train"});
    assert_eq!(
        outcome(&entry("docker", json!("default"), json!("gpupol-research")), asks()),
        "research/train"
    );
    assert_eq!(outcome(&entry("docker", json!("prod"), Value::Null), asks()), "prod/inference");
    assert_eq!(outcome(&entry("docker", Value::Null, Value::Null), asks()), "no-tenant");
    assert_eq!(outcome(&entry("podman", Value::Null, Value::Null), asks()), "no-grant");
}

#[test]
fn labels_choose_among_what_the_tenant_has() {
    let containerd = entry("containerd", Value::Null, Value::Null);
    let ask = |more: Value| outcome(&containerd, pod("research-1", more));
    assert_eq!(ask(json!({})), "no-grant");
    assert_eq!(ask(json!({"stage": "urgent-7"})), "research/urgent");
    assert_eq!(ask(json!({"stage": "dev"})), "no-grant");
    assert_eq!(ask(json!({"stage": "dev", "gpupol.io/grant": "big"})), "research/big");
    assert_eq!(ask(json!({"stage": "dev", "gpupol.io/grant": "train"})), "grant-not-applicable");
    assert_eq!(ask(json!({"stage": "train", "gpupol.io/grant": "inference"})), "grant-not-applicable");
    assert_eq!(outcome(&containerd, json!({"io.kubernetes.cri.sandbox-namespace": "prod-1"})), "not asked");
}

#[test]
fn images_and_engines_are_the_entrys_to_tell() {
    let mut index = contents();
    let clause = |clause: Value| serde_json::from_value::<Clause>(clause).unwrap();
    index.grants[0].when = vec![
        clause(json!({"test": "image", "values": ["r.example.org/*", "r.example.org/serve/**"]})),
        clause(json!({"test": "engine", "engines": ["containerd", "crio"]})),
    ];
    let decided = |entry: &Entry, annotations: Value| {
        let config = json!({"annotations": annotations});
        match decide(
            &index,
            entry,
            &Config::parse(config.to_string().as_bytes()).unwrap(),
            &Observed::default(),
        ) {
            Decision::Granted(granted) => granted.grant.name.clone(),
            Decision::Refused { refusal, .. } => refusal.message,
            Decision::NotAsked => "not asked".to_owned(),
        }
    };
    let containerd = entry("containerd", Value::Null, Value::Null);
    let image = |name: &str| pod("prod-1", json!({"io.kubernetes.cri.image-name": name}));
    assert_eq!(decided(&containerd, image("r.example.org/app:1")), "inference");
    assert_eq!(decided(&containerd, image("r.example.org/serve/eu/app:1")), "inference");
    let refused = |why: &str| format!("no grant of tenant `prod` applies: `inference` ({why})");
    assert_eq!(
        decided(&containerd, image("r.example.org/eu/app:1")),
        refused("the image is `r.example.org/eu/app:1`, not `r.example.org/*` or `r.example.org/serve/**`")
    );
    assert_eq!(decided(&containerd, pod("prod-1", json!({}))), refused("the image is absent"));
    let crio = entry("crio", Value::Null, Value::Null);
    let of_crio = json!({"io.kubernetes.pod.namespace": "prod-1", "gpupol.io/gpus": "1",
        "io.kubernetes.cri-o.ImageName": "r.example.org/app:1"});
    assert_eq!(decided(&crio, of_crio), "inference");
    let by_another_key = json!({"io.kubernetes.pod.namespace": "prod-1", "gpupol.io/gpus": "1",
        "io.kubernetes.cri.image-name": "r.example.org/app:1"});
    assert_eq!(decided(&crio, by_another_key), refused("the image is absent"));
    let docker = entry("docker", json!("prod"), Value::Null);
    assert_eq!(decided(&docker, image("r.example.org/app:1")), refused("the image is absent"));
    index.grants[0].when.remove(0);
    let config = Config::parse(br#"{"annotations": {"gpupol.io/gpus": "1"}}"#).unwrap();
    let Decision::Refused { refusal, .. } = decide(&index, &docker, &config, &Observed::default()) else {
        panic!("not refused")
    };
    assert_eq!(refusal.message, refused("the engine is docker, not containerd or crio"));
}

#[test]
fn under_docker_a_variable_stands_for_an_annotation() {
    let docker = entry("docker", Value::Null, json!("gpupol-research"));
    let env = json!({"process": {"env": ["GPUPOL_GPUS=1", "GPUPOL_LABEL_stage=train"]}});
    let config = Config::parse(env.to_string().as_bytes()).unwrap();
    assert!(
        matches!(decide(&contents(), &docker, &config, &Observed::default()), Decision::Granted(granted) if granted.grant.name == "train")
    );
    let podman = entry("podman", Value::Null, Value::Null);
    assert_eq!(decide(&contents(), &podman, &config, &Observed::default()), Decision::NotAsked);
}

#[test]
fn a_refusal_says_who_it_took_the_container_for() {
    let docker = entry("docker", json!("lab"), Value::Null);
    let config = Config::parse(br#"{"annotations": {"gpupol.io/gpus": "1"}}"#).unwrap();
    let index = contents();
    let Decision::Refused { refusal, tenant: None } = decide(&index, &docker, &config, &Observed::default())
    else {
        panic!("not refused")
    };
    assert_eq!(
        refusal.message,
        "a container of no tenant asks for GPUs: no identity matches `docker daemon=lab`"
    );
}

#[test]
fn the_form_of_an_entry_changes_no_decision() {
    let mut entry = entry("docker", Value::Null, json!("gpupol-research"));
    entry.form = gpupol_plan::entry::Form::Spec;
    assert_eq!(outcome(&entry, json!({"gpupol.io/gpus": "1", "stage": "train"})), "research/train");
    assert_eq!(outcome(&entry, json!({})), "not asked");
}

#[test]
fn a_refusal_quotes_no_more_of_a_label_than_its_beginning() {
    let docker = entry("docker", Value::Null, json!("gpupol-research"));
    let annotations = json!({"gpupol.io/gpus": "1", "stage": "x".repeat(1 << 20)});
    let config = Config::parse(json!({"annotations": annotations}).to_string().as_bytes()).unwrap();
    let index = contents();
    let Decision::Refused { refusal, .. } = decide(&index, &docker, &config, &Observed::default()) else {
        panic!("not refused")
    };
    assert!(refusal.message.len() < 1_000, "{} bytes", refusal.message.len());
    assert!(refusal.message.contains("x…`, not `train"), "{}", refusal.message);
}

/// What decides and what explains are two readings of a clause.
#[test]
fn a_grant_does_not_apply_exactly_if_one_of_its_clauses_is_named() {
    let clauses = [
        json!([]),
        json!([{"test": "label", "key": "stage", "values": ["a*", "b"]}]),
        json!([{"test": "label", "key": "stage", "values": []}]),
        json!([{"test": "image", "values": ["r/**"]}]),
        json!([{"test": "engine", "engines": ["crio"]}]),
        json!([{"test": "engine", "engines": []}]),
        json!([{"test": "label", "key": "stage", "values": ["a"]}, {"test": "engine", "engines": ["containerd"]}]),
    ];
    let containers = [
        json!({}),
        json!({"stage": "a"}),
        json!({"stage": "ab", "io.kubernetes.cri.image-name": "r/x/y"}),
        json!({"stage": "", "io.kubernetes.cri.image-name": "s"}),
    ];
    let containerd = entry("containerd", Value::Null, Value::Null);
    let mut seen = [0, 0];
    for when in &clauses {
        let mut index = contents();
        index.grants[0].when = serde_json::from_value(when.clone()).unwrap();
        for container in &containers {
            let config = json!({"annotations": pod("prod-1", container.clone())}).to_string();
            let config = Config::parse(config.as_bytes()).unwrap();
            match decide(&index, &containerd, &config, &Observed::default()) {
                Decision::Granted(_) => seen[0] += 1,
                Decision::Refused { refusal, .. } => {
                    assert!(
                        refusal.message.starts_with("no grant of tenant `prod` applies: `inference` ("),
                        "{refusal}"
                    );
                    seen[1] += 1;
                }
                Decision::NotAsked => panic!("{when} {container}: not asked"),
            }
        }
    }
    assert_eq!(seen, [8, 20]);
}
