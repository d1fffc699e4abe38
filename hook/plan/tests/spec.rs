//! The spec form: what becomes of a `config.json`.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]

use gpupol_plan::config::Config;
use gpupol_plan::edit::Edit;
use gpupol_plan::loader::Loader;
use gpupol_plan::place::Directories;
use gpupol_plan::refusal::Refusal;
use gpupol_plan::spec::hooks::{self, Calls};
use gpupol_plan::spec::{Resolved, Surroundings, apply, require_rules};
use serde_json::{Value, json};

fn node(host: &str, container: &str, minor: u32) -> Value {
    json!({"kind": "device-node", "hostPath": host, "containerPath": container, "major": 195, "minor": minor,
        "fileMode": 438, "permissions": "rw"})
}

fn bind(host: &str, container: &str) -> Value {
    json!({"kind": "bind", "hostPath": host, "containerPath": container, "options": ["ro", "nosuid", "nodev"]})
}

/// An image: what it has, its loader's cache, and its regular files, each by a path that leads to it.
#[derive(Default)]
struct Image<'i> {
    has: &'i [&'i str],
    cache: Vec<u8>,
    files: &'i [(&'i str, &'i str)],
}

/// The edited file, and the paths of what is left to the hook.
fn edited(config: Value, edits: &[Value], has: &[&str]) -> Result<(Value, Vec<String>), Refusal> {
    edited_in(config, edits, &Image { has, ..Image::default() })
}

fn edited_in(mut config: Value, edits: &[Value], image: &Image<'_>) -> Result<(Value, Vec<String>), Refusal> {
    let edits: Vec<Edit> = edits.iter().map(|edit| serde_json::from_value(edit.clone()).unwrap()).collect();
    let edits: Vec<&Edit> = edits.iter().collect();
    let paths = edits.iter().filter_map(|edit| edit.container_path());
    let directories = Directories::of(|path| Ok::<_, Refusal>(image.has.contains(&path)))?;
    let resolved = |path: &str| match image.files.iter().find(|(from, _)| *from == path) {
        Some((_, "")) => None,
        Some((_, to)) => Some(Resolved { path: (*to).to_owned(), is_file: true }),
        None => Some(Resolved { path: path.to_owned(), is_file: false }),
    };
    let surroundings = Surroundings {
        loader: Loader::of(directories, &image.cache, paths)?,
        is_gone: &|path| path == "/run/gone",
        found: &|path| resolved(path).filter(|found| found.is_file),
        resolved: &resolved,
    };
    let left = apply(&mut config, &edits, &surroundings)?;
    let left: Vec<String> = left.iter().map(|edit| edit.container_path().unwrap().to_owned()).collect();
    let once = config.clone();
    assert_eq!(apply(&mut config, &edits, &surroundings)?.len(), left.len());
    assert_eq!(config, once, "made twice, it is another file");
    Ok((config, left))
}

/// What every engine writes for `/dev`.
fn own_dev() -> Value {
    json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]})
}

const DEBIAN: [&str; 1] = ["/etc/debian_version"];

#[test]
fn each_kind_has_its_place_and_the_rest_is_kept() {
    let dev = own_dev();
    let config = json!({"ociVersion": "1.0.2", "unknown": {"kept": [1]}, "mounts": [dev],
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
            "mounts": [dev, mount("/lib/libcuda.so.550", library), mount("/lib/mod.so", module)],
            "linux": {
                "devices": [{"path": "/dev/nvidia0", "type": "c", "major": 195, "minor": 0, "fileMode": 438}],
                "resources": {"memory": {"limit": 1}, "devices": [{"allow": false, "access": "rwm"},
                    {"allow": true, "type": "c", "major": 195, "minor": 0, "access": "rw"}]}}});
        assert_eq!(found, expected);
        assert!(left.is_empty());
    }
}

