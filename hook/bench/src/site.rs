//! An installed gpupol: an entry, a plan set with one plan, the driver's files, and two bundles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gpupol_plan::capability::Capability;
use gpupol_plan::edit::{Bind, DeviceNode, Edit, MountOption};
use gpupol_plan::index::{
    self, Auditing, Contents, Grant, INDEX_VERSION, Identity, OnBypass, OnDenied, RequestIndices, Slice,
    TenantRecord,
};
use gpupol_plan::plan::{Device, GpuCheck, Host, Line, Order, PLAN_VERSION, Plan, Rule, Sharing};
use gpupol_plan::vendor::Vendor;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::{Value, json};

/// How many files are bound.
pub const MOUNTS: usize = 45;
/// The numbers of the nodes: three shared ones, eight GPUs' and one more.
pub const NUMBERS: [(u32, u32); 12] = [
    (195, 255),
    (241, 0),
    (241, 1),
    (195, 0),
    (195, 1),
    (195, 2),
    (195, 3),
    (195, 4),
    (195, 5),
    (195, 6),
    (195, 7),
    (195, 254),
];

const DRIVER: &str = "550.163.01";
const UUID: &str = "GPU-00000000-0000-4000-8000-000000000000";
const PCI: &str = "0000:07:00.0";

/// The directory of all of it, removed when dropped.
pub struct Site {
    /// Where it lies.
    pub dir: PathBuf,
}

