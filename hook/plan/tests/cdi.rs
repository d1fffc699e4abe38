//! CDI devices in a configuration: what they ask for, for whom, and what of their nodes is no way around the plan.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]

use gpupol_plan::capability::Capability;
use gpupol_plan::config::Config;
use gpupol_plan::entry::Entry;
use gpupol_plan::guard::{Number, Surroundings, put_off, trips};
use gpupol_plan::identity;
use gpupol_plan::index::{self, Contents, Index, RequestIndices};
use gpupol_plan::lookup::{self, Decision};
use gpupol_plan::observed::Observed;
use gpupol_plan::request::{Capabilities, Devices, cdi, request};
use serde_json::{Value, json};

fn contents() -> Contents {
    let grant = |tenant: &str, name: &str, named: bool| json!({"tenant": tenant, "name": name, "rank": 0, "named": named, "when": [], "plan": {"offset": 0, "length": 1}, "shared": {"offset": 1, "length": 1}});
    let tenant = |name: &str, identity: Value| json!({"name": name, "identities": [identity]});
    let index = json!({
        "indexVersion": 1, "onDenied": "refuse", "requestIndices": "auto",
        "tenants": [tenant("desks", json!({"engine": "podman"})), tenant("lab", json!({"engine": "docker", "daemon": "lab"}))],
        "grants": [grant("desks", "desk", false), grant("desks", "big", true), grant("lab", "desk", false)]});
    serde_json::from_value(index).unwrap()
}

/// As the hook decides, on the bytes that the compiler writes.
fn decide(config: &Config) -> Decision {
    let (contents, entry, observed) = (contents(), entry(true), Observed::default());
    let bytes = index::write(&contents, &index::automaton(&contents.tenants).unwrap());
    let index = Index::of(&bytes).unwrap();
    let whose = identity::tenant(&index, &identity::facts(&entry, config, &observed));
    lookup::decide(&index, &whose, &entry, config, &observed)
}

fn entry(allocate: bool) -> Entry {
    entry_of("podman", allocate)
}

fn entry_of(engine: &str, allocate: bool) -> Entry {
    let entry = json!({"entryVersion": 1, "engine": engine, "form": "hook", "allocate": allocate,
        "plans": "/p", "stateDir": "/s", "audit": "/a"});
    Entry::parse(entry.to_string().as_bytes()).unwrap()
}

fn call(words: &[&str]) -> Value {
    let args = [&["gpupol-hook", "createRuntime", "--entry", "podman"], words].concat();
    json!({"path": "/usr/libexec/gpupol-hook", "args": args})
}

/// A container whose hooks are called with these words after `--cdi`.
fn naming(words: &[&str]) -> Value {
    let calls: Vec<Value> = words.iter().map(|word| call(&["--cdi", word])).collect();
    json!({"hooks": {"createRuntime": calls}, "process": {"env": ["NVIDIA_VISIBLE_DEVICES=void"]}})
}

fn config(value: &Value) -> Config {
    Config::parse(value.to_string().as_bytes()).unwrap()
}

/// `TENANT/GRANT devices`, the slug of a refusal with its message, or `nothing`.
fn asked(value: &Value, allocate: bool) -> String {
    match request(RequestIndices::Auto, &entry(allocate), &config(value)) {
        Ok(None) => "nothing".to_owned(),
        Err(refusal) => format!("{}: {}", refusal.reason.slug(), refusal.message),
        Ok(Some(request)) => {
            assert_eq!(request.capabilities, Capabilities::All);
            let devices = match request.devices {
                Devices::Default => "any".to_owned(),
                Devices::Named(names) => names.join(","),
                other => format!("{other:?}"),
            };
            format!("{}/{} {devices}", request.tenant.unwrap(), request.grant.unwrap())
        }
    }
}

