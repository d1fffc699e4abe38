//! What Kubernetes has allocated, as each strategy of NVIDIA's device plugin writes it: what is read of it, which devices of a plan
//! it means, and what of a configuration is no way around the plan then.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]

use std::collections::BTreeSet;

use gpupol_plan::choose::{Choice, Lease, Leases, choose};
use gpupol_plan::config::Config;
use gpupol_plan::entry::Entry;
use gpupol_plan::guard::{Surroundings, trips, trips_before, trips_beside};
use gpupol_plan::index::RequestIndices;
use gpupol_plan::plan::{Plan, Sharing};
use gpupol_plan::refusal::Refusal;
use gpupol_plan::request::{Devices, Request, allocation, request};
use gpupol_plan::spec::replaced::Replaced;
use serde_json::{Value, json};

const CAPS: u32 = 235;

fn entry(more: Value) -> Entry {
    parsed(more).unwrap()
}

fn parsed(more: Value) -> Result<Entry, Refusal> {
    let mut entry = json!({"entryVersion": 1, "engine": "containerd", "form": "hook",
        "plans": "/p", "stateDir": "/s", "audit": "/a"});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Entry::parse(entry.to_string().as_bytes())
}

fn ceiling() -> Entry {
    entry(json!({}))
}

fn by_env() -> Entry {
    entry(json!({"allocationByEnv": true}))
}

fn config(value: &Value) -> Config {
    Config::parse(value.to_string().as_bytes()).unwrap()
}

/// What `passDeviceSpecs` and CDI give for a node: itself, and a rule.
fn nodes(nodes: &[(&str, u32, u32)]) -> Value {
    let devices: Vec<Value> = nodes
        .iter()
        .map(|(path, major, minor)| json!({"path": path, "type": "c", "major": major, "minor": minor}))
        .collect();
    let rules = nodes.iter().map(|(_, major, minor)| {
        json!({"allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm"})
    });
    let rules: Vec<Value> = [json!({"allow": false, "access": "rwm"})].into_iter().chain(rules).collect();
    let namespaces = json!([{"type": "pid"}, {"type": "ipc"}, {"type": "mount"}]);
    json!({"linux": {"devices": devices, "resources": {"devices": rules}, "namespaces": namespaces}})
}

fn mark(name: &str) -> Value {
    json!({"type": "bind", "source": "/dev/null", "options": ["rbind", "rprivate", "rw"],
        "destination": format!("/var/run/nvidia-container-devices/{name}")})
}

fn marks(names: &[&str]) -> Value {
    json!({"mounts": names.iter().map(|name| mark(name)).collect::<Vec<_>>(),
        "process": {"env": ["NVIDIA_VISIBLE_DEVICES=/var/run/nvidia-container-devices"]}})
}

fn env(value: &str) -> Value {
    json!({"process": {"env": [format!("NVIDIA_VISIBLE_DEVICES={value}")]}})
}

/// As containerd writes it for the device plugin's `cdi-cri`, which names `nvidia.com/gpu=GPU-0`.
fn by_cdi() -> Value {
    let mut value =
        nodes(&[("/dev/nvidia0", 195, 0), ("/dev/nvidiactl", 195, 255), ("/dev/nvidia-modeset", 195, 254)]);
    let library = |path: &str| {
        json!({"type": "bind", "source": format!("/run/nvidia/driver{path}"), "destination": path,
            "options": ["ro", "nosuid", "nodev", "rbind", "rprivate"]})
    };
    let hook = |word: &str| json!({"path": "/usr/bin/nvidia-cdi-hook", "args": ["nvidia-cdi-hook", word, "--folder", "/usr/lib64"]});
    let more = json!({
        "mounts": [
            library("/usr/lib64/libcuda.so.550.54.15"), library("/usr/bin/nvidia-smi"),
            {"type": "bind", "source": "/run/nvidia-persistenced/socket", "destination": "/run/nvidia-persistenced/socket",
                "options": ["ro", "nosuid", "nodev", "rbind", "rprivate", "noexec"]},
            {"type": "bind", "source": "/srv/nvidia-models", "destination": "/models", "options": ["rbind", "ro"]},
        ],
        "hooks": {"createContainer": [hook("create-symlinks"), hook("update-ldcache"),
            {"path": "/usr/bin/nvidia-ctk", "args": ["nvidia-ctk", "hook", "enable-cuda-compat"]}]},
        "process": {"env": ["NVIDIA_VISIBLE_DEVICES=void"]},
        "annotations": {"cdi.k8s.io/nvidia-device-plugin_x": "nvidia.com/gpu=GPU-0"},
    });
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}

