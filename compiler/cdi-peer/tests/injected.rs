//! What a container's configuration has once another implementation of CDI has put a device of ours into it: the nodes,
//! rules and binds of the plan, and the calls of the hook.

#[path = "../../tests/given/mod.rs"]
mod given;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use container_device_interface::spec::read_spec;
use gpupol::emit::cdi::{Guarding, Specification};
use gpupol::topology::{Topology, read};
use gpupol_plan::edit::Edit;
use gpupol_plan::plan::{Device, Plan};
use gpupol_plan::spec::is_below_a_tmpfs;
use oci_spec::runtime::{LinuxDeviceType, Spec};

const POLICY: &str = "
tenant t { identity podman }
gpu-set nvidia { vendor nvidia }
gpu-set amd { vendor amd }
gpu-set slices { mig-profile \"1g.5gb\" \"2g.10gb\" \"3g.20gb\" \"1g.10gb\" }
grant nvidia { to t; gpus nvidia; capabilities compute utility graphics }
grant amd named=#true { to t; gpus amd; capabilities compute }
grant slices named=#true { to t; gpus slices; capabilities compute utility }
";

fn hosts() -> Vec<Topology> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/topologies");
    let paths = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    paths.sort();
    paths.iter().map(|path| read::read("host", &fs::read_to_string(path).unwrap()).unwrap()).collect()
}

/// The configuration of a container that has nothing of its own, after a device was put into it.
fn injected(specification: &Specification, device: &str) -> Spec {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("gpupol.json");
    fs::write(&path, specification.json()).unwrap();
    let mut read = read_spec(&path, 0).unwrap_or_else(|error| panic!("{error:#}"));
    let mut config = Spec::default();
    config.set_mounts(Some(Vec::new()));
    let mut found = read.get_device(device).unwrap_or_else(|| panic!("no {device}")).clone();
    assert_eq!(found.get_qualified_name(), format!("gpupol.io/gpu={device}"));
    read.apply_edits(&mut config).unwrap();
    found.apply_edits(&mut config).unwrap();
    config
}

fn edits<'p>(plan: &'p Plan, device: &'p Device) -> impl Iterator<Item = &'p Edit> {
    let common = plan.edits.iter().filter(|(vendor, _)| **vendor == device.gpu.vendor());
    common.flat_map(|(_, edits)| edits).chain(&device.edits)
}

fn assert_injected(config: &Spec, plan: &Plan, device: &Device) {
    let nodes = edits(plan, device).filter_map(|edit| match edit {
        Edit::DeviceNode(node) => Some((
            node.container_path.clone(),
            i64::from(node.major),
            i64::from(node.minor),
            Some(node.file_mode),
        )),
        _ => None,
    });
    let nodes: BTreeSet<_> = nodes.collect();
    let linux = config.linux().as_ref().unwrap();
    let found = linux.devices().iter().flatten().map(|device| {
        assert_eq!(device.typ(), LinuxDeviceType::C);
        (device.path().to_str().unwrap().to_owned(), device.major(), device.minor(), device.file_mode())
    });
    assert_eq!(found.collect::<BTreeSet<_>>(), nodes);
    let rules = linux.resources().as_ref().unwrap().devices().iter().flatten().filter(|rule| rule.allow());
    let rules: BTreeSet<_> = rules
        .map(|rule| (rule.major().unwrap(), rule.minor().unwrap(), rule.access().clone().unwrap()))
        .collect();
    assert_eq!(rules, nodes.iter().map(|(_, major, minor, _)| (*major, *minor, "rw".to_owned())).collect());
    let all: Vec<&Edit> = edits(plan, device).collect();
    let binds = all.iter().filter(|edit| !is_below_a_tmpfs(edit, &all)).filter_map(|edit| match edit {
        Edit::Bind(bind) if !bind.optional && bind.container_path.starts_with('/') => {
            Some((bind.container_path.clone(), bind.host_path.clone()))
        }
        _ => None,
    });
    let found = config.mounts().iter().flatten().map(|mount| {
        let options = mount.options().clone().unwrap_or_default();
        assert!(
            ["bind", "ro", "nosuid", "nodev"].iter().all(|option| options.iter().any(|one| one == option)),
            "{mount:?}"
        );
        let source = mount.source().as_ref().unwrap().to_str().unwrap().to_owned();
        (mount.destination().to_str().unwrap().to_owned(), source)
    });
    assert_eq!(found.collect::<BTreeSet<_>>(), binds.collect());
    let env = config.process().as_ref().unwrap().env().clone().unwrap();
    assert!(env.iter().any(|line| line == "NVIDIA_VISIBLE_DEVICES=void"), "{env:?}");
    let calls = config.hooks().as_ref().unwrap();
    let [start] = calls.create_runtime().as_deref().unwrap() else { panic!("{calls:?}") };
    let word = format!("{}/{}/{}", plan.tenant, plan.grant, device.uuid);
    assert_eq!(start.args().as_ref().unwrap().last(), Some(&word));
    assert_eq!(calls.poststop().as_ref().unwrap().len(), 1);
}

#[test]
fn a_container_gets_what_the_plan_says() {
    let guarding = Guarding::Hook { path: "/usr/libexec/gpupol-hook".to_owned(), entry: "cdi".to_owned() };
    let mut count = 0;
    for host in hosts() {
        let plans = given::policy(POLICY).plans(&host);
        let specification = Specification::of(&plans, &guarding);
        for plan in &plans {
            for device in plan.lines.iter().flat_map(|line| &line.devices) {
                let name = format!("{}.{}.{}", plan.tenant, plan.grant, device.index);
                assert_injected(&injected(&specification, &name), plan, device);
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count}");
}
