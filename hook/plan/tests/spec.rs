//! The spec form: what becomes of a `config.json`.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]

use gpupol_plan::edit::Edit;
use gpupol_plan::place::Directories;
use gpupol_plan::refusal::Refusal;
use gpupol_plan::spec::{Surroundings, apply};
use serde_json::{Value, json};

fn node(host: &str, container: &str, minor: u32) -> Value {
    json!({"kind": "device-node", "hostPath": host, "containerPath": container, "major": 195, "minor": minor,
        "fileMode": 438, "permissions": "rw"})
}

fn bind(host: &str, container: &str) -> Value {
    json!({"kind": "bind", "hostPath": host, "containerPath": container, "options": ["ro", "nosuid", "nodev"]})
}

/// The edited file, and the paths of what is left to the hook.
fn edited(mut config: Value, edits: &[Value], has: &[&str]) -> Result<(Value, Vec<String>), Refusal> {
    let edits: Vec<Edit> = edits.iter().map(|edit| serde_json::from_value(edit.clone()).unwrap()).collect();
    let edits: Vec<&Edit> = edits.iter().collect();
    let surroundings = Surroundings {
        directories: Directories::of(|path| Ok::<_, ()>(has.contains(&path))).unwrap(),
        is_gone: &|path| path == "/run/gone",
    };
    let left = apply(&mut config, &edits, &surroundings)?;
    let left: Vec<String> = left.iter().map(|edit| edit.container_path().unwrap().to_owned()).collect();
    let once = config.clone();
    assert_eq!(apply(&mut config, &edits, &surroundings)?.len(), left.len());
    assert_eq!(config, once, "made twice, it is another file");
    Ok((config, left))
}

const DEBIAN: [&str; 1] = ["/etc/debian_version"];

#[test]
fn each_kind_has_its_place_and_the_rest_is_kept() {
    let config = json!({"ociVersion": "1.0.2", "unknown": {"kept": [1]},
        "process": {"env": ["PATH=/bin", "A=1", "AB=2", "A", "A=3"], "user": {"uid": 7}},
        "linux": {"resources": {"devices": [{"allow": false, "access": "rwm"}], "memory": {"limit": 1}}}});
    let edits = [
        node("/dev/nvidia0", "/dev/nvidia0", 0),
        bind("/lib/libcuda.so.550", "{libdir}/libcuda.so.1"),
        bind("/lib/mod.so", "{xorgdir}/drivers/mod.so"),
        json!({"kind": "env", "optional": true, "name": "A", "value": "x=y"}),
        json!({"kind": "gid", "gid": 44}),
    ];
    let mount = |source: &str, destination: &str| {
        json!({"destination": destination, "type": "bind", "source": source,
            "options": ["bind", "private", "ro", "nosuid", "nodev"]})
    };
    let debian = format!("/usr/lib/{}-linux-gnu/libcuda.so.1", std::env::consts::ARCH);
    let libraries = [
        (DEBIAN.as_slice(), debian.as_str(), "/usr/lib/xorg/modules/drivers/mod.so"),
        (&[], "/usr/lib64/libcuda.so.1", "/usr/lib64/xorg/modules/drivers/mod.so"),
    ];
    for (has, library, module) in libraries {
        let (found, left) = edited(config.clone(), &edits, has).unwrap();
        let expected = json!({"ociVersion": "1.0.2", "unknown": {"kept": [1]},
            "process": {"env": ["PATH=/bin", "AB=2", "A=x=y"], "user": {"uid": 7, "additionalGids": [44]}},
            "mounts": [mount("/lib/libcuda.so.550", library), mount("/lib/mod.so", module)],
            "linux": {
                "devices": [{"path": "/dev/nvidia0", "type": "c", "major": 195, "minor": 0, "fileMode": 438}],
                "resources": {"memory": {"limit": 1}, "devices": [{"allow": false, "access": "rwm"},
                    {"allow": true, "type": "c", "major": 195, "minor": 0, "access": "rw"}]}}});
        assert_eq!(found, expected);
        assert!(left.is_empty());
    }
}

/// Runtimes bind the node of the same path there; one of another path has to be a mount.
#[test]
fn in_a_user_namespace_a_node_of_another_path_is_bound() {
    let config = json!({"linux": {"namespaces": [{"type": "user"}]}});
    let edits = [
        node("/run/nvidia/driver/dev/nvidia0", "/dev/nvidia0", 0),
        node("/dev/nvidiactl", "/dev/nvidiactl", 255),
    ];
    let (found, _) = edited(config, &edits, &[]).unwrap();
    assert_eq!(
        found["mounts"],
        json!([{"destination": "/dev/nvidia0", "type": "bind", "source": "/run/nvidia/driver/dev/nvidia0",
            "options": ["bind", "private", "nosuid", "noexec"]}])
    );
    assert_eq!(found["linux"]["devices"].as_array().unwrap().len(), 1);
    assert_eq!(found["linux"]["resources"]["devices"].as_array().unwrap().len(), 2);
}

#[test]
fn what_config_json_cannot_say_is_left_to_the_hook() {
    let mut daemon = bind("/run/daemon", "/tmp/daemon");
    daemon["listening"] = json!("control");
    let edits = [
        json!({"kind": "tmpfs", "containerPath": "/proc/driver/nvidia", "hides": true, "fileMode": 365,
            "options": ["ro"]}),
        json!({"kind": "file", "containerPath": "/proc/driver/nvidia/params", "content": "", "fileMode": 292}),
        bind("/proc/driver/nvidia/version", "/proc/driver/nvidia/version"),
        bind("/proc/driver/nvidia2", "/proc/driver/nvidia2"),
        daemon,
    ];
    let (found, left) = edited(json!({}), &edits, &[]).unwrap();
    let below =
        ["/proc/driver/nvidia", "/proc/driver/nvidia/params", "/proc/driver/nvidia/version", "/tmp/daemon"];
    assert_eq!(left, below);
    assert_eq!(found["mounts"].as_array().unwrap().len(), 1);
}

#[test]
fn an_optional_source_that_is_gone_is_left_out() {
    let mut gone = bind("/run/gone", "/run/a");
    gone["optional"] = json!(true);
    assert_eq!(edited(json!({}), &[gone], &[]).unwrap().0, json!({}));
    assert!(edited(json!({}), &[bind("/run/gone", "/run/a")], &[]).unwrap().0["mounts"].is_array());
}

#[test]
fn what_is_in_the_way_is_refused() {
    let own = node("/dev/nvidia0", "/dev/nvidia0", 0);
    for device in [
        json!({"path": "/dev/nvidia0", "type": "c", "major": 195, "minor": 1}),
        json!({"path": "/dev/nvidia0", "type": "b", "major": 195, "minor": 0}),
    ] {
        let refusal =
            edited(json!({"linux": {"devices": [device]}}), std::slice::from_ref(&own), &[]).unwrap_err();
        assert_eq!(refusal.message, "config.json has another device at `/dev/nvidia0`");
    }
    for config in [json!([]), json!({"linux": 1}), json!({"linux": {"devices": {}}})] {
        let refusal = edited(config, std::slice::from_ref(&own), &[]).unwrap_err();
        assert_eq!(refusal.message, "`linux.devices` of config.json is not what it should be");
    }
}