/// `names | nodes`, `nothing`, or the slug of the refusal.
fn allocated(entry: &Entry, value: &Value) -> String {
    match request(RequestIndices::Auto, entry, &config(value)) {
        Ok(None) => "nothing".to_owned(),
        Ok(Some(Request { devices: Devices::Allocated(allocation), .. })) => {
            let nodes: Vec<String> = allocation
                .nodes
                .iter()
                .map(|node| format!("{}={}:{}", node.path, node.number.0, node.number.1))
                .collect();
            format!("{} | {}", allocation.names.join(","), nodes.join(","))
        }
        Ok(Some(other)) => format!("{other:?}"),
        Err(refusal) => refusal.reason.slug().to_owned(),
    }
}

#[test]
fn each_strategy_is_read_where_it_writes() {
    let shared = [("/dev/nvidiactl", 195, 255), ("/dev/nvidia-uvm", 510, 0)];
    let specs = [("/dev/nvidia1", 195, 1), shared[0], shared[1]];
    let mig = [("/dev/nvidia0", 195, 0), ("/dev/nvidia-caps/nvidia-cap21", CAPS, 21)];
    for (what, value, expected) in [
        ("volume-mounts", marks(&["GPU-0"]), "GPU-0 | "),
        ("several", marks(&["GPU-0", "MIG-1"]), "GPU-0,MIG-1 | "),
        ("by index", marks(&["3", "0:1"]), "3,0:1 | "),
        ("a CDI name there", marks(&["cdi/nvidia.com/gpu/GPU-0"]), "GPU-0 | "),
        ("the same as Kubernetes writes it", marks(&["cdi/runtime.nvidia.com/gpu=GPU-0"]), "GPU-0 | "),
        ("a channel alone", marks(&["imex/3"]), "nothing"),
        ("all", marks(&["all"]), "bad-request"),
        ("all by CDI", marks(&["cdi/nvidia.com/gpu/all"]), "bad-request"),
        ("another vendor's", marks(&["cdi/example.com/gpu/0"]), "bad-request"),
        ("no device", marks(&["../x"]), "bad-request"),
        ("device specs", nodes(&specs), " | /dev/nvidia1=195:1"),
        ("shared nodes alone", nodes(&shared), "nothing"),
        ("a MIG device", nodes(&mig), " | /dev/nvidia0=195:0,/dev/nvidia-caps/nvidia-cap21=235:21"),
        ("CDI", by_cdi(), " | /dev/nvidia0=195:0"),
        (
            "AMD",
            nodes(&[("/dev/kfd", 511, 0), ("/dev/dri/renderD129", 226, 129)]),
            " | /dev/dri/renderD129=226:129",
        ),
        ("a render node alone", nodes(&[("/dev/dri/renderD129", 226, 129)]), "nothing"),
        ("another device", nodes(&[("/dev/fuse", 10, 229)]), "nothing"),
        ("envvar, not trusted", env("GPU-0"), "nothing"),
        (
            "an annotation of CDI that nobody followed",
            json!({"annotations": {"cdi.k8s.io/x": "nvidia.com/gpu=0"}}),
            "nothing",
        ),
    ] {
        assert_eq!(allocated(&ceiling(), &value), expected, "{what}");
        assert_eq!(allocated(&entry(json!({"engine": "crio"})), &value), expected, "{what}");
    }
    let many: Vec<String> = (0..1025).map(|index| index.to_string()).collect();
    let many = marks(&many.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(allocated(&ceiling(), &many), "bad-request", "more than any host has");
    let mut elsewhere = marks(&["GPU-0"]);
    *elsewhere.pointer_mut("/mounts/0/source").unwrap() = json!("/var/lib/kubelet/pods/x/volumes/y");
    assert_eq!(allocated(&ceiling(), &elsewhere), "nothing", "only the plugin's own mark counts");
}

#[test]
fn the_environment_counts_only_where_the_entry_says_so() {
    for (text, expected) in [
        ("GPU-0", "GPU-0 | "),
        ("0, MIG-1", "0,MIG-1 | "),
        ("all", "nothing"),
        ("void", "nothing"),
        ("none", "nothing"),
        ("", "nothing"),
        ("/var/run/nvidia-container-devices", "nothing"),
        ("nvidia.com/gpu=0", "bad-request"),
    ] {
        assert_eq!(allocated(&by_env(), &env(text)), expected, "{text}");
        assert_eq!(allocated(&ceiling(), &env(text)), "nothing", "{text}");
    }
    let mut both = marks(&["GPU-0"]);
    *both.pointer_mut("/process/env/0").unwrap() = json!("NVIDIA_VISIBLE_DEVICES=GPU-1");
    assert_eq!(allocated(&by_env(), &both), "GPU-0 | ", "mounts, which a pod cannot write, come first");
}

#[test]
fn annotations_choose_nothing_where_others_allocate() {
    let annotated = |mut value: Value, annotations: Value| {
        value.as_object_mut().unwrap().insert("annotations".to_owned(), annotations);
        value
    };
    let both = json!({"gpupol.io/gpus": "8", "gpupol.io/grant": "big"});
    let asked = request(RequestIndices::Auto, &ceiling(), &config(&annotated(marks(&["GPU-0"]), both)));
    let asked = asked.unwrap().unwrap();
    assert!(matches!(asked.devices, Devices::Allocated(_)), "{asked:?}");
    assert_eq!(asked.grant.as_deref(), Some("big"));
    for (annotations, expected) in [
        (json!({"gpupol.io/gpus": "1"}), "not-supported"),
        (json!({"gpupol.io/gpus": "none"}), "nothing"),
        (json!({"gpupol.io/grant": "big"}), "nothing"),
    ] {
        assert_eq!(
            allocated(&ceiling(), &annotated(json!({}), annotations.clone())),
            expected,
            "{annotations}"
        );
    }
    let sandbox = json!({"io.kubernetes.cri.container-type": "sandbox"});
    assert_eq!(allocated(&ceiling(), &annotated(by_cdi(), sandbox.clone())), "nothing");
    assert!(!allocation::has_nodes(&ceiling(), &config(&annotated(by_cdi(), sandbox))));
}

#[test]
fn a_privileged_container_was_allocated_no_node() {
    let with = |rules: Value| {
        let mut value = nodes(&[("/dev/nvidia0", 195, 0)]);
        *value.pointer_mut("/linux/resources/devices").unwrap() = rules;
        allocated(&ceiling(), &value)
    };
    assert_eq!(with(json!([{"allow": true, "access": "rwm"}])), "nothing");
    assert_eq!(with(json!([{"allow": true, "type": "a", "major": -1, "minor": -1}])), "nothing");
    let one = json!({"allow": true, "type": "c", "major": 195, "minor": 0, "access": "rw"});
    let none = json!({"allow": false, "access": "rwm"});
    assert_eq!(with(json!([none, one])), " | /dev/nvidia0=195:0");
    assert_eq!(with(json!([{"allow": true, "access": "rwm"}, none])), " | /dev/nvidia0=195:0");
}

#[test]
fn an_entry_that_contradicts_itself_is_refused() {
    for (more, word) in [
        (json!({"allocationByEnv": true, "allocate": true}), Some("`allocationByEnv`")),
        (json!({"allocationByEnv": true, "engine": "podman"}), Some("`allocationByEnv`")),
        (json!({"askByEnv": true}), Some("`askByEnv`")),
        (json!({"askByEnv": true, "engine": "crio", "allocationByEnv": true}), Some("`askByEnv`")),
        (json!({"askByEnv": true, "allocate": true}), None),
        (json!({"askByEnv": true, "engine": "docker"}), None),
        (json!({"allocationByEnv": true, "engine": "crio"}), None),
    ] {
        let said = parsed(more.clone()).err().map(|refusal| refusal.message);
        let is_right = |said: &String| {
            word.is_some_and(|word| said.starts_with(&format!("entry contradicts itself: {word}")))
        };
        assert!(said.as_ref().map_or(word.is_none(), is_right), "{more}: {said:?}");
    }
}

fn node(path: &str, major: u32, minor: u32, capabilities: Value) -> Value {
    json!({"kind": "device-node", "hostPath": path, "containerPath": path, "major": major, "minor": minor,
        "capabilities": capabilities, "fileMode": 438, "permissions": "rw"})
}

fn gpu(index: u32) -> Value {
    let uuid = format!("GPU-{index}");
    json!({"uuid": uuid, "index": index.to_string(), "pci": format!("0000:{index:02x}:00.0"),
        "gpu": {"nvidia": {"uuid": uuid, "minor": index}},
        "edits": [node(&format!("/dev/nvidia{index}"), 195, index, json!([]))]})
}

/// A MIG device of GPU 7, whose instances have the nodes of these minors.
fn slice(index: u32, caps: [u32; 2]) -> Value {
    let nodes =
        caps.map(|minor| node(&format!("/dev/nvidia-caps/nvidia-cap{minor}"), CAPS, minor, json!([])));
    let edits: Vec<Value> = [node("/dev/nvidia7", 195, 7, json!([]))].into_iter().chain(nodes).collect();
    json!({"uuid": format!("MIG-{index}"), "index": format!("7:{index}"), "pci": "0000:07:00.0",
        "gpu": {"nvidia": {"uuid": "GPU-7", "minor": 7}}, "mig": {"gi": index, "ci": 0, "instances": [[1, 0], [2, 0]]},
        "edits": edits})
}

fn plan(devices: Value, trusted: bool) -> Plan {
    let rule = json!({"file": "a.kdl", "line": 2, "name": "grant g"});
    let shared = json!([node("/dev/nvidiactl", 195, 255, json!([])), node("/dev/nvidia-modeset", 195, 254, json!(["display"])),
        {"kind": "bind", "hostPath": "/run/nvidia-persistenced/socket", "containerPath": "/run/nvidia-persistenced/socket",
            "capabilities": ["utility"], "options": ["nosuid"]},
        {"kind": "bind", "hostPath": "/dev/nvidia-caps", "containerPath": "/usr/share/caps", "options": ["ro"]}]);
    let plan = json!({"planVersion": 1, "tenant": "t", "grant": "g", "policyDigest": "", "topologyDigest": "", "trusted": trusted,
        "rule": rule, "host": {"bootId": null, "driverVersion": null}, "capabilities": ["compute", "display", "utility"],
        "capabilitiesRule": rule, "lines": [{"gpuSet": "s", "rule": rule, "atMost": 2, "default": 1,
            "sharing": {"mode": "exclusive"}, "order": "ranked", "devices": devices, "slots": null}],
        "edits": {"nvidia": shared}, "features": [
            {"feature": "imex/3", "rule": rule, "edits": [node("/dev/nvidia-caps-imex-channels/channel3", 240, 3, json!([]))]}]});
    Plan::parse(plan.to_string().as_bytes()).unwrap()
}

fn choice<'p>(plan: &'p Plan, entry: &Entry, value: &Value, leases: &Leases) -> Result<Choice<'p>, Refusal> {
    choose(plan, &request(RequestIndices::Auto, entry, &config(value))?.unwrap(), leases)
}

