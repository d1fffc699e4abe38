//! Each row of the guard on its own, on what an ordinary container has beside it, and what comes of it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what a test cannot make, fails the test")]

use gpupol_plan::config::Config;
use gpupol_plan::entry::Entry;
use gpupol_plan::guard::row::{Effect, ROWS};
use gpupol_plan::guard::{
    Answer, Source, SourceKind, Standing, Surroundings, Trip, answer, standing, trips, trips_before,
};
use gpupol_plan::identity::{facts, tenant};
use gpupol_plan::index::{self, Contents, Index, OnBypass};
use gpupol_plan::observed::Observed;
use gpupol_plan::refusal::Reason;
use serde_json::{Value, json};

fn entry(engine: &str) -> Entry {
    let entry = json!({"entryVersion": 1, "engine": engine, "form": "hook", "allocate": true,
        "plans": "/p", "stateDir": "/s", "audit": "/a"});
    Entry::parse(entry.to_string().as_bytes()).unwrap()
}

/// What engines write for a container that has nothing special.
fn ordinary() -> Value {
    json!({
        "process": {"capabilities": {"bounding": ["CAP_CHOWN", "CAP_MKNOD", "CAP_NET_RAW"]}},
        "mounts": [
            {"type": "proc", "source": "proc", "options": ["nosuid"]},
            {"type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"type": "sysfs", "source": "sysfs", "options": ["ro"]},
            {"type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid"]},
            {"type": "bind", "source": "/var/lib/docker/containers/1/hosts", "options": ["rbind"]},
            {"type": "bind", "source": "/var/run/containers/storage/1/resolv.conf", "options": ["bind"]},
            {"type": "bind", "source": "/run/nscd/socket", "options": ["bind"]},
            {"type": "bind", "source": "/home/a/devices", "options": ["rbind"]},
        ],
        "hooks": {"prestart": [{"path": "/usr/libexec/gpupol-hook"}, {"path": "/proc/7/exe"}]},
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "mount"}, {"type": "network"}],
            "devices": [{"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229}],
            "resources": {"devices": [
                {"allow": false, "access": "rwm"},
                {"allow": true, "type": "c", "access": "m"},
                {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
                {"allow": true, "type": "b", "major": 195, "access": "rwm"},
            ]},
        },
    })
}

fn put(pointer: &str, value: Value) -> Value {
    let mut config = ordinary();
    match config.pointer_mut(pointer).unwrap() {
        Value::Array(list) => list.push(value),
        other => *other = value,
    }
    config
}

fn bind(source: &str, options: &[&str]) -> Value {
    put("/mounts", json!({"type": "bind", "source": source, "options": options}))
}

fn rule(rule: Value) -> Value {
    put("/linux/resources/devices", rule)
}

fn capability(name: &str) -> Value {
    put("/process/capabilities/bounding", json!(name))
}

fn without_namespace(kind: &str) -> Value {
    let mut config = ordinary();
    config["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != kind);
    config
}

fn without_rules() -> Value {
    let mut config = ordinary();
    config["linux"]["resources"]["devices"] = json!([]);
    config
}

/// What the kernel says of the sources in these tests.
fn surroundings() -> Surroundings {
    let source = |path: &str, kind| Source { path: path.to_owned(), kind };
    let mut surroundings = Surroundings::default();
    surroundings.majors.insert(508);
    surroundings.sources = vec![
        ("/run/nscd/socket".to_owned(), source("/run/nscd/socket", SourceKind::Socket)),
        ("/home/a/link".to_owned(), source("/dev", SourceKind::Other)),
        ("/home/a/node".to_owned(), source("/home/a/node", SourceKind::Character(508))),
        ("/home/a/null".to_owned(), source("/home/a/null", SourceKind::Character(1))),
        ("/srv/docker.sock".to_owned(), source("/srv/docker.sock", SourceKind::Socket)),
        ("/dev/sda".to_owned(), source("/dev/sda", SourceKind::Block)),
    ];
    surroundings
}

fn rows(engine: &str, config: &Value) -> Vec<&'static str> {
    let config = Config::parse(config.to_string().as_bytes()).unwrap();
    trips(&entry(engine), &config, &surroundings(), &[]).iter().map(|trip| trip.row.slug).collect()
}