/// A runtime would bind the host's node there, and nobody would ask for its number: the hook does both.
#[test]
fn in_a_user_namespace_the_nodes_are_the_hooks_and_the_rules_are_there() {
    let config = json!({"linux": {"namespaces": [{"type": "user"}]}});
    let edits = [node("/dev/sda", "/dev/nvidia0", 0), node("/dev/nvidiactl", "/dev/nvidiactl", 255)];
    let (found, left) = edited(config, &edits, &[]).unwrap();
    assert_eq!(left, ["/dev/nvidia0", "/dev/nvidiactl"]);
    assert_eq!((&found["mounts"], &found["linux"]["devices"]), (&Value::Null, &Value::Null));
    assert_eq!(found["linux"]["resources"]["devices"].as_array().unwrap().len(), 2);
}

/// The last rule for a number decides, and of mounts at one place the last is seen.
#[test]
fn what_is_there_and_overruled_is_there_again_at_the_end() {
    let rule = json!({"allow": true, "type": "c", "major": 195, "minor": 0, "access": "rw"});
    let deny = json!({"allow": false, "access": "rwm"});
    let ours = json!({"destination": "/a", "type": "bind", "source": "/host/a",
        "options": ["bind", "private", "ro", "nosuid", "nodev"]});
    let dev = own_dev();
    let config = json!({"mounts": [ours, dev], "linux": {"resources": {"devices": [rule, deny]}}});
    let (found, _) =
        edited(config, &[node("/dev/nvidia0", "/dev/nvidia0", 0), bind("/host/a", "/a")], &[]).unwrap();
    assert_eq!(found["mounts"], json!([dev, ours]));
    assert_eq!(found["linux"]["resources"]["devices"], json!([deny, rule]));
}

/// A runtime would make the node in the volume, or where a link of the image leads.
#[test]
fn nodes_go_into_a_dev_of_the_containers_own() {
    let mount =
        |destination: &str, kind: &str| json!({"destination": destination, "type": kind, "source": "x"});
    let own = node("/dev/nvidia-caps/nvidia-cap1", "/dev/nvidia-caps/nvidia-cap1", 1);
    let none = "`/dev` of the container is not its own: mount a tmpfs there";
    let below =
        "config.json mounts something at `/dev/nvidia-caps`, where `/dev/nvidia-caps/nvidia-cap1` goes";
    for (mounts, why) in [
        (json!([mount("/dev", "tmpfs"), mount("/dev/shm", "tmpfs"), mount("/devices", "bind")]), None),
        (json!([mount("/dev/nvidia-caps", "bind"), mount("/dev/", "tmpfs")]), None),
        (json!([]), Some(none)),
        (json!([mount("/dev", "bind")]), Some(none)),
        (json!([mount("/dev", "tmpfs"), mount("//dev/.", "bind")]), Some(none)),
        (json!([mount("/dev", "tmpfs"), mount("/dev/x/../nvidia-caps", "bind")]), Some(below)),
    ] {
        let found = edited(json!({"mounts": mounts}), std::slice::from_ref(&own), &[]);
        assert_eq!(found.err().map(|refusal| refusal.message).as_deref(), why, "{mounts}");
    }
    // What is mounted at a link of the image lies where it leads.
    let linked = "config.json mounts something at `/x`, where `/dev/nvidia-caps/nvidia-cap1` goes";
    let mounts = json!({"mounts": [mount("/dev", "tmpfs"), mount("/x", "bind")]});
    for to in ["/dev", "/dev/nvidia-caps"] {
        let image = Image { files: &[("/x", to)], ..Image::default() };
        let refusal = edited_in(mounts.clone(), std::slice::from_ref(&own), &image).unwrap_err();
        assert_eq!(refusal.message, linked);
    }
}