/// DRA and CDI give them with nodes and no word of NVIDIA's beside.
#[test]
fn nodes_of_features_ask_for_them_beside_a_device() {
    let first = ("/dev/nvidia0", 195, 0);
    let channel = ("/dev/nvidia-caps-imex-channels/channel3", 240, 3);
    let asked = |value: &Value| request(RequestIndices::Auto, &ceiling(), &config(value)).unwrap();
    let names = |value: &Value| {
        let features = asked(value).unwrap().features;
        features.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for (node, name) in [
        (channel, "imex/3"),
        (("/dev/nvidia-caps-imex-channels/channel3", 240, 7), "imex/7"),
        (("/dev/gdrdrv", 241, 0), "gdrcopy"),
        (("/dev/nvidia-fs15", 242, 15), "gds"),
        (("/dev/nvidia-nvswitch0", 243, 0), "nvswitch"),
        (("/dev/nvidia-nvswitchctl", 243, 255), "nvswitch"),
    ] {
        assert_eq!(names(&nodes(&[first, node])), [name], "{node:?}");
        assert_eq!(asked(&nodes(&[node])), None, "{node:?}: nobody asks for a GPU by it");
    }
    assert_eq!(names(&nodes(&[first, ("/dev/infiniband/uverbs0", 231, 192)])), [""; 0]);
    let mut spec = nodes(&[first, channel]);
    let given = json!([{"path": "/usr/bin/gpupol-hook", "args": ["gpupol-hook", "createRuntime", "--given", "t/g/GPU-0"]}]);
    spec["hooks"] = json!({"createRuntime": given});
    assert_eq!(names(&spec), ["imex/3"], "the hook decides the same of what the spec form gave");
    let plan = plan(json!([gpu(0)]), false);
    let all = choice(&plan, &ceiling(), &nodes(&[first, channel]), &Leases::new()).unwrap();
    assert_eq!(all.features.len(), 1);
    let other = nodes(&[first, ("/dev/gdrdrv", 241, 0)]);
    let refused = choice(&plan, &ceiling(), &other, &Leases::new()).unwrap_err();
    assert_eq!(refused.message, "feature `gdrcopy` is not among those of grant `g`: imex/3");
}

/// UUIDs of what it gets, or the refusal.
fn given(plan: &Plan, value: &Value, leases: &Leases) -> Result<Vec<String>, String> {
    let choice = choice(plan, &by_env(), value, leases);
    let said = |refusal: Refusal| format!("{}: {}", refusal.reason.slug(), refusal.message);
    Ok(choice.map_err(said)?.given.iter().map(|given| given.device.uuid.clone()).collect())
}

#[test]
fn exactly_what_was_allocated_is_given() {
    let plan = plan(json!([gpu(0), gpu(1), gpu(2), slice(1, [21, 22]), slice(2, [30, 31])]), false);
    let free = Leases::new();
    let ok = |uuids: &[&str]| Ok(uuids.iter().map(|uuid| (*uuid).to_owned()).collect::<Vec<_>>());
    assert_eq!(given(&plan, &marks(&["GPU-1"]), &free), ok(&["GPU-1"]));
    assert_eq!(given(&plan, &env("2,1"), &free), ok(&["GPU-1", "GPU-2"]));
    assert_eq!(
        given(&plan, &nodes(&[("/dev/nvidia2", 195, 2), ("/dev/x", 195, 0)]), &free),
        ok(&["GPU-0", "GPU-2"])
    );
    let second = [
        ("/dev/nvidia7", 195, 7),
        ("/dev/nvidia-caps/nvidia-cap30", CAPS, 30),
        ("/dev/nvidia-caps/nvidia-cap31", CAPS, 31),
    ];
    assert_eq!(given(&plan, &nodes(&second), &free), ok(&["MIG-2"]));
    let refused = |value: &Value, leases: &Leases| given(&plan, value, leases).unwrap_err();
    assert_eq!(
        refused(&marks(&["GPU-1", "GPU-9"]), &free),
        "device-not-granted: device `GPU-9` was allocated, and it is not among those of grant `g` on this host"
    );
    assert_eq!(
        refused(&nodes(&[("/dev/nvidia0", 195, 0), ("/dev/nvidia5", 195, 5)]), &free),
        "device-not-granted: device node `/dev/nvidia5` (195:5) was allocated, and its device is not among those of grant `g` on this host"
    );
    assert!(
        refused(&nodes(&second[..2]), &free).starts_with("device-not-granted"),
        "half a MIG device is none"
    );
    assert!(refused(&nodes(&second[..1]), &free).starts_with("device-not-granted"), "nor is its whole GPU");
    assert!(refused(&marks(&["0", "1", "2"]), &free).starts_with("too-many"));
    let lease = Lease { tenant: None, grant: None, sharing: Sharing::Exclusive {} };
    let held = Leases::from([("GPU-1".to_owned(), vec![lease])]);
    assert_eq!(refused(&marks(&["GPU-1"]), &held), "no-free-device: device `GPU-1` (GPU-1) is in use");
    assert_eq!(given(&plan, &marks(&["GPU-0"]), &held), ok(&["GPU-0"]), "nobody chooses another one");
}

#[test]
fn boards_of_amd_are_known_by_their_render_nodes() {
    let board = |index: u32| {
        let minor = 128 + index;
        let render = node(&format!("/dev/dri/renderD{minor}"), 226, minor, json!([]));
        json!({"uuid": format!("GPU-a{index}"), "index": index.to_string(), "pci": format!("0000:{index:02x}:00.0"),
            "gpu": {"amd": {"minor": minor}}, "edits": [render]})
    };
    let plan = plan(json!([board(0), board(1)]), false);
    let allocated =
        |minor| nodes(&[("/dev/kfd", 511, 0), ("/dev/dri/card1", 226, 1), ("/dev/dri/render", 226, minor)]);
    assert_eq!(given(&plan, &allocated(129), &Leases::new()), Ok(vec!["GPU-a1".to_owned()]));
    assert!(given(&plan, &allocated(130), &Leases::new()).unwrap_err().starts_with("device-not-granted"));
}

#[test]
fn what_names_and_nodes_say_must_agree() {
    let plan = plan(json!([gpu(0), gpu(1)]), false);
    let mut both = nodes(&[("/dev/nvidia0", 195, 0)]);
    both.as_object_mut().unwrap().insert("mounts".to_owned(), json!([mark("GPU-0")]));
    assert_eq!(given(&plan, &both, &Leases::new()), Ok(vec!["GPU-0".to_owned()]));
    *both.pointer_mut("/mounts").unwrap() = json!([mark("GPU-1")]);
    assert_eq!(
        given(&plan, &both, &Leases::new()).unwrap_err(),
        "bad-request: device `GPU-1` is said to be allocated, and its nodes are not there"
    );
}

#[test]
fn somebody_trusted_gets_no_more_than_was_allocated() {
    let plan = plan(json!([gpu(0), gpu(1), gpu(2)]), true);
    let lease = Lease { tenant: None, grant: None, sharing: Sharing::Exclusive {} };
    let held = Leases::from([("GPU-1".to_owned(), vec![lease])]);
    assert_eq!(given(&plan, &marks(&["GPU-1"]), &held), Ok(vec!["GPU-1".to_owned()]));
    assert!(given(&plan, &marks(&["GPU-9"]), &held).unwrap_err().starts_with("device-not-granted"));
}

#[test]
fn what_the_grant_covers_is_in_no_row() {
    let plan = plan(json!([gpu(0), gpu(1)]), false);
    let rows = |value: &Value| {
        let config = config(value);
        let choice = choice(&plan, &ceiling(), value, &Leases::new()).unwrap();
        let covered = choice.covered(&plan, &ceiling(), &config);
        let trips = trips_beside(&ceiling(), &config, &Surroundings::default(), &covered);
        trips.iter().map(|trip| trip.row.slug).collect::<Vec<_>>()
    };
    // The container asks for compute and utility; CDI gives the nodes of all that the grant has.
    assert_eq!(rows(&by_cdi()), [""; 0]);
    let mut other = by_cdi();
    let push = |value: &mut Value, list: &str, one: Value| {
        value.pointer_mut(list).and_then(Value::as_array_mut).unwrap().push(one);
    };
    push(
        &mut other,
        "/hooks/createContainer",
        json!({"path": "/usr/bin/nvidia-cdi-hook", "args": ["nvidia-cdi-hook", "new-thing"]}),
    );
    assert_eq!(rows(&other), ["gpu-hook"], "a word that is not known may give devices");
    let mut prestart = by_cdi();
    let hook = json!({"path": "/usr/bin/nvidia-container-runtime-hook", "args": ["x", "prestart"]});
    prestart["hooks"]["prestart"] = json!([hook]);
    assert_eq!(rows(&prestart), ["gpu-hook"]);
    let mut wide = by_cdi();
    push(
        &mut wide,
        "/mounts",
        json!({"type": "bind", "source": "/dev/nvidia1", "destination": "/x", "options": ["bind"]}),
    );
    assert_eq!(rows(&wide), ["bind-gpu"]);
    // The plan gives this socket, and what of it can be written to is for its plan to say.
    let socket = "/run/nvidia-persistenced/socket";
    let mut typed = by_cdi();
    push(&mut typed, "/mounts", json!({"type": "devtmpfs", "source": socket, "destination": "/x"}));
    assert_eq!(rows(&typed), ["bind-dev"], "it mounts no source");
    let bind = |options: Value| {
        let mut value = by_cdi();
        push(
            &mut value,
            "/mounts",
            json!({"type": "bind", "source": "/dev/nvidia-caps", "destination": "/x", "options": options}),
        );
        rows(&value)
    };
    assert_eq!(bind(json!(["rbind", "ro"])), [""; 0]);
    assert_eq!(bind(json!(["rbind", "rro"])), [""; 0]);
    assert_eq!(bind(json!(["rbind"])), ["bind-gpu"], "the plan gives it read-only");
    let mut shared = by_cdi();
    push(
        &mut shared,
        "/linux/devices",
        json!({"path": "/dev/nvidia-uvm", "type": "c", "major": 195, "minor": 300}),
    );
    assert_eq!(rows(&shared), ["gpu-node"], "a shared node that the grant does not have");
    let config = config(&by_cdi());
    let found = trips(&ceiling(), &config, &Surroundings::default(), &[]);
    let found: Vec<&str> = found.iter().map(|trip| trip.row.slug).collect();
    assert_eq!(
        found,
        ["gpu-node", "gpu-rule", "driver-socket", "gpu-hook"],
        "all of it would be one without a plan"
    );
}

#[test]
fn the_spec_form_takes_out_what_was_allocated() {
    let mut value = by_cdi();
    let mounts = value["mounts"].as_array_mut().unwrap();
    let volume = |source: &str, destination: &str| json!({"type": "bind", "source": source, "destination": destination, "options": ["rbind", "rprivate", "ro"]});
    let of_cdi = |source: &str, destination: &str, kind: &str| {
        json!({"type": "bind", "source": source, "destination": destination,
            "options": [kind, "nosuid", "nodev", "rbind", "rprivate"]})
    };
    mounts.extend([
        mark("GPU-0"),
        json!({"type": "tmpfs", "source": "tmpfs", "destination": "/dev"}),
        // Newer specifications have sockets without `ro`.
        of_cdi("/tmp/nvidia-mps", "/tmp/nvidia-mps", "noexec"),
        volume("/var/lib/kubelet/pods/1/volumes/kubernetes.io~configmap/nvidia-config", "/nvidia-config"),
        volume("/opt/nvidia-data", "/opt/nvidia-data"),
        of_cdi("/srv/nvidia-tools", "/nvidia-tools", "ro"),
    ]);
    value["linux"]["devices"]
        .as_array_mut()
        .unwrap()
        .push(json!({"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}));
    // A disk may have the number of a GPU.
    let disk = json!({"allow": true, "type": "b", "major": 195, "minor": 0, "access": "rwm"});
    value["linux"]["resources"]["devices"].as_array_mut().unwrap().push(disk);
    let majors = BTreeSet::from([195]);
    let before = config(&value);
    Replaced::of(&before, &majors).remove(&mut value);
    let paths = |list: &str, key: &str| {
        let list = value.pointer(list).unwrap().as_array().unwrap();
        list.iter().map(|one| one[key].as_str().unwrap_or("all").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths("/linux/devices", "path"), ["/dev/fuse"]);
    assert_eq!(paths("/linux/resources/devices", "type"), ["all", "b"]);
    assert_eq!(
        paths("/mounts", "destination"),
        ["/models", "/dev", "/nvidia-config", "/opt/nvidia-data", "/nvidia-tools"],
        "a volume of the pod's stays, and so does what is not below the driver's root"
    );
    let own_view = Replaced::of(&before, &majors).without(before.clone());
    assert_eq!(own_view, config(&value), "the guard judges what the file then is");
    assert!(trips_before(&ceiling(), &before, &Surroundings::default()).is_empty());
}