#[test]
fn all_calls_of_a_container_are_one_request() {
    for (words, expected) in [
        (&["desks/desk/GPU-1"][..], "desks/desk GPU-1"),
        (&["desks/desk/GPU-1", "desks/desk/MIG-2"], "desks/desk GPU-1,MIG-2"),
        (&["desks/desk/GPU-1", "desks/desk/GPU-1"], "desks/desk GPU-1"),
        (&["desks/desk/any"], "desks/desk any"),
        (&["desks/desk/any", "desks/desk/any"], "desks/desk any"),
        (
            &["desks/desk/any", "desks/desk/GPU-1"],
            "bad-request: its CDI devices are any of a grant, and one of it: `any`, `GPU-1`",
        ),
        (
            &["desks/desk/GPU-1", "desks/big/GPU-2"],
            "bad-request: its CDI devices are of two grants: `desks/desk/GPU-1`, `desks/big/GPU-2`",
        ),
        (
            &["desks/desk/GPU-1", "lab/desk/GPU-1"],
            "bad-request: its CDI devices are of two grants: `desks/desk/GPU-1`, `lab/desk/GPU-1`",
        ),
        (&["desks/desk"], "bad-request: a CDI device of it is none of a grant: `--cdi`, `desks/desk`"),
        (&["desks/desk/"], "bad-request: a CDI device of it is none of a grant: `--cdi`, `desks/desk/`"),
        (&["a/b/c/d"], "bad-request: a CDI device of it is none of a grant: `--cdi`, `a/b/c/d`"),
        (&[""], "bad-request: a CDI device of it is none of a grant: `--cdi`, ``"),
        (&[], "nothing"),
    ] {
        assert_eq!(asked(&naming(words), true), expected, "{words:?}");
    }
    let cut = json!({"hooks": {"createRuntime": [call(&["--cdi"])]}});
    assert!(asked(&cut, true).starts_with("bad-request"), "{}", asked(&cut, true));
}

/// What the spec form gave is decided about like devices of CDI, with the driver capabilities that were asked for then; what
/// else the container says asks for nothing any more.
#[test]
fn what_the_spec_form_gave_is_one_request() {
    let given = |args: &[&str]| {
        config(&json!({"hooks": {"createRuntime": [call(args)]}, "annotations": {"gpupol.io/gpus": "8"},
            "process": {"env": ["NVIDIA_DRIVER_CAPABILITIES=utility", "NVIDIA_VISIBLE_DEVICES=void"]}}))
    };
    let two = given(&["--given", "desks/desk/GPU-1", "--given", "desks/desk/GPU-2"]);
    let asked = request(RequestIndices::Auto, &entry(true), &two).unwrap().unwrap();
    assert_eq!(asked.devices, Devices::Named(vec!["GPU-1".to_owned(), "GPU-2".to_owned()]));
    assert_eq!(asked.capabilities, Capabilities::Named([Capability::Utility].into()));
    assert_eq!((asked.tenant.as_deref(), asked.grant.as_deref()), (Some("desks"), Some("desk")));
    assert!(cdi::is_given(&two) && cdi::is_of_spec_form(&two));
    let nothing = given(&["--given", "nothing"]);
    assert_eq!(request(RequestIndices::Auto, &entry(true), &nothing), Ok(None));
    assert!(cdi::is_of_spec_form(&nothing) && !cdi::is_given(&nothing) && !cdi::is_named(&nothing));
    let both = given(&["--given", "desks/desk/GPU-1", "--cdi", "desks/desk/GPU-2"]);
    assert_eq!(
        request(RequestIndices::Auto, &entry(true), &both).unwrap_err().message,
        "its devices come by CDI and by the spec form: `desks/desk/GPU-1`, `desks/desk/GPU-2`"
    );
}

/// Devices of CDI are exact, so somebody else may have chosen them; `any` leaves the choice to gpupol.
#[test]
fn an_entry_without_allocate_takes_what_is_named() {
    assert_eq!(asked(&naming(&["desks/desk/GPU-1"]), false), "desks/desk GPU-1");
    assert!(asked(&naming(&["desks/desk/any"]), false).starts_with("not-supported"));
}

#[test]
fn other_words_and_other_programs_ask_for_nothing() {
    let mut beside = naming(&["desks/desk/GPU-1"]);
    let asks = json!({"gpupol.io/gpus": "8", "gpupol.io/grant": "big"});
    beside.as_object_mut().unwrap().insert("annotations".to_owned(), asks);
    assert_eq!(asked(&beside, true), "desks/desk GPU-1", "the devices alone decide");
    let other = json!({"hooks": {"createRuntime": [
        {"path": "/usr/bin/other", "args": ["other", "--cdi", "desks/desk/GPU-1"]}, {"path": "/usr/libexec/gpupol-hook"}, call(&[])],
        "poststop": [call(&["--cdi", "desks/desk/GPU-1"])]}});
    assert_eq!(asked(&other, true), "nothing");
    assert!(!cdi::is_named(&config(&other)));
}

