//! What counts as asking, and for what, row by row.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]

use gpupol_plan::config::Config;
use gpupol_plan::entry::Entry;
use gpupol_plan::index::RequestIndices;
use gpupol_plan::request::{Capabilities, Devices, Request, request};
use serde_json::{Value, json};

fn entry(engine: &str, more: Value) -> Entry {
    let mut entry = json!({"entryVersion": 1, "engine": engine, "form": "hook", "allocate": true,
        "plans": "/p", "stateDir": "/s", "audit": "/a"});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Entry::parse(entry.to_string().as_bytes()).unwrap()
}

fn config(annotations: Value, env: &[&str], docker_gpus: bool) -> Config {
    let hook = json!([{"path": "/usr/bin/nvidia-container-runtime-hook", "args": ["x", "prestart"]}]);
    let hooks = json!({"prestart": if docker_gpus { hook } else { json!([]) }});
    let config = json!({"annotations": annotations, "process": {"env": env}, "hooks": hooks});
    Config::parse(config.to_string().as_bytes()).unwrap()
}

fn devices(entry: &Entry, config: &Config, indices: RequestIndices) -> Result<Option<Devices>, &'static str> {
    let asked = request(indices, entry, config);
    asked.map(|asked| asked.map(|asked| asked.devices)).map_err(|refusal| refusal.reason.slug())
}

fn named(names: &[&str]) -> Option<Devices> {
    Some(Devices::Named(names.iter().map(|name| (*name).to_owned()).collect()))
}

/// Environment, whether Docker's own entry is there, and what is asked for.
type Row = (&'static [&'static str], bool, Result<Option<Devices>, &'static str>);

#[test]
fn the_environment_asks_only_when_it_names_devices() {
    let rows: &[Row] = &[
        (&[], false, Ok(None)),
        (&["NVIDIA_VISIBLE_DEVICES="], false, Ok(None)),
        (&["NVIDIA_VISIBLE_DEVICES=all"], false, Ok(None)),
        (&["NVIDIA_VISIBLE_DEVICES=all"], true, Ok(Some(Devices::Default))),
        (&["NVIDIA_VISIBLE_DEVICES=none"], true, Ok(None)),
        (&["NVIDIA_VISIBLE_DEVICES=void"], true, Ok(None)),
        (&["NVIDIA_VISIBLE_DEVICES=0,all"], false, Ok(None)),
        (&["NVIDIA_VISIBLE_DEVICES=void,all"], true, Ok(None)),
        (&["NVIDIA_VISIBLE_DEVICES=0"], false, Ok(named(&["0"]))),
        (&["NVIDIA_VISIBLE_DEVICES=0,1"], true, Ok(Some(Devices::Indices(vec![0, 1])))),
        (&["NVIDIA_VISIBLE_DEVICES=1,0"], true, Ok(named(&["1", "0"]))),
        (&["NVIDIA_VISIBLE_DEVICES=0,2"], true, Ok(named(&["0", "2"]))),
        (&["NVIDIA_VISIBLE_DEVICES=0, 2,"], false, Ok(named(&["0", "2"]))),
        (&["NVIDIA_VISIBLE_DEVICES=0:1"], false, Ok(named(&["0:1"]))),
        (&["NVIDIA_VISIBLE_DEVICES=GPU-1,MIG-2"], false, Ok(named(&["GPU-1", "MIG-2"]))),
        (&["NVIDIA_VISIBLE_DEVICES=0000:07:00.0"], false, Ok(named(&["0000:07:00.0"]))),
        (&["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_VISIBLE_DEVICES=3"], false, Ok(named(&["3"]))),
        (&["NVIDIA_VISIBLE_DEVICES=3", "NVIDIA_VISIBLE_DEVICES=all"], false, Ok(None)),
        (&["NVIDIA_VISIBLE_DEVICES=nvidia.com/gpu=0"], false, Err("bad-request")),
        (&["NVIDIA_VISIBLE_DEVICES=al"], false, Err("bad-request")),
        (&["NVIDIA_VISIBLE_DEVICES=99999999999"], true, Err("bad-request")),
        (&["GPUPOL_GPUS=2"], false, Ok(Some(Devices::Count(2)))),
        (&["GPUPOL_GPUS=none", "NVIDIA_VISIBLE_DEVICES=0"], true, Ok(None)),
        (&["GPUPOL_GRANT=big"], false, Ok(Some(Devices::Default))),
    ];
    for (env, docker_gpus, expected) in rows {
        let config = config(Value::Null, env, *docker_gpus);
        let docker = entry("docker", json!({}));
        assert_eq!(devices(&docker, &config, RequestIndices::Auto), *expected, "{env:?} {docker_gpus}");
    }
}

