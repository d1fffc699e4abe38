//! GPUs of AMD beside those of NVIDIA: each vendor's nodes with its own GPUs, and KFD asked for AMD's.
//!
//! No class of the real `/sys` is AMD's here, so the view gets a `/sys/class` of its own while such a case runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::expect::{assert_sees, computing, is_refused, ran};
use crate::bundle::{Bundle, at};
use crate::container::Container;
use crate::host::{GPUS, make_node};
use crate::oracle::Seen;
use crate::site::{Outcome, Site};

/// The major of DRM nodes.
const DRM: u32 = 226;
/// Minors of the render nodes of two GPUs.
const RENDER: [u32; 2] = [128, 129];
/// KFD's own node; its major is that of the capability nodes.
const KFD_MINOR: u32 = 0;
const UUIDS: [&str; 2] = ["GPU-00000000000000a1", "GPU-00000000000000a2"];
const PCI: [&str; 2] = ["0000:63:00.0", "0000:43:00.0"];
/// `location_id` of these addresses.
const LOCATIONS: [u32; 2] = [0x6300, 0x4300];

const POLICIES: &str = r#"
policy version=1
tenant research { identity kubernetes namespace="research-*" }
gpu-set instinct { vendor amd }
gpu-set big { model "NVIDIA H100*" }
gpu-set all { vendor amd nvidia; any-of { model "AMD*"; model "NVIDIA H100*" } }
grant training {
    to research
    when { label stage=train }
    gpus instinct at-most=2 place=nvlink
    capabilities compute
}
grant both {
    to research
    when { label stage=both }
    gpus instinct at-most=2
    gpus big at-most=2
    capabilities compute
}
grant any {
    to research
    when { label stage=any }
    gpus all at-most=2
    capabilities compute
}
"#;

/// `/dev/kfd` and the render node of each GPU, and nothing of NVIDIA.
pub(crate) fn exactly_the_granted_nodes(site: &Site) {
    with_amd(site, || {
        let one = look(site, &asking("train", "1"));
        assert_sees(&one, &amd(site, &RENDER[..1]));
        assert!(one.files.is_empty(), "driver files of NVIDIA: {one:?}");
        let paths: Vec<&str> = one.nodes.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/dev/dri/renderD128", "/dev/kfd"]);
        assert_sees(&look(site, &asking("train", "2")), &amd(site, &RENDER));
        assert_sees(&look(site, &asking("train", UUIDS[1])), &amd(site, &RENDER[1..]));
        assert_sees(&look(site, &asking("train", PCI[1])), &amd(site, &RENDER[1..]));
    });
}

/// One of each in one container has the nodes of both; by one grant of both vendors nobody gets what is the other's.
pub(crate) fn beside_nvidia(site: &Site) {
    with_amd(site, || {
        let mut of_both = amd(site, &RENDER[..1]);
        of_both.extend(computing(site, &[GPUS[0].minor]));
        assert_sees(&look(site, &asking("both", "instinct=1,big=1")), &of_both);
        assert_sees(&look(site, &asking("any", UUIDS[0])), &amd(site, &RENDER[..1]));
        let nvidia = computing(site, &[GPUS[0].minor]);
        assert_sees(&look(site, &asking("any", GPUS[0].uuid)), &nvidia);
    });
}

/// What KFD says must be what was planned: another render node, a divided board or another number of KFD's own node
/// would be somebody else's.
pub(crate) fn no_longer_true(site: &Site) {
    with_amd(site, || {
        set_node(site, 0, &properties(0xa1, LOCATIONS[0], 130));
        refused(site, &asking("train", UUIDS[0]), "the render node's minor number");
        set_node(site, 0, &properties(0xa1, LOCATIONS[1] + 8, RENDER[0]));
        refused(site, &asking("train", UUIDS[0]), "the PCI address");
        set_node(site, 0, &properties(0xa1, LOCATIONS[0], RENDER[0]));
        set_node(site, 2, &properties(0xa1, LOCATIONS[0] | 1 << 28, 130));
        refused(site, &asking("train", UUIDS[0]), "has no GPU");
        fs::remove_dir_all(kfd(site).join("4")).unwrap();
        let node = site.host.file("dev/kfd");
        fs::remove_file(&node).unwrap();
        make_node(&node, site.host.caps, 9);
        refused(site, &asking("train", UUIDS[0]), "the number of");
        fs::remove_file(&node).unwrap();
        make_node(&node, site.host.caps, KFD_MINOR);
        assert_sees(&look(site, &asking("train", UUIDS[0])), &amd(site, &RENDER[..1]));
        assert_eq!(site.installed.leases(), Vec::<String>::new());
    });
}

/// A container that brings rules for everything opens of all DRM nodes its own alone.
pub(crate) fn contained(site: &Site) {
    with_amd_devices(site, |_| {
        let container = asking("train", UUIDS[0]).edited(|config| {
            at(config, "/linux/resources/devices", json!([{ "allow": true, "access": "rwm" }]))
        });
        let seen = look(site, &container);
        let of_gpus: BTreeSet<(u32, u32)> =
            seen.allowed().into_iter().filter(|(major, _)| [DRM, site.host.caps].contains(major)).collect();
        assert_eq!(of_gpus, amd(site, &RENDER[..1]), "{seen:?}");
    });
}

fn asking(stage: &str, gpus: &str) -> Container {
    let container = Container::in_namespace("research-a").annotation("stage", stage);
    if gpus.starts_with("GPU-") || gpus.starts_with("0000:") {
        return container.env(&format!("NVIDIA_VISIBLE_DEVICES={gpus}"));
    }
    container.gpus(gpus)
}