/// For each row configurations that are in it and in no other.
fn cases() -> Vec<(&'static str, Vec<Value>)> {
    let node = |major: i64| json!({"type": "c", "path": "/dev/x", "major": major, "minor": 0});
    let of_type = |kind: &str| put("/mounts", json!({"type": kind, "source": kind}));
    vec![
        ("gpu-node", vec![put("/linux/devices", node(195)), put("/linux/devices", node(508))]),
        (
            "gpu-rule",
            vec![
                rule(json!({"allow": true, "type": "c", "major": 195, "minor": 0, "access": "r"})),
                rule(json!({"allow": true, "type": "c", "major": 508, "access": "rw"})),
                rule(json!({"allow": true, "major": 195})),
            ],
        ),
        (
            "all-devices",
            vec![
                rule(json!({"allow": true, "access": "rwm"})),
                rule(json!({"allow": true, "type": "a", "major": -1, "minor": -1, "access": "rwm"})),
                rule(json!({"allow": true, "type": "c", "access": "w"})),
                without_rules(),
            ],
        ),
        ("bind-root", vec![bind("/", &["rbind", "ro"]), bind("//.", &["bind"])]),
        ("bind-dev", vec![bind("/dev", &["rbind"]), bind("/home/a/link", &["rbind"]), of_type("devtmpfs")]),
        (
            "bind-gpu",
            vec![
                bind("/dev/nvidia0", &["bind"]),
                bind("/dev/nvidia-caps/nvidia-cap1", &["bind"]),
                bind("/dev/dri/renderD128", &["bind"]),
                bind("/dev/gdrdrv", &["bind"]),
                bind("/dev/nvidia-fs0", &["bind"]),
                bind("/dev/nvidia-nvswitchctl", &["bind"]),
                bind("/dev/nvidia-caps-imex-channels/channel0", &["bind"]),
                bind("/home/a/node", &["bind"]),
            ],
        ),
        ("bind-proc", vec![bind("/proc", &["rbind", "ro"])]),
        (
            "bind-cgroup",
            vec![bind("/sys/fs/cgroup/devices", &["bind"]), of_type("cgroup2"), of_type("cgroup")],
        ),
        ("bind-bpf", vec![bind("/sys/fs/bpf", &["bind"]), bind("/sys", &["rbind", "ro"]), of_type("bpf")]),
        ("bind-run", vec![bind("/run", &["rbind"]), bind("/var/run/", &["rbind"])]),
        (
            "engine-socket",
            vec![
                bind("/var/run/docker.sock", &["bind"]),
                bind("/run/containerd", &["rbind"]),
                bind("/srv/docker.sock", &["bind"]),
            ],
        ),
        (
            "driver-socket",
            vec![
                bind("/run/nvidia-persistenced/socket", &["bind"]),
                bind("/var/run/nvidia-fabricmanager/socket", &["bind"]),
                bind("/run/nvidia-fabricmanager", &["bind"]),
                bind("/tmp/nvidia-mps", &["bind"]),
                bind("/tmp/nvidia-mps/control", &["bind"]),
            ],
        ),
        ("bind-gpupol", vec![bind("/run/gpupol/leases", &["bind"]), bind("/etc/gpupol", &["bind", "ro"])]),
        ("bind-block", vec![bind("/dev/sda", &["bind"])]),
        ("bind-memory", vec![bind("/dev/mem", &["bind"])]),
        ("bind-vfio", vec![bind("/dev/vfio/12", &["bind"])]),
        ("cap-sys-admin", vec![capability("CAP_SYS_ADMIN")]),
        ("cap-bpf", vec![capability("CAP_BPF")]),
        ("cap-sys-rawio", vec![capability("CAP_SYS_RAWIO")]),
        ("cap-sys-module", vec![capability("CAP_SYS_MODULE")]),
        ("host-pid", vec![without_namespace("pid")]),
        ("host-ipc", vec![without_namespace("ipc")]),
        ("host-mount", vec![without_namespace("mount")]),
        (
            "joined-namespace",
            vec![put("/linux/namespaces/0", json!({"type": "pid", "path": "/proc/9/ns/pid"}))],
        ),
        (
            "gpu-hook",
            vec![
                put("/hooks/prestart", json!({"path": "/usr/bin/nvidia-container-runtime-hook"})),
                put("/hooks", json!({"createContainer": [{"path": "/usr/bin/nvidia-cdi-hook"}]})),
            ],
        ),
    ]
}

