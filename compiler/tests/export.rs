//! `gpupol export cdi`: every device of every plan under a name of its own, with just what the plan gives.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod given;
#[cfg(test)]
mod ran;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gpupol::emit::cdi::{ContainerEdits, Guarding, Specification};
use gpupol::topology::{Topology, read};
use gpupol_plan::edit::{Edit, Gid};
use gpupol_plan::plan::{Line, Plan, Sharing};
use gpupol_plan::spec::is_below_a_tmpfs;
use serde_json::Value;

use given::policy;
use ran::{Ran, run};

const POLICY: &str = r#"
tenant a.b { identity podman }
tenant a { identity docker }
trust watch reason="r" { identity kubernetes namespace=watch }
gpu-set all { vendor nvidia }
gpu-set one { vendor nvidia; first 1 }
grant c { to a.b a; gpus all at-most=2; capabilities compute utility graphics }
grant b.c named=#true { to a; gpus one; capabilities utility }
grant see { to watch; gpus all at-most=all default=all; capabilities utility }
grant slow named=#true { to a; gpus one { sharing mps clients=2 }; capabilities compute }
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn host(name: &str) -> Topology {
    let path = root().join(format!("examples/topologies/{name}.json"));
    read::read(name, &fs::read_to_string(path).unwrap()).unwrap()
}

fn all_plans(text: &str, host: &Topology) -> Vec<Plan> {
    policy(text).plans(host)
}

fn hook() -> Guarding {
    Guarding::Hook { path: "/usr/libexec/gpupol-hook".to_owned(), entry: "podman".to_owned() }
}

fn nobody() -> Guarding {
    Guarding::Nobody { libraries: "/usr/lib64/".to_owned() }
}

/// What a container gets that names a device: the specification's edits and its own.
fn given_by(specification: &Specification, name: &str) -> ContainerEdits {
    let device = specification.devices.iter().find(|device| device.name == name).unwrap();
    let mut all = specification.container_edits.clone();
    all.device_nodes.extend(device.container_edits.device_nodes.clone());
    all.mounts.extend(device.container_edits.mounts.clone());
    all.hooks.extend(device.container_edits.hooks.clone());
    all
}

fn gpupol(args: &[&str]) -> Ran {
    run(&root(), args)
}

#[test]
fn every_device_has_a_name_of_its_own_and_says_so() {
    let plans = all_plans(POLICY, &host("t4-1x-cloud"));
    let specification = Specification::of(&plans, &hook());
    let names: Vec<&str> = specification.devices.iter().map(|device| device.name.as_str()).collect();
    let expected = [
        "a.b:c.0",
        "a.b:c.any",
        "a.c.0",
        "a.c.any",
        "a.slow.0",
        "a.slow.any",
        "a:b.c.0",
        "a:b.c.any",
        "watch.see.any",
    ];
    assert_eq!(names, expected);
    let unguarded = Specification::of(&plans, &nobody());
    let names: Vec<&str> = unguarded.devices.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(
        names,
        ["a.b:c.0", "a.c.0", "a:b.c.0", "watch.see.any"],
        "nobody would choose one, or start a daemon"
    );
    let slices = all_plans(
        "tenant t { identity podman }\ngpu-set s { mig-profile \"1g.5gb\" }\ngrant g { to t; gpus s; capabilities compute }",
        &host("a100-mig"),
    );
    let specification = Specification::of(&slices, &hook());
    let of_name =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    let ends = |name: &str| name.ends_with(|last: char| last.is_ascii_alphanumeric());
    assert!(specification.devices.iter().all(|device| of_name(&device.name) && ends(&device.name)));
    assert!(
        specification.devices.iter().any(|device| device.name.starts_with("t.g.0:")),
        "{specification:?}"
    );
}