#[test]
fn whose_a_device_is_must_be_whose_the_container_is() {
    let decided = |words: &[&str]| match decide(&config(&naming(words))) {
        Decision::NotAsked => "nothing".to_owned(),
        Decision::Refused { refusal, .. } => refusal.message,
        Decision::Granted(granted) => format!("{}/{}", granted.tenant.name, granted.grant.name),
    };
    assert_eq!(decided(&["desks/desk/GPU-1"]), "desks/desk");
    assert_eq!(decided(&["desks/big/any"]), "desks/big", "to name a device is to name its grant");
    assert_eq!(
        decided(&["lab/desk/GPU-1"]),
        "a container of tenant `desks` names a CDI device of tenant `lab`"
    );
    assert_eq!(decided(&["desks/gone/GPU-1"]), "tenant `desks` has no grant `gone`");
}

#[test]
fn nodes_of_cdi_are_in_no_row_if_the_plan_gives_them() {
    let node = |minor: i64| json!({"type": "c", "path": format!("/dev/nvidia{minor}"), "major": 195, "minor": minor});
    let rule = |minor: Option<i64>| json!({"allow": true, "type": "c", "major": 195, "minor": minor, "access": "rw"});
    let deny = json!({"allow": false, "access": "rwm"});
    let with = |nodes: &[i64], rules: &[Option<i64>]| {
        let mut value = naming(&["desks/desk/GPU-1"]);
        let rules: Vec<Value> =
            [deny.clone()].into_iter().chain(rules.iter().map(|minor| rule(*minor))).collect();
        let nodes: Vec<Value> = nodes.iter().map(|minor| node(*minor)).collect();
        value.as_object_mut().unwrap().insert("linux".to_owned(), json!({
            "devices": nodes, "resources": {"devices": rules}, "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "mount"}]}));
        config(&value)
    };
    let rows = |config: &Config, own: &[Number]| {
        let trips = trips(&entry(true), config, &Surroundings::default(), own);
        trips.iter().map(|trip| trip.row.slug).collect::<Vec<_>>()
    };
    let own = [(195, 1), (195, 255)];
    assert_eq!(rows(&with(&[1, 255], &[Some(1), Some(255)]), &own), Vec::<&str>::new());
    assert_eq!(rows(&with(&[1, 2], &[Some(1)]), &own), ["gpu-node"]);
    assert_eq!(rows(&with(&[1], &[Some(1), Some(2)]), &own), ["gpu-rule"]);
    assert_eq!(rows(&with(&[1], &[None]), &own), ["gpu-rule"]);
    assert_eq!(rows(&with(&[1], &[Some(1)]), &[]), ["gpu-node", "gpu-rule"]);
    let all = with(&[1, 2], &[]);
    let asked = request(RequestIndices::Auto, &entry(true), &all).unwrap();
    assert_eq!(put_off(asked.as_ref(), &all), [(195, 1), (195, 2)]);
    assert_eq!(put_off(None, &all), []);
}

/// The mark of a sandbox is an annotation, which whoever calls the engine may write: it is no way to a device.
#[test]
fn a_sandbox_that_names_devices_asks_and_may_not() {
    for (engine, key) in
        [("containerd", "io.kubernetes.cri.container-type"), ("crio", "io.kubernetes.cri-o.ContainerType")]
    {
        let mut sandbox = naming(&["desks/desk/GPU-1"]);
        sandbox["annotations"] = json!({key: "sandbox"});
        sandbox["linux"] =
            json!({"devices": [{"type": "c", "path": "/dev/nvidia1", "major": 195, "minor": 1}]});
        let sandbox = config(&sandbox);
        let asked = request(RequestIndices::Auto, &entry_of(engine, true), &sandbox);
        let refusal = asked.unwrap_err();
        assert_eq!(refusal.to_string(), "a pod's sandbox names CDI devices", "{engine}");
    }
}
