//! What is asked of each document that the executor reads, whatever its bytes: an answer or a refusal of one line, never
//! an end of the program; and what was understood is written and understood again as the same.
//!
//! libFuzzer calls these functions with what it makes up, and `hook/tests/corpus.rs` with what stands in `corpus/`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use gpupol_hook::state::State;
use gpupol_hook::systemd::message;
use gpupol_plan::choose::{Lease, Leases, choose};
use gpupol_plan::config::Config;
use gpupol_plan::edit::Edit;
use gpupol_plan::entry::Entry;
use gpupol_plan::guard::row::ROWS;
use gpupol_plan::guard::{self, Surroundings};
use gpupol_plan::identity;
use gpupol_plan::index::{self, Contents, Index, RequestIndices};
use gpupol_plan::lease::{Record, Stat, escape};
use gpupol_plan::lookup::decide;
use gpupol_plan::observed::Observed;
use gpupol_plan::plan::{Plan, Sharing};
use gpupol_plan::refusal::{Refusal, one_line};
use gpupol_plan::request::allocation::{Allocation, Node};
use gpupol_plan::request::{Capabilities, Devices, Request, request};
use gpupol_plan::slurm::{Job, allocated};
use serde_json::json;

/// An index with something in every table.
static INDEX: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let identity = |engine: &str, more: serde_json::Value| {
        let mut identity = json!({ "engine": engine });
        identity.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        identity
    };
    let grant = |tenant: &str, name: &str, when: serde_json::Value| {
        json!({"tenant": tenant, "name": name, "rank": -3, "named": false, "when": when,
            "plan": {"offset": 7, "length": 11}, "shared": {"offset": 18, "length": 13}})
    };
    let contents = json!({
        "indexVersion": 1, "onDenied": "run-without-gpu", "requestIndices": "auto",
        "tenants": [
            {"name": "a", "identities": [identity("kubernetes", json!({"namespace": "research-*"})),
                identity("docker", json!({"daemon": "default", "runtime": "gpupol-research"})), identity("podman", json!({"user": 1000}))]},
            {"name": "b", "trusted": true, "identities": [identity("slurm", json!({"account": "l**"})),
                identity("cgroup", json!({"path": "/x/**", "engines": ["containerd", "crio"]}))]},
        ],
        "grants": [
            grant("a", "g", json!([{"test": "label", "key": "stage", "values": ["train", "t*"]}])),
            grant("a", "h", json!([{"test": "image", "values": ["r.example.org/**"]}])),
            grant("b", "g", json!([])),
        ],
    });
    let contents: Contents = serde_json::from_value(contents).expect("it is sound");
    index::write(&contents, &index::automaton(&contents.tenants).expect("it is small"))
});

/// An entry of each engine.
static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let entry = |engine: &str| {
        let text = json!({"entryVersion": 1, "engine": engine, "form": "hook", "allocate": engine != "slurm", "askByEnv": engine != "slurm",
            "plans": "/p", "stateDir": "/s", "audit": "/a"});
        Entry::parse(text.to_string().as_bytes()).expect("it is sound")
    };
    let ceiling = json!({"entryVersion": 1, "engine": "containerd", "form": "hook", "allocationByEnv": true,
        "plans": "/p", "stateDir": "/s", "audit": "/a"});
    let ceiling = Entry::parse(ceiling.to_string().as_bytes()).expect("it is sound");
    ["docker", "podman", "containerd", "crio", "slurm"].map(entry).into_iter().chain([ceiling]).collect()
});

/// A container with that configuration, through each entry.
pub fn config(bytes: &[u8]) {
    let config = match Config::parse(bytes) {
        Ok(config) => config,
        Err(refusal) => return is_one_line(&refusal),
    };
    let index = Index::of(&INDEX).expect("it is sound");
    for entry in ENTRIES.iter() {
        starts(&index, entry, &config);
        let (shared_with_host, sources) = (BTreeSet::new(), Vec::new());
        let surroundings = Surroundings { majors: BTreeSet::from([195]), shared_with_host, sources };
        for trip in guard::trips(entry, &config, &surroundings, &[]) {
            assert!(!trip.row.slug.is_empty());
        }
        drop(guard::trips_before(entry, &config, &surroundings));
        assert!(guard::trips_beside(entry, &config, &surroundings, &[]).len() <= ROWS.len());
    }
}

fn starts(index: &Index<&[u8]>, entry: &Entry, config: &Config) {
    let observed = Observed::default();
    for indices in [RequestIndices::Auto, RequestIndices::Host, RequestIndices::Count] {
        if let Err(refusal) = request(indices, entry, config) {
            is_one_line(&refusal);
        }
    }
    let whose = identity::tenant(index, &identity::facts(entry, config, &observed));
    drop(decide(index, &whose, entry, config, &observed));
}

/// An entry.
pub fn entry(bytes: &[u8]) {
    match Entry::parse(bytes) {
        Ok(entry) => {
            let text = serde_json::to_vec(&entry).expect("it can be written");
            assert_eq!(Entry::parse(&text).expect("it was written"), entry);
        }
        Err(refusal) => is_one_line(&refusal),
    }
}

/// The file of a lease; a Slurm job's record and a process's state, which are as small.
pub fn lease(bytes: &[u8]) {
    match Record::parse(bytes) {
        Ok(record) => {
            let text = serde_json::to_vec(&record).expect("it can be written");
            assert_eq!(Record::parse(&text).expect("it was written"), record);
            let name = escape(&record.container);
            assert!(!name.contains('/') && !name.starts_with('.'), "{name}");
        }
        Err(refusal) => is_one_line(&refusal),
    }
    let told =
        Job::parse(bytes).and_then(|job| allocated(&Observed { job: Some(job), ..Observed::default() }));
    if let Err(refusal) = told {
        is_one_line(&refusal);
    }
    let _ = Stat::parse(&String::from_utf8_lossy(bytes));
}