/// By every host and both ways of guarding: nodes and files are those of the plan, but for what only the hook can do.
#[test]
fn a_device_has_what_its_plan_gives() {
    let mut seen = 0;
    for path in fs::read_dir(root().join("examples/topologies")).unwrap() {
        let path = path.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let host = read::read("host", &fs::read_to_string(&path).unwrap()).unwrap();
        let plans = all_plans(
            &format!(
                "{POLICY}gpu-set amd {{ vendor amd }}\ngrant r named=#true {{ to a; gpus amd; capabilities compute }}"
            ),
            &host,
        );
        for guarding in [hook(), nobody()] {
            let specification = Specification::of(&plans, &guarding);
            for plan in plans.iter().filter(|plan| !plan.trusted) {
                let is_mps = |line: &Line| matches!(line.sharing, Sharing::Mps { .. });
                let lines = plan.lines.iter().filter(|line| guarding == hook() || !is_mps(line));
                for device in lines.flat_map(|line| &line.devices) {
                    let part = |part: &str| part.replace('.', ":");
                    let name = format!("{}.{}.{}", part(&plan.tenant), part(&plan.grant), device.index);
                    let found = given_by(&specification, &name);
                    let others = plan.edits.iter().filter(|(vendor, _)| **vendor == device.gpu.vendor());
                    let edits = || others.clone().flat_map(|(_, edits)| edits).chain(&device.edits);
                    assert_eq!(nodes(&found), planned_nodes(edits()), "{name} of {}", path.display());
                    assert_eq!(
                        files(&found),
                        planned_files(edits(), &guarding),
                        "{name} of {}",
                        path.display()
                    );
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 500, "{seen}");
}

fn nodes(edits: &ContainerEdits) -> BTreeSet<(&str, &str, u32, u32, u32, &str)> {
    assert!(edits.device_nodes.iter().all(|node| node.kind == "c"));
    let node = edits.device_nodes.iter().map(|node| {
        let (path, host_path) = (node.path.as_str(), node.host_path.as_str());
        (path, host_path, node.major, node.minor, node.file_mode, node.permissions.as_str())
    });
    node.collect()
}

fn planned_nodes<'p>(
    edits: impl Iterator<Item = &'p Edit>,
) -> BTreeSet<(&'p str, &'p str, u32, u32, u32, &'p str)> {
    let node = |edit: &'p Edit| match edit {
        Edit::DeviceNode(node) => {
            let (path, host_path) = (node.container_path.as_str(), node.host_path.as_str());
            Some((path, host_path, node.major, node.minor, node.file_mode, node.permissions.as_str()))
        }
        _ => None,
    };
    edits.filter_map(node).collect()
}

fn files(edits: &ContainerEdits) -> BTreeMap<&str, &str> {
    for mount in &edits.mounts {
        assert!(
            ["bind", "ro", "nosuid", "nodev"]
                .iter()
                .all(|option| mount.options.iter().any(|one| one == option))
        );
    }
    edits.mounts.iter().map(|mount| (mount.container_path.as_str(), mount.host_path.as_str())).collect()
}

fn planned_files<'p>(
    edits: impl Iterator<Item = &'p Edit>,
    guarding: &Guarding,
) -> BTreeMap<&'p str, &'p str> {
    let file = |edit: &'p Edit| match edit {
        // That an MPS daemon listens, only the hook can see.
        Edit::Bind(bind) if bind.host_path.starts_with("/run/gpupol/") => None,
        Edit::Bind(bind) if !bind.optional && !bind.container_path.starts_with("/proc/") => {
            let place: &'p str = match (bind.container_path.strip_prefix("{libdir}"), guarding) {
                (Some(below), Guarding::Nobody { .. }) => {
                    Box::leak(format!("/usr/lib64{below}").into_boxed_str())
                }
                _ => &bind.container_path,
            };
            place.starts_with('/').then_some((place, bind.host_path.as_str()))
        }
        _ => None,
    };
    let edits: Vec<&Edit> = edits.collect();
    edits.iter().filter(|edit| !is_below_a_tmpfs(edit, &edits)).filter_map(|edit| file(edit)).collect()
}