#[test]
fn an_ordinary_container_is_in_no_row() {
    for engine in ["containerd", "crio", "docker", "podman"] {
        assert_eq!(rows(engine, &ordinary()), [""; 0], "{engine}");
    }
    assert_eq!(rows("podman", &bind("/home/a/null", &["bind"])), [""; 0]);
    assert_eq!(rows("podman", &bind("/sys/fs/cgroup", &["bind", "ro"])), [""; 0]);
    assert_eq!(rows("podman", &bind("/tmp", &["bind"])), [""; 0]);
    assert_eq!(rows("podman", &bind("/dev/infiniband", &["bind"])), [""; 0], "a network adapter is no GPU");
}

#[test]
fn each_row_is_met_alone() {
    let cases = cases();
    let known: Vec<&str> = ROWS.iter().map(|row| row.slug).collect();
    assert_eq!(cases.iter().map(|(slug, _)| *slug).collect::<Vec<_>>(), known, "a row without a case");
    for (slug, configs) in cases {
        for config in configs {
            assert_eq!(rows("podman", &config), [slug], "{config}");
        }
    }
}

#[test]
fn a_later_rule_that_denies_counts() {
    let mut config = rule(json!({"allow": true, "access": "rwm"}));
    config["linux"]["resources"]["devices"]
        .as_array_mut()
        .unwrap()
        .push(json!({"allow": false, "access": "m"}));
    assert_eq!(rows("podman", &config), ["all-devices"], "making nodes is not opening them");
    config["linux"]["resources"]["devices"].as_array_mut().unwrap().push(json!({"allow": false}));
    assert_eq!(rows("podman", &config), [""; 0]);
}

#[test]
fn a_pods_namespaces_and_dockers_own_hook_are_no_row() {
    let joined = put("/linux/namespaces/1", json!({"type": "ipc", "path": "/proc/9/ns/ipc"}));
    assert_eq!(rows("containerd", &joined), [""; 0]);
    assert_eq!(rows("docker", &joined), ["joined-namespace"]);
    let hook = put("/hooks/prestart", json!({"path": "/usr/bin/nvidia-container-runtime-hook"}));
    assert_eq!(rows("docker", &hook), [""; 0]);
}

#[test]
fn hooks_that_the_spec_form_takes_out_are_no_row() {
    let mut config = put("/hooks/prestart", json!({"path": "/usr/bin/nvidia-container-runtime-hook"}));
    config["linux"]["resources"]["devices"] = json!([]);
    let config = Config::parse(config.to_string().as_bytes()).unwrap();
    let slugs = |trips: Vec<Trip>| trips.iter().map(|trip| trip.row.slug).collect::<Vec<_>>();
    let (entry, surroundings) = (entry("podman"), Surroundings::default());
    assert_eq!(slugs(trips(&entry, &config, &surroundings, &[])), ["all-devices", "gpu-hook"]);
    assert_eq!(slugs(trips_before(&entry, &config, &surroundings)), ["all-devices"]);
}