/// What is below a mount that the plan does not give, nobody can see before: a runtime would make targets in somebody's volume.
#[test]
fn below_a_mount_of_somebody_else_binds_are_the_hooks() {
    let library = bind("/lib/libcuda.so.550", "{libdir}/libcuda.so.1");
    let left = |destination: &str, files: &[(&str, &str)]| {
        let config = json!({"mounts": [{"destination": destination, "type": "bind", "source": "/volume"}]});
        let image = Image { files, ..Image::default() };
        edited_in(config, std::slice::from_ref(&library), &image).unwrap().1
    };
    let hooks = ["{libdir}/libcuda.so.1"];
    assert_eq!(left("/usr/lib64", &[]), hooks);
    assert_eq!(left("usr/./lib64/", &[]), hooks);
    assert_eq!(left("/usr/lib64/libcuda.so.1", &[]), hooks);
    assert_eq!(left("/usr/lib", &[]), [""; 0]);
    assert_eq!(left("/volume", &[("/usr/lib64/libcuda.so.1", "/volume/libcuda.so.1")]), hooks);
    assert_eq!(left("/link", &[("/link", "/usr/lib64")]), hooks);
    // A link to nothing: only the hook can say what it meets there.
    assert_eq!(left("/volume", &[("/usr/lib64/libcuda.so.1", "")]), hooks);
}