#[test]
fn every_device_calls_the_hook_with_its_own_name_and_none_does_without() {
    let plans = all_plans(POLICY, &host("hgx-h100-8x"));
    let mut calls = BTreeSet::new();
    for device in Specification::of(&plans, &hook()).devices {
        let [start, stop] = device.container_edits.hooks.try_into().unwrap();
        assert_eq!((start.hook_name.as_str(), stop.hook_name.as_str()), ("createRuntime", "poststop"));
        assert!([&start, &stop].iter().all(|hook| hook.path == "/usr/libexec/gpupol-hook"));
        assert_eq!(start.args[..5], ["gpupol-hook", "createRuntime", "--entry", "podman", "--cdi"]);
        assert_eq!(stop.args, ["gpupol-hook", "poststop", "--entry", "podman"]);
        assert!(calls.insert(start.args[5].clone()), "{start:?}");
    }
    assert!(
        calls.contains("a.b/c/any") && calls.contains(&format!("a/c/{}", plans[0].lines[0].devices[0].uuid)),
        "{calls:?}"
    );
    let unguarded = Specification::of(&plans, &nobody());
    assert!(unguarded.devices.iter().all(|device| device.container_edits.hooks.is_empty()));
    assert!(unguarded.devices.iter().all(|device| !device.container_edits.device_nodes.is_empty()));
}

/// What CDI's own library asks of a specification of version 0.5.0, which knows no annotations, gids and network devices.
#[test]
fn it_is_a_specification_of_version_0_5_0() {
    for args in [&["--entry", "podman"][..], &["--unguarded", "--libdir", "/usr/lib64"]] {
        let ran = gpupol(&[&["export", "cdi", "--topology", "builtin:campus"], args].concat());
        assert_eq!(ran.code, 0, "{ran}");
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(keys(&document), ["cdiVersion", "containerEdits", "devices", "kind"]);
        assert_eq!((&document["cdiVersion"], &document["kind"]), (&"0.5.0".into(), &"gpupol.io/gpu".into()));
        assert_edits(&document["containerEdits"]);
        let devices = document["devices"].as_array().unwrap();
        let names: BTreeSet<&str> = devices.iter().map(|device| device["name"].as_str().unwrap()).collect();
        assert_eq!(names.len(), devices.len(), "a name stands twice");
        for device in devices {
            assert_eq!(keys(device), ["containerEdits", "name"]);
            assert_edits(&device["containerEdits"]);
        }
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Edits are not empty, and each of them has the keys of its kind and values within their bounds.
fn assert_edits(edits: &Value) {
    let known = ["deviceNodes", "env", "hooks", "mounts"];
    assert!(!keys(edits).is_empty() && keys(edits).iter().all(|key| known.contains(key)), "{edits}");
    let all = |key: &str| edits[key].as_array().cloned().unwrap_or_default();
    let absolute = |path: &Value| path.as_str().unwrap().starts_with('/');
    for line in all("env") {
        assert!(line.as_str().unwrap().split_once('=').is_some_and(|(name, _)| !name.is_empty()));
    }
    for node in all("deviceNodes") {
        assert_eq!(keys(&node), ["fileMode", "hostPath", "major", "minor", "path", "permissions", "type"]);
        assert!(absolute(&node["path"]) && absolute(&node["hostPath"]) && node["type"] == "c", "{node}");
        assert!(node["permissions"] == "rw" && node["major"].as_u64().unwrap() > 0, "{node}");
    }
    for mount in all("mounts") {
        assert_eq!(keys(&mount), ["containerPath", "hostPath", "options"]);
        assert!(absolute(&mount["containerPath"]) && absolute(&mount["hostPath"]), "{mount}");
    }
    for hook in all("hooks") {
        assert_eq!(keys(&hook), ["args", "hookName", "path"]);
        assert!(
            absolute(&hook["path"])
                && ["createRuntime", "poststop"].iter().any(|name| hook["hookName"] == *name)
        );
    }
}

/// Groups are the only thing for which 0.5.0 is too low.
#[test]
fn the_version_is_the_lowest_that_is_enough() {
    let mut plans = all_plans(POLICY, &host("t4-1x-cloud"));
    assert_eq!(Specification::of(&plans, &hook()).cdi_version, "0.5.0");
    plans[0].lines[0].devices[0].edits.push(Edit::Gid(Gid { capabilities: BTreeSet::new(), gid: 44 }));
    let specification = Specification::of(&plans, &hook());
    assert_eq!(specification.cdi_version, "0.7.0");
    assert!(specification.json().contains("\"additionalGids\": [\n          44\n        ]"));
}

#[test]
fn the_same_plans_give_the_same_bytes() {
    let args = ["export", "cdi", "--topology", "builtin:campus", "--entry", "podman"];
    let (first, second) = (gpupol(&args), gpupol(&args));
    assert_eq!((first.code, &first.out), (0, &second.out));
    let read: Specification = serde_json::from_str(&first.out).unwrap();
    assert_eq!(read.json(), first.out);
}

#[test]
fn a_file_is_current_until_the_policy_or_the_host_is_another() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("gpupol.json");
    let path = file.to_str().unwrap();
    let on = |topology: &str, rest: &[&str]| {
        let entry: &[&str] = if rest.contains(&"--entry") { &[] } else { &["--entry", "podman"] };
        let args = ["export", "cdi", "examples/first-look/policy.kdl", "--topology", topology];
        gpupol(&[&args, entry, rest].concat())
    };
    assert_eq!(on("builtin:campus", &["-o", path]).to_string(), "exit 0\n");
    let ran = on("builtin:campus", &["--check", path]);
    assert_eq!(
        ran.to_string(),
        format!("exit 0\n`{path}` is what the policy gives on builtin:campus: 8 devices\n")
    );
    let ran = on("examples/topologies/hgx-h100-8x.json", &["--check", path]);
    assert_eq!(ran.code, 1);
    for line in [
        "device `research.training-jobs.4` is missing",
        "device `students.notebooks.7` is given no more",
        "device `research.training-jobs.0` lacks device node `/dev/nvidia4` (c 195:4 rw) of `/dev/nvidia4`, mode 666",
        "device `research.training-jobs.0` has device node `/dev/nvidia5` (c 195:5 rw) of `/dev/nvidia5`, mode 666, and should not",
    ] {
        assert!(ran.out.contains(&format!("\n  {line}\n")), "{line}: {ran}");
    }
    let ran = on("builtin:campus", &["--entry", "other", "--check", path]);
    assert!(ran.code == 1 && ran.out.contains("--entry other --cdi"), "{ran}");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("0.5.0", "0.6.0")).unwrap();
    let ran = on("builtin:campus", &["--check", path]);
    assert!(ran.code == 1 && ran.out.ends_with("\n  `cdiVersion` is `0.6.0`, not `0.5.0`\n"), "{ran}");
    fs::write(&file, "{}").unwrap();
    assert_eq!(on("builtin:campus", &["--check", path]).code, 1);
    fs::remove_file(&file).unwrap();
    assert_eq!(on("builtin:campus", &["--check", path]).code, 2);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "nothing is left beside the file");
}

