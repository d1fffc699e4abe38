//! Entries without `allocate`: Kubernetes allocates, in each of the ways of NVIDIA's device plugin, and gpupol is the ceiling.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::{Value, json};

use super::devices::{nodes, planned_nodes};
use super::expect::{assert_sees, computing, is_refused, ran, runs_without_gpu};
use super::guard::allow_everything;
use crate::bundle::{Bundle, at, look};
use crate::container::{Container, Entry};
use crate::host::{CHANNEL, GPUS, MAJOR, MIG, MIG_MINORS};
use crate::site::{Outcome, Site, text};

/// Exactly what was allocated, whichever way the device plugin says it.
pub(crate) fn in_the_hook_form(site: &Site) {
    allocating(site);
    exactly_what_was_allocated(site);
    one_container_each(site);
    others_are_untouched(site);
}

/// The same by the link.
pub(crate) fn in_the_spec_form(site: &Site) {
    site.use_wrapper();
    in_the_hook_form(site);
}

/// Nodes, files and hooks of NVIDIA's CDI: the hook form lets the files and hooks be, says so, and denies what the grant
/// does not cover.
pub(crate) fn made_by_cdi(site: &Site) {
    allocating(site);
    let seen = ran(run(site, &training(), |config| by_cdi(site, 0, config)));
    assert_eq!(seen.allowed(), computing(site, &[GPUS[0].minor]), "{seen:?}");
    assert!(seen.nodes.contains_key("/dev/nvidia-modeset"), "the runtime has made it: {seen:?}");
    assert!(seen.files.contains_key("/usr/bin/nvidia-smi"), "{seen:?}");
    let audit = site.installed.audit();
    let note = audit.iter().find_map(|record| record["note"].as_str()).expect("the start has a note");
    assert!(note.contains("NVIDIA's CDI"), "{audit:#?}");
    let contained = audit.iter().find(|record| record["event"] == "guard").expect("a record of the guard");
    assert_eq!(
        (&contained["answer"], &contained["rows"]),
        (&json!("contain"), &json!(["gpu-node", "gpu-rule"]))
    );
    let other = |config: &mut Value| {
        by_cdi(site, 0, config);
        config["hooks"]["createContainer"][0]["args"][1] = json!("a-new-word");
    };
    is_refused(run(site, &training(), other), "guard");
    site.installed.change_policies("on-denied refuse", "on-denied refuse\n    on-bypass refuse");
    is_refused(run(site, &training(), |config| by_cdi(site, 0, config)), "guard");
    let covered = computing(site, &[GPUS[0].minor]);
    let seen = ran(run(site, &training(), |config| add_nodes(config, &device_nodes(&covered))));
    assert_sees(&seen, &covered);
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// The spec form puts the plan's in their place, so that a hook which would fail is not even called.
pub(crate) fn made_by_cdi_in_the_spec_form(site: &Site) {
    site.use_wrapper();
    allocating(site);
    let bundle = site.bundle();
    let library = text(&site.host.file("libnvidia-ml.so.550.163.01")).to_owned();
    let volume = site.dir.join("nvidia-config");
    fs::create_dir(&volume).unwrap();
    let beside = |config: &mut Value| {
        by_cdi(site, 1, config);
        let mount = |source: &str, destination: &str, options: &[&str]| json!({ "type": "bind", "source": source, "destination": destination, "options": options });
        list(config, "/mounts").extend([
            mount(&library, &library, &["ro", "nosuid", "nodev", "rbind", "rprivate"]),
            mount(text(&volume), "/nvidia-config", &["ro", "rbind", "rprivate"]),
        ]);
    };
    let seen = ran(run_in(site, &bundle, &training(), beside));
    assert_sees(&seen, &computing(site, &[GPUS[0].minor]));
    let config: Value = serde_json::from_slice(&fs::read(bundle.config()).unwrap()).unwrap();
    assert!(!config.to_string().contains("nvidia-cdi-hook"), "{config:#}");
    let mounts = config["mounts"].as_array().unwrap();
    assert!(mounts.iter().all(|mount| mount["destination"] != library.as_str()), "{config:#}");
    assert!(mounts.iter().any(|mount| mount["destination"] == "/nvidia-config"), "{config:#}");
    assert!(seen.files.keys().any(|path| path.ends_with("libnvidia-ml.so.1")), "{seen:?}");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// What tenant or grant do not cover, by its name.
pub(crate) fn refused(site: &Site) {
    allocating(site);
    for (_, container, edit) in ways(site, 2) {
        let line = is_refused(run(site, &container, |config| edit(config)), "device-not-granted");
        assert!(line.contains(GPUS[2].uuid) || line.contains("/dev/nvidia2"), "{line}");
    }
    let one = |config: &mut Value| add_nodes(config, &[gpu_node(0)]);
    is_refused(run(site, &Container::in_namespace("nobodys"), one), "no-tenant");
    is_refused(run(site, &Container::in_namespace("research-x"), one), "no-grant");
    let both = |config: &mut Value| {
        one(config);
        add_marks(config, &[GPUS[1].uuid]);
    };
    is_refused(run(site, &training(), both), "bad-request");
    let parent = |config: &mut Value| add_nodes(config, &[gpu_node(4)]);
    let mig = Container::in_namespace("research-a").annotation("stage", "mig");
    is_refused(run(site, &mig, parent), "device-not-granted");
    let line = is_refused(site.run(&training().gpus("1")), "not-supported");
    assert!(line.contains("Kubernetes allocates"), "{line}");
    and_may_run(site, one);
    fs::remove_file(site.installed.plans().join("current")).unwrap();
    is_refused(run(site, &training(), one), "plan-set");
    runs_without_gpu(site, &Container::in_namespace("default"));
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// The same by the link.
pub(crate) fn refused_in_the_spec_form(site: &Site) {
    site.use_wrapper();
    refused(site);
}

/// A container that may start without a GPU does so where somebody can take out what was allocated.
fn and_may_run(site: &Site, allocated: impl Fn(&mut Value)) {
    site.installed.change_policies("on-denied refuse", "on-denied run-without-gpu");
    let nobodys = Container::in_namespace("nobodys");
    let outcome = run(site, &nobodys, allocated);
    if site.is_wrapped() {
        assert_sees(&ran(outcome), &BTreeSet::new());
    } else {
        is_refused(outcome, "no-tenant");
    }
    let marked = ran(run(site, &nobodys, |config| add_marks(config, &[GPUS[0].uuid])));
    assert_sees(&marked, &BTreeSet::new());
    // It may not go around its plan because it also names a device.
    let opened = ran(run(site, &nobodys, |config| {
        add_marks(config, &[GPUS[0].uuid]);
        allow_everything(config);
    }));
    assert!(opened.allowed().iter().all(|(major, _)| *major != MAJOR), "{opened:?}");
    site.installed.change_policies("on-denied run-without-gpu", "on-denied refuse");
}

fn exactly_what_was_allocated(site: &Site) {
    for (what, container, edit) in ways(site, 1) {
        let bundle = site.bundle();
        let id = write(site, &bundle, &container, &edit);
        let plan = site.installed.plan(&bundle.config(), Entry::Kubernetes, &[]);
        let seen = ran(site.start(&bundle, &id, Entry::Kubernetes, false));
        assert_sees(&seen, &computing(site, &[GPUS[1].minor]));
        assert_eq!(planned_nodes(&plan), nodes(&seen), "{what}: {plan:#}");
    }
    let audit = site.installed.audit();
    let started = audit.iter().filter(|record| record["event"] == "start");
    assert!(started.clone().all(|record| record["devices"] == json!([GPUS[1].uuid])), "{audit:#?}");
    assert_eq!(started.count(), ways(site, 1).len(), "{audit:#?}");
    let mut numbers = computing(site, &[GPUS[4].minor]);
    numbers.extend(MIG_MINORS.map(|minor| (site.host.caps, minor)));
    let mig = Container::in_namespace("research-a").annotation("stage", "mig");
    let seen = ran(run(site, &mig, |config| add_nodes(config, &device_nodes_of(site))));
    assert_sees(&seen, &numbers);
    assert_sees(&ran(run(site, &mig, |config| add_marks(config, &[MIG]))), &numbers);
    beside_a_feature(site);
    let mut twice = training();
    twice.called_twice = true;
    let seen = ran(run(site, &twice, |config| add_nodes(config, &[gpu_node(0)])));
    assert_sees(&seen, &computing(site, &[GPUS[0].minor]));
}

/// A channel of IMEX that was allocated with a GPU is given if it is granted, and told of.
fn beside_a_feature(site: &Site) {
    let direct = Container::in_namespace("research-vision").annotation("stage", "direct");
    let channel = |minor| (format!("/dev/nvidia-caps-imex-channels/channel{minor}"), site.host.caps, minor);
    let with = |minor| move |config: &mut Value| add_nodes(config, &[gpu_node(2), channel(minor)]);
    let mut numbers = computing(site, &[GPUS[2].minor]);
    numbers.insert((site.host.caps, CHANNEL));
    let marked = |config: &mut Value| {
        add_nodes(config, &[gpu_node(2)]);
        add_marks(config, &[&format!("imex/{CHANNEL}")]);
    };
    assert_sees(&ran(run(site, &direct, marked)), &numbers);
    assert_sees(&ran(run(site, &direct, with(CHANNEL))), &numbers);
    let audit = site.installed.audit();
    let told = audit.iter().rfind(|record| record["event"] == "start").expect("a record of the start");
    assert_eq!(told["features"], json!([format!("imex/{CHANNEL}")]), "{audit:#?}");
    is_refused(run(site, &direct, with(7)), "feature-not-granted");
}

/// An exclusive GPU that is allocated twice is one container's.
fn one_container_each(site: &Site) {
    let bundle = site.bundle();
    let first = |config: &mut Value| add_nodes(config, &[gpu_node(0)]);
    let held = site.hold_written(&bundle, &training(), |bundle| change(bundle, &first));
    assert_sees(&held.seen, &computing(site, &[GPUS[0].minor]));
    assert_eq!(site.installed.leases().len(), 1);
    let line = is_refused(run(site, &training(), first), "no-free-device");
    assert!(line.contains(GPUS[0].uuid), "{line}");
    is_refused(run(site, &training(), |config| add_marks(config, &["0"])), "no-free-device");
    let other = ran(run(site, &training(), |config| add_marks(config, &["1"])));
    assert_sees(&other, &computing(site, &[GPUS[1].minor]));
    site.delete(held);
    assert_sees(&ran(run(site, &training(), first)), &computing(site, &[GPUS[0].minor]));
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// A pod's sandbox, an ordinary pod, and one whose image says `all`: nothing is written, nor does a file change.
fn others_are_untouched(site: &Site) {
    let before = site.installed.audit().len();
    let sandbox = Container::through(Entry::Kubernetes)
        .annotation("io.kubernetes.cri.sandbox-namespace", "research-vision")
        .annotation("io.kubernetes.cri.container-type", "sandbox")
        .annotation("stage", "train");
    let image = training().env("NVIDIA_VISIBLE_DEVICES=all");
    let grant = training().annotation("gpupol.io/grant", "training");
    let named = training().env("NVIDIA_VISIBLE_DEVICES=0");
    site.installed.change_entry(Entry::Kubernetes, |entry| entry["allocationByEnv"] = json!(false));
    for container in [Container::in_namespace("default"), sandbox, image, grant, named] {
        let bundle = site.bundle();
        let id = site.write(&bundle, &container, &look());
        let file = (fs::read(bundle.config()).unwrap(), fs::metadata(bundle.config()).unwrap().ino());
        let seen = ran(site.start(&bundle, &id, Entry::Kubernetes, false));
        assert_sees(&seen, &BTreeSet::new());
        assert_eq!((fs::read(bundle.config()).unwrap(), fs::metadata(bundle.config()).unwrap().ino()), file);
    }
    assert_eq!(site.installed.audit().len(), before);
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

type Way = (&'static str, Container, Box<dyn Fn(&mut Value)>);

/// One GPU as each strategy of the device plugin allocates it.
fn ways(site: &Site, gpu: usize) -> Vec<Way> {
    let shared = device_nodes(&computing(site, &[]));
    let by_env = training().env(&format!("NVIDIA_VISIBLE_DEVICES={}", GPUS[gpu].uuid));
    let marked = training().env("NVIDIA_VISIBLE_DEVICES=/var/run/nvidia-container-devices");
    vec![
        ("envvar", by_env.clone(), Box::new(|_| {})),
        ("volume-mounts", marked, Box::new(move |config| add_marks(config, &[GPUS[gpu].uuid]))),
        ("device nodes", training(), Box::new(move |config| add_nodes(config, &[gpu_node(gpu)]))),
        (
            "envvar and device nodes",
            by_env,
            Box::new(move |config| add_nodes(config, &[&[gpu_node(gpu)], shared.as_slice()].concat())),
        ),
    ]
}

fn training() -> Container {
    Container::in_namespace("research-vision").annotation("stage", "train")
}

fn allocating(site: &Site) {
    site.installed.change_entry(Entry::Kubernetes, |entry| {
        entry["allocate"] = json!(false);
        entry["allocationByEnv"] = json!(true);
    });
}

fn run(site: &Site, container: &Container, edit: impl Fn(&mut Value)) -> Outcome {
    run_in(site, &site.bundle(), container, edit)
}

fn run_in(site: &Site, bundle: &Bundle, container: &Container, edit: impl Fn(&mut Value)) -> Outcome {
    let id = write(site, bundle, container, &edit);
    site.start(bundle, &id, Entry::Kubernetes, false)
}

fn write(site: &Site, bundle: &Bundle, container: &Container, edit: &dyn Fn(&mut Value)) -> String {
    let id = site.write(bundle, container, &look());
    change(bundle, edit);
    id
}

fn change(bundle: &Bundle, edit: &dyn Fn(&mut Value)) {
    let mut config = serde_json::from_slice(&fs::read(bundle.config()).unwrap()).unwrap();
    edit(&mut config);
    fs::write(bundle.config(), config.to_string()).unwrap();
}

/// A node as Kubernetes and CDI have it: its path, and its number.
type Node = (String, u32, u32);

fn gpu_node(gpu: usize) -> Node {
    let minor = GPUS[gpu].minor;
    (format!("/dev/nvidia{minor}"), MAJOR, minor)
}

fn device_nodes(numbers: &BTreeSet<(u32, u32)>) -> Vec<Node> {
    let path = |(major, minor): (u32, u32)| match (major, minor) {
        (MAJOR, 255) => "/dev/nvidiactl".to_owned(),
        (MAJOR, 254) => "/dev/nvidia-modeset".to_owned(),
        (MAJOR, minor) => format!("/dev/nvidia{minor}"),
        (_, 0) => "/dev/nvidia-uvm".to_owned(),
        _ => "/dev/nvidia-uvm-tools".to_owned(),
    };
    numbers.iter().map(|number| (path(*number), number.0, number.1)).collect()
}

/// The nodes of the MIG device.
fn device_nodes_of(site: &Site) -> Vec<Node> {
    let cap = |minor| (format!("/dev/nvidia-caps/nvidia-cap{minor}"), site.host.caps, minor);
    [gpu_node(4)].into_iter().chain(MIG_MINORS.map(cap)).collect()
}

fn add_nodes(config: &mut Value, nodes: &[Node]) {
    let device = |(path, major, minor): &Node| json!({ "path": path, "type": "c", "major": major, "minor": minor, "fileMode": 438 });
    let rule = |(_, major, minor): &Node| json!({ "allow": true, "type": "c", "major": major, "minor": minor, "access": "rw" });
    if config["linux"]["devices"].is_null() {
        at(config, "/linux/devices", json!([]));
    }
    list(config, "/linux/devices").extend(nodes.iter().map(device));
    list(config, "/linux/resources/devices").extend(nodes.iter().map(rule));
}

fn add_marks(config: &mut Value, names: &[&str]) {
    let mark = |name: &&str| {
        json!({ "type": "bind", "source": "/dev/null", "options": ["rbind", "rprivate"],
            "destination": format!("/var/run/nvidia-container-devices/{name}") })
    };
    list(config, "/mounts").extend(names.iter().map(mark));
}

/// The first GPU, `nvidia-modeset`, which the grant does not give, a program of the driver's, and a hook that ends so.
fn by_cdi(site: &Site, status: u8, config: &mut Value) {
    let mut numbers = computing(site, &[GPUS[0].minor]);
    numbers.insert((MAJOR, 254));
    add_nodes(config, &device_nodes(&numbers));
    let program = json!({ "type": "bind", "source": site.host.file("nvidia-smi"), "destination": "/usr/bin/nvidia-smi",
        "options": ["ro", "nosuid", "nodev", "rbind", "rprivate"] });
    list(config, "/mounts").push(program);
    let hook = site.dir.join("nvidia-cdi-hook");
    // crun fails if a hook ends before it was told of the container.
    fs::write(&hook, format!("#!/bin/sh\nread -r state\nexit {status}\n")).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let call =
        json!({ "path": hook, "args": ["nvidia-cdi-hook", "update-ldcache", "--folder", "/usr/lib64"] });
    if config["hooks"].is_null() {
        at(config, "/hooks", json!({}));
    }
    config["hooks"]["createContainer"] = json!([call]);
}

fn list<'c>(config: &'c mut Value, pointer: &str) -> &'c mut Vec<Value> {
    config.pointer_mut(pointer).and_then(Value::as_array_mut).unwrap_or_else(|| panic!("no list {pointer}"))
}