impl Site {
    /// Writes it, and what the driver would show below `/proc/driver`, which must be ours.
    pub fn make() -> Self {
        let dir = PathBuf::from(format!("/run/gpupol-bench-{}", std::process::id()));
        for name in ["entries", "libraries", "nodes", "plans/set", "asks/rootfs", "asks-nothing/rootfs"] {
            fs::create_dir_all(dir.join(name)).expect("we are root");
        }
        for number in 0..MOUNTS {
            fs::write(dir.join(format!("libraries/lib{number:02}.so")), "library\n")
                .expect("the directory is ours");
        }
        for (major, minor) in NUMBERS {
            let node = host_node(&dir, major, minor);
            mknodat(CWD, &node, FileType::CharacterDevice, Mode::from(0o666), makedev(major, minor))
                .expect("we are root");
        }
        write_proc();
        write_plan_set(&dir);
        write(&dir.join("entries/podman.json"), &entry(&dir));
        write(&dir.join("asks/config.json"), &config(json!({ "gpupol.io/gpus": "1" })));
        write(&dir.join("asks-nothing/config.json"), &config(json!({})));
        Self { dir }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The plan that everything here is about.
pub fn plan(dir: &Path) -> Plan {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("the kernel has a boot id");
    let gpu = GpuCheck::Nvidia { uuid: UUID.to_owned(), minor: 0 };
    let (shared, own) = NUMBERS.split_at(3);
    let device = Device {
        uuid: UUID.to_owned(),
        index: "0".to_owned(),
        pci: PCI.to_owned(),
        compute_capability: None,
        brand: None,
        gpu,
        mig: None,
        edits: own.iter().map(|numbers| node(dir, numbers)).collect(),
    };
    let line = Line {
        gpu_set: "all".to_owned(),
        rule: rule(),
        at_most: 1,
        default: 1,
        sharing: Sharing::Exclusive {},
        order: Order::Ranked,
        devices: vec![device],
        slots: None,
        memory: None,
    };
    Plan {
        plan_version: PLAN_VERSION,
        tenant: "bench".to_owned(),
        grant: "bench".to_owned(),
        rule: rule(),
        policy_digest: format!("sha256:{}", "0".repeat(64)),
        topology_digest: format!("sha256:{}", "0".repeat(64)),
        host: Host {
            boot_id: Some(boot.trim_end().to_owned()),
            driver_version: Some(DRIVER.to_owned()),
            cuda_version: None,
        },
        limit: None,
        trusted: false,
        reserved: BTreeSet::new(),
        needs_spec: false,
        capabilities: BTreeSet::from([Capability::Compute, Capability::Utility]),
        capabilities_rule: rule(),
        lines: vec![line],
        edits: BTreeMap::from([(
            Vendor::Nvidia,
            shared
                .iter()
                .map(|numbers| node(dir, numbers))
                .chain((0..MOUNTS).map(|number| bind(dir, number)))
                .collect(),
        )]),
        features: Vec::new(),
    }
}

fn rule() -> Rule {
    Rule { file: "bench.kdl".to_owned(), line: 1, name: "grant bench".to_owned() }
}

/// Where the host has a node: not in its `/dev`, which stays as it is.
fn host_node(dir: &Path, major: u32, minor: u32) -> String {
    dir.join(format!("nodes/node{major}:{minor}")).display().to_string()
}

fn node(dir: &Path, (major, minor): &(u32, u32)) -> Edit {
    Edit::DeviceNode(DeviceNode {
        capabilities: BTreeSet::new(),
        host_path: host_node(dir, *major, *minor),
        container_path: format!("/dev/node{major}:{minor}"),
        major: *major,
        minor: *minor,
        file_mode: 0o666,
        permissions: "rw".to_owned(),
    })
}

fn bind(dir: &Path, number: usize) -> Edit {
    let name = format!("lib{number:02}.so");
    Edit::Bind(Bind {
        capabilities: BTreeSet::from([Capability::Compute]),
        compat32: false,
        optional: false,
        listening: None,
        host_path: dir.join("libraries").join(&name).display().to_string(),
        container_path: format!("{{libdir}}/{name}"),
        options: BTreeSet::from([MountOption::Ro, MountOption::Nosuid, MountOption::Nodev]),
    })
}

fn write_plan_set(dir: &Path) {
    let (own, shared) = plan(dir).split();
    let [own, shared] =
        [serde_json::to_vec(&own), serde_json::to_vec(&shared)].map(|part| part.expect("a plan is JSON"));
    let slice = |offset: usize, part: &[u8]| Slice { offset: offset as u64, length: part.len() as u64 };
    let contents = Contents {
        index_version: INDEX_VERSION,
        on_denied: OnDenied::Refuse,
        request_indices: RequestIndices::Auto,
        on_bypass: OnBypass::default(),
        audit: Auditing::default(),
        tenants: vec![TenantRecord {
            name: "bench".to_owned(),
            identities: vec![Identity::Podman { user: None }],
            trusted: false,
        }],
        grants: vec![Grant {
            tenant: "bench".to_owned(),
            name: "bench".to_owned(),
            rank: 0,
            named: false,
            when: Vec::new(),
            plan: slice(0, &own),
            shared: slice(own.len(), &shared),
        }],
    };
    let automaton = index::automaton(&contents.tenants).expect("one identity is not too many");
    let set = dir.join("plans/set");
    fs::write(set.join("plans"), [own, shared].concat()).expect("the directory is ours");
    fs::write(set.join("index"), index::write(&contents, &automaton)).expect("the directory is ours");
    std::os::unix::fs::symlink("set", dir.join("plans/current")).expect("the directory is ours");
}

fn write_proc() {
    let gpu = format!("/proc/driver/nvidia/gpus/{PCI}");
    fs::create_dir_all(&gpu).expect("/proc/driver is ours: start by hook/bench/run");
    let version =
        format!("NVRM version: NVIDIA UNIX x86_64 Kernel Module  {DRIVER}  Tue Apr  8 12:41:17 UTC 2025\n");
    fs::write("/proc/driver/nvidia/version", version).expect("/proc/driver is ours");
    let information = format!("GPU UUID: \t {UUID}\nDevice Minor: \t 0\n");
    fs::write(format!("{gpu}/information"), information).expect("/proc/driver is ours");
}

fn entry(dir: &Path) -> Value {
    json!({
        "entryVersion": 1, "engine": "podman", "form": "hook", "allocate": true,
        "plans": dir.join("plans"), "stateDir": dir.join("state"), "audit": dir.join("audit.jsonl"),
    })
}

/// As long as a real engine's: 300 variables and annotations.
fn config(annotations: Value) -> Value {
    let env: Vec<String> =
        (0..200).map(|number| format!("VARIABLE_{number}=some value of usual length")).collect();
    let mut all: BTreeMap<String, Value> =
        (0..100).map(|number| (format!("example.org/{number}"), json!("a value of usual length"))).collect();
    all.extend(
        annotations.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())),
    );
    json!({
        "ociVersion": "1.0.2", "root": { "path": "rootfs" }, "process": { "args": ["true"], "env": env },
        "annotations": all,
        "linux": {
            "namespaces": [{ "type": "mount" }, { "type": "pid" }, { "type": "ipc" }],
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
        },
    })
}

fn write(path: &Path, document: &Value) {
    fs::write(path, document.to_string()).expect("the directory is ours");
}