#[test]
fn without_the_hook_it_says_what_that_means() {
    let ran =
        gpupol(&["export", "cdi", "--topology", "builtin:campus", "--unguarded", "--libdir", "/usr/lib64"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.err.contains("GP5007") && ran.err.contains("--device gpupol.io/gpu="), "{ran}");
    for args in [
        &["--unguarded"][..],
        &["--libdir", "/usr/lib64"],
        &["--unguarded", "--libdir", "lib"],
        &["--unguarded", "--libdir", "/usr/lib64", "--entry", "podman"],
        &[],
        &["--entry", "podman", "--hook", "gpupol-hook"],
        &["--entry", "podman", "--hook", "/usr/bin/other"],
        &["--entry", "../x"],
        &["--entry", ".x"],
        &["--entry", "a b;$(x)"],
        &["--entry", ""],
        &["--entry", "podman", "-o", "a", "--check", "a"],
    ] {
        let ran = gpupol(&[&["export", "cdi", "--topology", "builtin:campus"], args].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {ran}");
    }
}

#[test]
fn no_device_is_no_specification() {
    let ran = gpupol(&[
        "export",
        "cdi",
        "examples/first-look/policy.kdl",
        "--topology",
        "examples/topologies/jetson-orin.json",
        "--entry",
        "podman",
    ]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran}");
    assert!(ran.err.contains("no grant gives a device on"), "{ran}");
}

/// Somebody must see to it that a daemon listens: without the hook nobody does.
#[test]
fn devices_for_mps_need_the_hook() {
    let place = tempfile::tempdir().unwrap();
    let policy = place.path().join("p.kdl");
    let text = "policy version=1\ntenant a { identity docker }\ngpu-set one { vendor nvidia }\n\
                grant slow { to a; gpus one { sharing mps clients=2 }; capabilities compute }\n";
    fs::write(&policy, text).unwrap();
    let on = |rest: &[&str]| {
        let (policy, host) = (policy.to_str().unwrap(), "examples/topologies/l40s-4x-pcie.json");
        gpupol(&[&["export", "cdi", policy, "--topology", host], rest].concat())
    };
    let ran = on(&["--entry", "docker"]);
    assert_eq!(ran.code, 0, "{ran}");
    let specification: Specification = serde_json::from_str(&ran.out).unwrap();
    assert!(specification.devices.iter().any(|device| device.name == "a.slow.any"), "{ran}");
    assert!(
        !ran.out.contains("/run/gpupol/mps") && !ran.out.contains("/dev/shm"),
        "the hook's to bind: {ran}"
    );
    let ran = on(&["--unguarded", "--libdir", "/usr/lib64"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran}");
    assert!(ran.err.contains("no grant gives a device that does without the hook on"), "{ran}");
    assert!(!ran.err.contains("GP5007"), "{ran}");
}

/// A host whose GPUs have NVLinks to others of their group alone.
fn joined(groups: &[&[u32]]) -> Topology {
    let count = groups.iter().map(|group| group.len()).sum::<usize>();
    given::host((0u32..).take(count).map(|index| given::gpu(index, "A")).collect(), groups)
}

/// What a place allows is not to be guessed from the devices' numbers.
#[test]
fn a_group_that_a_place_allows_has_a_name() {
    let text = "tenant t { identity podman }\ngpu-set s { vendor nvidia }\n\
                grant g { to t; gpus s at-most=2 default=2 place=nvlink; capabilities compute }";
    let plans = all_plans(text, &joined(&[&[0, 1], &[2, 3]]));
    let groups = plans[0].lines[0].slots.as_ref().unwrap().iter().filter(|slot| slot.len() > 1).count();
    for (guarding, calls) in [(hook(), 3), (nobody(), 0)] {
        let specification = Specification::of(&plans, &guarding);
        let named: Vec<_> = specification.devices.iter().filter(|device| device.name.contains('-')).collect();
        assert!(named.len() == groups && groups > 1, "{groups}: {specification:?}");
        let first = named.iter().find(|device| device.name == "t.g.0-1").unwrap();
        assert_eq!(first.container_edits.hooks.len(), calls);
        let own =
            plans[0].lines[0].devices.iter().filter(|device| ["0", "1"].contains(&device.index.as_str()));
        let common = plans[0].edits.values().flatten();
        let expected = common.chain(own.flat_map(|device| &device.edits));
        assert_eq!(nodes(&given_by(&specification, "t.g.0-1")), planned_nodes(expected));
    }
    let specification = Specification::of(&plans, &hook());
    let device = specification.devices.iter().find(|device| device.name == "t.g.0-1").unwrap();
    let asked: BTreeSet<&str> =
        device.container_edits.hooks.iter().filter_map(|hook| hook.args.get(5)).map(String::as_str).collect();
    let expected = [0, 1].map(|index| format!("t/g/{}", given::gpu(index, "A").uuid));
    assert_eq!(asked, expected.iter().map(String::as_str).collect());
    // All of them fit into no list that anybody looks through.
    let text = text.replace("at-most=2 default=2 place=nvlink", "at-most=4 default=4 place=nvlink");
    let many = all_plans(&text, &joined(&[&[0, 1, 2, 3, 4, 5, 6], &[7, 8, 9, 10, 11, 12, 13]]));
    assert!(many[0].lines[0].slots.as_ref().unwrap().len() > 64);
    let specification = Specification::of(&many, &hook());
    assert!(specification.devices.iter().all(|device| !device.name.contains('-')));
}

#[test]
fn what_cannot_be_written_has_a_remedy() {
    let args = ["export", "cdi", "--topology", "builtin:campus", "--entry", "podman"];
    let ran = gpupol(&[&args[..], &["-o", "/nonexistent/gpupol.json"]].concat());
    assert_eq!(ran.code, 2, "{ran}");
    assert!(
        ran.err.contains("\n  help: make the directory in which it is to lie first, by `mkdir -p`\n"),
        "{ran}"
    );
    let ran = gpupol(&[&args[..], &["--check", "/nonexistent"]].concat());
    assert!(ran.code == 2 && ran.err.contains("\n  help: name what is there\n"), "{ran}");
}