/// The state of a container.
pub fn state(bytes: &[u8]) {
    match State::parse(bytes) {
        Ok(state) => assert!(!state.id.is_empty() && state.bundle.starts_with('/')),
        Err(error) => assert!(!one_line(&error.to_string()).contains('\n')),
    }
}

/// Messages of systemd's, one after the other as a connection gives them.
pub fn systemd(mut bytes: &[u8]) {
    let is_one_line =
        |error: gpupol_hook::error::Error| assert!(!one_line(&error.to_string()).contains('\n'));
    loop {
        let length = match message::length(bytes) {
            Ok(Some(length)) => length,
            Ok(None) => return,
            Err(error) => return is_one_line(error),
        };
        assert!((16..=message::LIMIT).contains(&length));
        let Some((message, rest)) = bytes.split_at_checked(length) else { return };
        if let Err(error) = message::reply(message) {
            is_one_line(error);
        }
        bytes = rest;
    }
}

/// A plan, of which devices are chosen.
pub fn plan(bytes: &[u8]) {
    let plan = match Plan::parse(bytes) {
        Ok(plan) => plan,
        Err(refusal) => return is_one_line(&refusal),
    };
    let text = serde_json::to_vec(&plan).expect("it can be written");
    assert_eq!(Plan::parse(&text).expect("it was written"), plan);
    let uuids: Vec<&str> =
        plan.lines.iter().flat_map(|line| &line.devices).map(|device| device.uuid.as_str()).collect();
    let held = |uuid: &&str| {
        let lease = Lease { tenant: None, grant: None, sharing: Sharing::Exclusive {} };
        ((*uuid).to_owned(), vec![lease])
    };
    let first: Leases = uuids.iter().take(1).map(held).collect();
    let name = || uuids.iter().map(|uuid| (*uuid).to_owned());
    for devices in [
        Devices::Default,
        Devices::Count(0),
        Devices::Count(2),
        Devices::Count(u32::MAX),
        Devices::Indices(vec![0, 1]),
        Devices::Named(name().collect()),
        Devices::Allocated(Allocation { names: name().take(1).collect(), nodes: Vec::new() }),
        Devices::Allocated(Allocation { names: Vec::new(), nodes: nodes(&plan) }),
        Devices::Lines(plan.lines.iter().map(|line| (line.gpu_set.clone(), 1)).collect::<BTreeMap<_, _>>()),
    ] {
        for leases in [&Leases::new(), &first] {
            chosen(&plan, devices.clone(), leases);
        }
    }
}

/// The nodes of all devices of a plan.
fn nodes(plan: &Plan) -> Vec<Node> {
    let node = |edit: &Edit| match edit {
        Edit::DeviceNode(node) => {
            Some(Node { path: node.container_path.clone(), number: (node.major, node.minor) })
        }
        _ => None,
    };
    plan.lines
        .iter()
        .flat_map(|line| &line.devices)
        .flat_map(|device| &device.edits)
        .filter_map(node)
        .collect()
}

/// Nobody gets what an exclusive lease of somebody else is on, nor a device twice.
fn chosen(plan: &Plan, devices: Devices, leases: &Leases) {
    let (features, requirements) = (BTreeSet::new(), Vec::new());
    let request = Request {
        devices,
        capabilities: Capabilities::All,
        features,
        grant: None,
        tenant: None,
        requirements,
    };
    match choose(plan, &request, leases) {
        Ok(choice) => {
            let given: Vec<&str> = choice.given.iter().map(|given| given.device.uuid.as_str()).collect();
            assert!(plan.trusted || !given.iter().any(|uuid| leases.contains_key(*uuid)), "{given:?}");
            drop(choice.edits(plan));
        }
        Err(refusal) => is_one_line(&refusal),
    }
}

/// An index: the bytes themselves, or, after a first byte that is odd, what they change of a sound one.
pub fn index(bytes: &[u8]) {
    match bytes.split_first() {
        Some((first, changes)) if first % 2 == 1 => read(&changed(changes)),
        _ => read(bytes),
    }
}

/// A sound index of which some bytes are others: three bytes each, where and what.
fn changed(changes: &[u8]) -> Vec<u8> {
    let mut bytes = INDEX.clone();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] = change[2];
    }
    bytes
}

fn read(bytes: &[u8]) {
    let index = match Index::of(bytes) {
        Ok(index) => index,
        Err(refusal) => return is_one_line(&refusal),
    };
    if let Err(refusal) = index.contents() {
        is_one_line(&refusal);
    }
    let annotations = json!({"io.kubernetes.cri.sandbox-namespace": "research-a", "stage": "train",
        "gpupol.io/gpus": "1", "io.kubernetes.cri.image-name": "r.example.org/x"});
    let config = json!({ "annotations": annotations }).to_string();
    let config = Config::parse(config.as_bytes()).expect("it is sound");
    for entry in ENTRIES.iter() {
        starts(&index, entry, &config);
    }
}

/// How long the sound index is, for those who change each of its bytes.
#[must_use]
pub fn index_length() -> usize {
    INDEX.len()
}

fn is_one_line(refusal: &Refusal) {
    assert!(!one_line(&refusal.message).contains('\n'), "{refusal}");
}