/// The image's loader would take these files for the driver's library: by its cache, by the older directory, and by a link
/// that leads to one of them.
#[test]
fn what_the_loader_would_take_for_a_library_is_covered_once() {
    let usr = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let own = format!("{}/libcuda.so.1", usr.trim_start_matches("/usr"));
    let place = format!("{usr}/libcuda.so.1");
    let compat = "/usr/local/cuda/compat/libcuda.so.1";
    let cache =
        cache("libcuda.so.1", &[compat, "/usr/local/cuda/link/libcuda.so.1", "/nowhere/libcuda.so.1"]);
    let links = [
        (compat, compat),
        ("/usr/local/cuda/link/libcuda.so.1", compat),
        (own.as_str(), own.as_str()),
        ("/nowhere/libother.so.1", "/nowhere/libother.so.1"),
    ];
    let image = Image { has: &DEBIAN, cache, files: &links };
    let library = bind("/lib/libcuda.so.550", "{libdir}/libcuda.so.1");
    let destinations = |image: &Image<'_>| -> Vec<String> {
        let (found, _) = edited_in(json!({}), std::slice::from_ref(&library), image).unwrap();
        let mounts = found["mounts"].as_array().unwrap().iter();
        mounts.map(|mount| mount["destination"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(destinations(&image), [place.as_str(), compat, own.as_str()]);
    // Where `/lib` is a link to `/usr/lib`, both paths lead to the file that is covered already.
    let merged = [(place.as_str(), place.as_str()), (own.as_str(), place.as_str())];
    assert_eq!(destinations(&Image { has: &DEBIAN, cache: Vec::new(), files: &merged }), [place.as_str()]);
}

/// A cache of glibc's form in which one name leads to these paths.
fn cache(name: &str, paths: &[&str]) -> Vec<u8> {
    let count = u32::try_from(paths.len()).unwrap();
    let mut strings = format!("{name}\0").into_bytes();
    let first = 48 + count * 24;
    let mut cache = b"glibc-ld.so.cache1.1".to_vec();
    cache.extend([count, 0, 2, 0, 0, 0, 0].iter().flat_map(|word: &u32| word.to_le_bytes()));
    for path in paths {
        let at = first + u32::try_from(strings.len()).unwrap();
        let words = [gpupol_plan::loader_cache::FLAGS_64, first, at, 0, 0, 0];
        cache.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        strings.extend(format!("{path}\0").bytes());
    }
    cache.extend(strings);
    cache
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

/// The last rule that is about a number decides; an edited file that somebody edited again is found.
#[test]
fn every_node_has_its_rule_in_force() {
    let rule = |allow: bool, major: i64, minor: Option<i64>, access: &str| json!({"allow": allow, "type": "c", "major": major, "minor": minor, "access": access});
    let deny = json!({"allow": false, "access": "rwm"});
    let own: Edit = serde_json::from_value(node("/dev/nvidia0", "/dev/nvidia0", 0)).unwrap();
    for (rules, opens) in [
        (json!([deny, rule(true, 195, Some(0), "rw")]), true),
        (json!([deny, rule(true, 195, None, "rwm")]), true),
        (json!([deny, rule(true, 195, Some(0), "rw"), rule(false, 195, Some(1), "rwm")]), true),
        (json!([deny, rule(true, 195, Some(0), "rw"), rule(false, 195, None, "w")]), false),
        (json!([rule(true, 195, Some(0), "rw"), deny]), false),
        (json!([deny, rule(true, 195, Some(0), "r")]), false),
        (json!([deny]), false),
    ] {
        let config = json!({"linux": {"resources": {"devices": rules}}});
        let config = Config::parse(config.to_string().as_bytes()).unwrap();
        assert_eq!(require_rules(&config, &[&own]).is_ok(), opens, "{rules}");
    }
}

/// Ours is called first; those of other GPU stacks, and dockerd's for `--gpus`, are gone, and all others stay.
#[test]
fn hooks_of_other_gpu_stacks_give_way_to_ours() {
    let call = |path: &str| json!({"path": path, "args": ["x"], "timeout": 1});
    let other = call("/proc/7/exe");
    let mut config = json!({"hooks": {
        "prestart": [other, call("/usr/bin/nvidia-container-runtime-hook")],
        "createRuntime": [other],
        "createContainer": [call("/usr/bin/nvidia-ctk")],
        "poststop": [other]}});
    assert!(hooks::remove_gpu_hooks(&mut config));
    assert!(!hooks::remove_gpu_hooks(&mut config));
    let given = ["t/g/GPU-1".to_owned(), "t/g/GPU-2".to_owned()];
    let calls = Calls { program: "/usr/bin/gpupol-hook", entry: "docker", entries: None, given: &given };
    hooks::add(&mut config, &calls).unwrap();
    let words =
        ["gpupol-hook", "createRuntime", "--entry", "docker", "--given", "t/g/GPU-1", "--given", "t/g/GPU-2"];
    let first = json!({"path": "/usr/bin/gpupol-hook", "args": words});
    let last =
        json!({"path": "/usr/bin/gpupol-hook", "args": ["gpupol-hook", "poststop", "--entry", "docker"]});
    assert_eq!(
        config,
        json!({"hooks": {"prestart": [other], "createRuntime": [first, other], "createContainer": [],
            "poststop": [other, last]}})
    );
}

/// Whoever got nothing has nothing to give back, and is looked at by the hook all the same.
#[test]
fn a_container_that_got_nothing_is_called_for_too() {
    let mut config = json!({"hooks": null});
    assert!(!hooks::remove_gpu_hooks(&mut config));
    hooks::add(&mut config, &Calls { program: "/h", entry: "e", entries: Some("/x"), given: &[] }).unwrap();
    let args = ["gpupol-hook", "createRuntime", "--entry", "e", "--entries", "/x", "--given", "nothing"];
    assert_eq!(config, json!({"hooks": {"createRuntime": [{"path": "/h", "args": args}]}}));
    let wrong = hooks::add(
        &mut json!({"hooks": []}),
        &Calls { program: "/h", entry: "e", entries: None, given: &[] },
    );
    assert_eq!(wrong.unwrap_err().message, "`hooks.createRuntime` of config.json is not what it should be");
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
        json!({"path": "/dev//./shm/../nvidia0", "type": "c", "major": 195, "minor": 1}),
    ] {
        let refusal = edited(
            json!({"mounts": [own_dev()], "linux": {"devices": [device]}}),
            std::slice::from_ref(&own),
            &[],
        )
        .unwrap_err();
        assert_eq!(refusal.message, "config.json has another device at `/dev/nvidia0`");
    }
    let wrong = |linux: Value| json!({"mounts": [own_dev()], "linux": linux});
    for config in [wrong(json!(1)), wrong(json!({"devices": {}}))] {
        let refusal = edited(config, std::slice::from_ref(&own), &[]).unwrap_err();
        assert_eq!(refusal.message, "`linux.devices` of config.json is not what it should be");
    }
}