#[test]
fn numbers_are_what_the_policy_says() {
    let docker = entry("docker", json!({}));
    let gpus = |text: &str| config(Value::Null, &[&format!("NVIDIA_VISIBLE_DEVICES={text}")], true);
    assert_eq!(devices(&docker, &gpus("0,1"), RequestIndices::Host), Ok(named(&["0", "1"])));
    assert_eq!(devices(&docker, &gpus("5,7,7"), RequestIndices::Count), Ok(Some(Devices::Count(2))));
    assert_eq!(devices(&docker, &gpus("GPU-1"), RequestIndices::Count), Ok(named(&["GPU-1"])));
}

#[test]
fn annotations_ask_under_every_engine_that_allocates() {
    let rows: &[(&str, Result<Option<Devices>, &str>)] = &[
        ("2", Ok(Some(Devices::Count(2)))),
        ("0", Ok(None)),
        ("none", Ok(None)),
        ("", Ok(None)),
        ("all", Ok(Some(Devices::Default))),
        (
            "training=1, small=2",
            Ok(Some(Devices::Lines([("training".into(), 1), ("small".into(), 2)].into()))),
        ),
        ("training=1,training=2", Err("bad-request")),
        ("training=x", Err("bad-request")),
        ("GPU-a,GPU-b", Ok(named(&["GPU-a", "GPU-b"]))),
        ("some", Err("bad-request")),
        ("-1", Err("bad-request")),
    ];
    for (text, expected) in rows {
        for engine in ["docker", "podman", "containerd", "crio"] {
            let config = config(json!({"gpupol.io/gpus": text}), &["NVIDIA_VISIBLE_DEVICES=all"], false);
            assert_eq!(
                devices(&entry(engine, json!({})), &config, RequestIndices::Auto),
                *expected,
                "{text}"
            );
        }
    }
}

#[test]
fn a_bare_all_asks_where_the_entry_says_so() {
    let config = config(Value::Null, &["NVIDIA_VISIBLE_DEVICES=all"], false);
    let entry = entry("docker", json!({"askByEnv": true, "runtime": "gpupol-research"}));
    assert_eq!(devices(&entry, &config, RequestIndices::Auto), Ok(Some(Devices::Default)));
}

#[test]
fn a_sandbox_never_asks() {
    let annotations = json!({"gpupol.io/gpus": "1", "io.kubernetes.cri.container-type": "sandbox"});
    let config = config(annotations, &["NVIDIA_VISIBLE_DEVICES=0"], false);
    assert_eq!(devices(&entry("containerd", json!({})), &config, RequestIndices::Auto), Ok(None));
    assert_eq!(
        devices(&entry("docker", json!({})), &config, RequestIndices::Auto),
        Ok(Some(Devices::Count(1)))
    );
}

/// Where Kubernetes allocates, `allocation.rs` has what is asked for.
#[test]
fn without_allocate_nobody_is_chosen_for() {
    let entry = entry("podman", json!({"allocate": false}));
    let asks =
        |annotations, env: &[&str]| devices(&entry, &config(annotations, env, false), RequestIndices::Auto);
    assert_eq!(asks(Value::Null, &["NVIDIA_VISIBLE_DEVICES=0"]), Ok(None));
    assert_eq!(asks(json!({"gpupol.io/gpus": "1"}), &[]), Err("not-supported"));
    let with = |path: &str, major: u32| {
        let node = json!({"linux": {"devices": [{"path": path, "type": "c", "major": major, "minor": 0}]}});
        devices(&entry, &Config::parse(node.to_string().as_bytes()).unwrap(), RequestIndices::Auto)
    };
    for (path, major) in
        [("/dev/nvidia0", 195), ("/dev/other", 195), ("/dev/nvidia-caps/nvidia-cap1", 235), ("/dev/kfd", 511)]
    {
        assert_eq!(with(path, major), Err("not-supported"), "{path}");
    }
    assert_eq!(with("/dev/fuse", 10), Ok(None));
}

#[test]
fn capabilities_are_nvidias_words() {
    use gpupol_plan::capability::Capability::{Compute, Utility, Video};
    let ask = |text: Option<&str>| {
        let variable = text.map(|text| format!("NVIDIA_DRIVER_CAPABILITIES={text}"));
        let env: Vec<&str> = ["NVIDIA_VISIBLE_DEVICES=0"].into_iter().chain(variable.as_deref()).collect();
        let config = config(Value::Null, &env, false);
        let asked = request(RequestIndices::Auto, &entry("docker", json!({})), &config);
        asked.map(|asked: Option<Request>| asked.unwrap().capabilities).map_err(|refusal| refusal.message)
    };
    let named = |words: &[_]| Ok(Capabilities::Named(words.iter().copied().collect()));
    assert_eq!(ask(None), named(&[Compute, Utility]));
    assert_eq!(ask(Some("")), named(&[Compute, Utility]));
    assert_eq!(ask(Some("video, compute")), named(&[Compute, Video]));
    assert_eq!(ask(Some("compute,all")), Ok(Capabilities::All));
    let refused = ask(Some("compute,comptue")).unwrap_err();
    assert_eq!(refused, "NVIDIA_DRIVER_CAPABILITIES names `comptue`, which is no driver capability");
}