/// The numbers of a container with these render nodes.
pub(super) fn amd(site: &Site, render: &[u32]) -> BTreeSet<(u32, u32)> {
    render.iter().map(|minor| (DRM, *minor)).chain([(site.host.caps, KFD_MINOR)]).collect()
}

/// Every number that such a host has a node for.
fn numbers(site: &Site) -> Vec<(u32, u32)> {
    let mut numbers = site.host.numbers();
    numbers.extend(amd(site, &RENDER));
    numbers
}

fn run(site: &Site, container: &Container) -> Outcome {
    let number = site.dir.read_dir().unwrap().count();
    site.run_in(&Bundle::make(site.dir.join(format!("bundle{number}")), &numbers(site)), container)
}

fn look(site: &Site, container: &Container) -> Seen {
    ran(run(site, container))
}

fn refused(site: &Site, container: &Container, why: &str) {
    let line = is_refused(run(site, container), "plan-set");
    assert!(line.contains(why), "{line}");
}

/// Runs a case on the made host with two GPUs of AMD more, whose kernel also says which numbers AMD's drivers have.
pub(super) fn with_amd_devices(site: &Site, case: impl FnOnce(&[(u32, u32)])) {
    with_amd(site, || {
        let (devices, caps) = (site.dir.join("devices"), site.host.caps);
        let text = format!("Character devices:\n195 nvidia\n226 drm\n{caps} kfd\n\nBlock devices:\n");
        fs::write(&devices, text).unwrap();
        mount(site, &["--bind", devices.to_str().unwrap(), "/proc/devices"]);
        case(&numbers(site));
        umount(site, "/proc/devices");
    });
}

/// Runs a case on the made host with two GPUs of AMD more.
fn with_amd(site: &Site, case: impl FnOnce()) {
    mount(site, &["-t", "tmpfs", "-o", "mode=755", "gpupol-test", "/sys/class"]);
    set_node_text(site, 0, "cpu_cores_count 64\nsimd_count 0\ndrm_render_minor 0\nunique_id 0\n");
    for (place, (location, render)) in LOCATIONS.iter().zip(RENDER).enumerate() {
        set_node(site, place, &properties(0xa1 + place, *location, render));
    }
    fs::create_dir_all(site.host.file("dev/dri")).unwrap();
    for minor in RENDER {
        make_node(&site.host.file(&format!("dev/dri/renderD{minor}")), DRM, minor);
    }
    make_node(&site.host.file("dev/kfd"), site.host.caps, KFD_MINOR);
    fs::write(site.installed.policies().join("policies.kdl"), POLICIES).unwrap();
    site.installed.change_topology(|topology| add_gpus(site, topology));
    case();
    umount(site, "/sys/class");
}

fn add_gpus(site: &Site, topology: &mut Value) {
    let kfd = json!({
        "path": "/dev/kfd", "hostPath": site.host.file("dev/kfd"),
        "major": site.host.caps, "minor": KFD_MINOR, "mode": 0o666,
    });
    at(topology, "/drivers/amd", json!({ "version": null, "cuda": null }));
    at(topology, "/nodes/amd", json!([kfd]));
    at(topology, "/majors/kfd", json!(site.host.caps));
    let gpus = topology["gpus"].as_array_mut().unwrap();
    let (first, nvidia) = (gpus.len(), gpus[0].clone());
    for (place, (uuid, (pci, minor))) in UUIDS.iter().zip(PCI.iter().zip(RENDER)).enumerate() {
        let name = format!("dev/dri/renderD{minor}");
        let node = json!({
            "path": format!("/{name}"), "hostPath": site.host.file(&name), "major": DRM, "minor": minor, "mode": 0o666,
        });
        let own = json!({
            "index": first + place, "uuid": uuid, "minor": minor, "pci": pci, "vendor": "amd", "brand": null,
            "model": "AMD Instinct MI210", "architecture": "gfx90a", "computeCapability": null, "mig": null,
            "nodes": [node],
        });
        gpus.push(with(&nvidia, &own));
    }
    let links = topology["links"].as_array_mut().unwrap();
    let link = json!({ "gpus": [first, first + 1], "nvlinks": null, "xgmi": 1 });
    links.push(with(&links[0], &link));
}

/// The same object with other fields.
fn with(one: &Value, other: &Value) -> Value {
    let mut both = one.as_object().unwrap().clone();
    both.extend(other.as_object().unwrap().clone());
    Value::Object(both)
}

fn kfd(site: &Site) -> std::path::PathBuf {
    site.view.path("/sys/class/kfd/kfd/topology/nodes")
}

/// Two processors come before all GPUs.
fn set_node(site: &Site, place: usize, text: &str) {
    set_node_text(site, place + 2, text);
}

fn set_node_text(site: &Site, number: usize, text: &str) {
    let directory = kfd(site).join(number.to_string());
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("properties"), text).unwrap();
}

fn properties(unique_id: usize, location: u32, render: u32) -> String {
    format!(
        "cpu_cores_count 0\nsimd_count 416\nlocation_id {location}\ndomain 0\ndrm_render_minor {render}\n\
         unique_id {unique_id}\n"
    )
}

fn mount(site: &Site, arguments: &[&str]) {
    let status = site.view.command(Path::new("mount")).args(arguments).status().unwrap();
    assert!(status.success(), "mount {arguments:?}: {status}");
}

fn umount(site: &Site, path: &str) {
    let status = site.view.command(Path::new("umount")).arg(path).status().unwrap();
    assert!(status.success(), "umount {path}: {status}");
}