#[test]
fn the_kernels_word_on_namespaces_counts_and_a_user_namespace_takes_capabilities_away() {
    let privileged = Config::parse(capability("CAP_SYS_ADMIN").to_string().as_bytes()).unwrap();
    let mut users = capability("CAP_SYS_ADMIN");
    users["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    assert_eq!(rows("podman", &users), [""; 0]);
    let mut surroundings = surroundings();
    surroundings.shared_with_host.insert("pid".to_owned());
    let found = trips(&entry("containerd"), &privileged, &surroundings, &[]);
    assert_eq!(found.iter().map(|trip| trip.row.slug).collect::<Vec<_>>(), ["cap-sys-admin", "host-pid"]);
    surroundings.shared_with_host.insert("user".to_owned());
    let users = Config::parse(users.to_string().as_bytes()).unwrap();
    let found = trips(&entry("containerd"), &users, &surroundings, &[]);
    assert_eq!(found.iter().map(|trip| trip.row.slug).collect::<Vec<_>>(), ["cap-sys-admin", "host-pid"]);
}

#[test]
fn what_comes_of_a_row_is_the_policys_word() {
    for (slug, configs) in cases() {
        let config = Config::parse(configs.first().unwrap().to_string().as_bytes()).unwrap();
        let trips = trips(&entry("podman"), &config, &surroundings(), &[]);
        let effect = ROWS.iter().find(|row| row.slug == slug).unwrap().effect;
        let answer = |on_bypass, standing| answer(on_bypass, standing, &trips);
        let refuses = |answer: Answer| match answer {
            Answer::Refuse(refusal) => {
                assert!(refusal.reason == Reason::Guard && refusal.message.contains(slug), "{refusal}");
                true
            }
            _ => false,
        };
        for on_bypass in [OnBypass::Contain, OnBypass::Refuse, OnBypass::Report] {
            assert_eq!(answer(on_bypass, Standing::Trusted), Answer::Pass);
        }
        for standing in [Standing::Nobody, Standing::Tenant] {
            assert_eq!(answer(OnBypass::Report, standing), Answer::Report);
            assert!(refuses(answer(OnBypass::Refuse, standing)));
        }
        assert_eq!(
            refuses(answer(OnBypass::Contain, Standing::Tenant)),
            effect != Effect::Contained,
            "{slug}"
        );
        let nobody = answer(OnBypass::Contain, Standing::Nobody);
        assert_eq!(nobody == Answer::Contain, effect != Effect::GivesDevices, "{slug}");
    }
    assert_eq!(answer(OnBypass::Refuse, Standing::Tenant, &[]), Answer::Pass);
}

#[test]
fn whose_it_is_decides_how_strict() {
    let index = json!({"indexVersion": 1, "onDenied": "refuse", "requestIndices": "auto", "grants": [], "tenants": [
        {"name": "lab", "identities": [{"engine": "docker", "daemon": "default", "runtime": "lab"}]},
        {"name": "watch", "trusted": true, "identities": [{"engine": "docker", "daemon": "watch"}]},
        {"name": "root", "identities": [{"engine": "podman"}]},
        {"name": "twice", "identities": [{"engine": "podman"}]}]});
    let contents: Contents = serde_json::from_value(index).unwrap();
    assert_eq!(contents.on_bypass, OnBypass::Contain, "what an index does not say is contained");
    let bytes = index::write(&contents, &index::automaton(&contents.tenants).unwrap());
    let index = Index::of(&bytes).unwrap();
    let (config, observed) = (Config::default(), Observed::default());
    let of = |entry: &Entry| standing(&tenant(&index, &facts(entry, &config, &observed)));
    let docker = |daemon: &str, runtime: Option<&str>| Entry {
        daemon: Some(daemon.to_owned()),
        runtime: runtime.map(str::to_owned),
        ..entry("docker")
    };
    assert_eq!(of(&docker("default", Some("lab"))), Standing::Tenant);
    assert_eq!(of(&docker("watch", None)), Standing::Trusted);
    assert_eq!(of(&docker("default", None)), Standing::Nobody);
    assert_eq!(of(&entry("podman")), Standing::Tenant, "two claim it");
}
