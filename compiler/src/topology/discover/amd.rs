//! AMD's GPUs, as the kernel's KFD and DRM drivers show them below `/sys`.
//!
//! Render minors come from KFD and must be those of the GPU's own DRM directory. A partition of a board is a GPU of
//! its own: it has its own KFD node and its own render node.

use gpupol_plan::kfd;

use super::kernel::{self, Majors};
use super::root::Root;
use super::{DiscoverError, Share, drm, node, numa};
use crate::topology::{DeviceNode, Driver, Fact, Gpu, Partition, Vendor};

mod condition;
mod link;
mod model;

const NODES: &str = "/sys/class/kfd/kfd/topology/nodes";

/// Of more nodes than this, processors and GPUs, the rest is not looked at.
const MOST: usize = 512;

/// The node that AMD's GPUs share, and its permission bits where udev has not made it yet.
const KFD: (&str, u32) = ("/dev/kfd", 0o666);

/// Kinds of memory banks in a GPU: what the processor can reach of its memory, and what it cannot.
const OWN_MEMORY: [&str; 2] = ["1", "2"];

/// A GPU, and what KFD says of it.
struct Found {
    node: kfd::Gpu,
    /// The text of its `properties`.
    properties: String,
    gpu: Gpu,
}

/// What AMD has on this host, its GPUs numbered from `first` in the order of their KFD nodes; or why there is nothing.
pub(super) fn share(
    root: &Root,
    majors: &Majors,
    first: u32,
) -> Result<Result<Share, String>, DiscoverError> {
    let texts = properties(root)?;
    let nodes = kfd::gpus(&texts).map_err(|reason| DiscoverError::Identity {
        of: "an AMD GPU".to_owned(),
        what: "which part of its board it is",
        reason,
    })?;
    if nodes.is_empty() {
        let what = if texts.is_empty() { "no such directory" } else { "no GPU in it" };
        return Ok(Err(format!("`{NODES}`: {what}")));
    }
    let mut found = Vec::new();
    for (index, node) in (first..).zip(nodes) {
        let own = texts.iter().find(|(number, _)| *number == node.node);
        let properties = own.map(|(_, text)| text.clone()).unwrap_or_default();
        let gpu = gpu(root, majors, index, &node, &properties)?;
        found.push(Found { node, properties, gpu });
    }
    let links = link::all(root, &found)?;
    Ok(Ok(Share {
        vendor: Vendor::Amd,
        driver: Driver { version: version(root), cuda: Fact::Absent },
        nodes: shared(root, majors)?,
        links,
        out_of_service: Vec::new(),
        gpus: found.into_iter().map(|found| found.gpu).collect(),
    }))
}

/// What each KFD node says of itself, in the order of their numbers. The kernel lets who may not use a GPU not read of it either: then
/// nobody can say what this host has.
fn properties(root: &Root) -> Result<Vec<(u32, String)>, DiscoverError> {
    let numbers = root.names(NODES)?.into_iter().filter_map(|name| name.parse().ok());
    let mut numbers: Vec<u32> = numbers.take(MOST).collect();
    numbers.sort_unstable();
    let read = |number: u32| {
        let path = format!("{NODES}/{number}/properties");
        let text = root.text(&path).map_err(|reason| DiscoverError::Read { path, reason })?;
        Ok((number, text))
    };
    numbers.into_iter().map(read).collect()
}

/// A module that is a part of the kernel has no version of its own.
fn version(root: &Root) -> Fact<String> {
    match kernel::line(root, "/sys/module/amdgpu/version") {
        Ok(version) => Fact::Known(version),
        Err(_) if root.has("/sys/module/amdgpu") => Fact::Absent,
        Err(reason) => Fact::Unknown(reason),
    }
}

fn shared(root: &Root, majors: &Majors) -> Result<Vec<DeviceNode>, DiscoverError> {
    let Some(major) = majors.named("kfd") else { return Ok(Vec::new()) };
    let (path, mode) = KFD;
    Ok(vec![node::of_host(root, path.to_owned(), [major, 0], mode)?])
}

fn gpu(
    root: &Root,
    majors: &Majors,
    index: u32,
    node: &kfd::Gpu,
    properties: &str,
) -> Result<Gpu, DiscoverError> {
    let memory = memory(root, node.node);
    Ok(Gpu {
        index,
        uuid: node.uuid.clone(),
        minor: Fact::Known(node.render_minor),
        pci: Fact::Known(node.pci.clone()),
        partition: partition(root, node),
        vendor: Vendor::Amd,
        model: model::name(root, &node.pci, properties),
        brand: Fact::Absent,
        architecture: model::architecture(properties),
        compute_capability: Fact::Absent,
        memory_node: memory_node(&memory),
        memory,
        numa: numa::near(root, &node.pci),
        cpus: kernel::cpus(root, &node.pci),
        compute_mode: Fact::Absent,
        ecc: condition::ecc(properties),
        persistence: Fact::Absent,
        faults: condition::faults(root, &node.pci),
        fabric: Fact::Absent,
        clique: Fact::Absent,
        mig: Fact::Absent,
        mig_devices: Vec::new(),
        nodes: nodes(root, majors, node)?,
    })
}

/// Boards that cannot be divided have neither file.
fn partition(root: &Root, node: &kfd::Gpu) -> Option<Partition> {
    let mode = |of: &str| {
        let path = format!("/sys/bus/pci/devices/{}/current_{of}_partition", node.pci);
        match kernel::line(root, &path) {
            Ok(mode) => Fact::Known(mode),
            Err(_) if !root.has(&path) => Fact::Absent,
            Err(reason) => Fact::Unknown(reason),
        }
    };
    let (compute, memory) = (mode("compute"), mode("memory"));
    let number = node.partition.map_or(Fact::Absent, Fact::Known);
    let is_one = [&compute, &memory].iter().all(|mode| **mode == Fact::Absent) && number == Fact::Absent;
    (!is_one).then_some(Partition { number, compute, memory })
}

fn memory(root: &Root, node: u32) -> Fact<u64> {
    let banks = format!("{NODES}/{node}/mem_banks");
    let size = |bank: String| {
        let text = root.text(&format!("{banks}/{bank}/properties")).ok()?;
        let is_own = kfd::value(&text, "heap_type").is_some_and(|kind| OWN_MEMORY.contains(&kind));
        is_own.then(|| kfd::value(&text, "size_in_bytes")?.parse::<u64>().ok())?
    };
    let sizes: Vec<u64> = match root.names(&banks) {
        Ok(names) => names.into_iter().filter_map(size).collect(),
        Err(why) => return Fact::Unknown(why.to_string()),
    };
    if sizes.is_empty() {
        return Fact::Unknown(format!("`{banks}` names no memory of its own"));
    }
    Fact::Known(sizes.into_iter().fold(0, u64::saturating_add))
}

/// Memory that a GPU has for itself is no NUMA node; one without uses the processor's.
fn memory_node(memory: &Fact<u64>) -> Fact<u32> {
    match memory {
        Fact::Unknown(why) => Fact::Unknown(why.clone()),
        Fact::Known(_) | Fact::Absent => Fact::Absent,
    }
}

/// The DRM nodes of the directory that lists its render node: the board's own, or a partition's.
fn nodes(root: &Root, majors: &Majors, node: &kfd::Gpu) -> Result<Vec<DeviceNode>, DiscoverError> {
    let partitions = root.names("/sys/devices/platform")?.into_iter();
    let partitions = partitions.filter(|name| name.starts_with("amdgpu_xcp_"));
    let directories = [format!("/sys/bus/pci/devices/{}/drm", node.pci)]
        .into_iter()
        .chain(partitions.map(|name| format!("/sys/devices/platform/{name}/drm")));
    let render = format!("renderD{}", node.render_minor);
    let own = directories.into_iter().find(|directory| root.has(&format!("{directory}/{render}")));
    let directory = own.ok_or_else(|| DiscoverError::Identity {
        of: format!("AMD GPU `{}`", node.uuid),
        what: "its DRM nodes",
        reason: format!("no device has the render node `{render}` that KFD gives it"),
    })?;
    drm::below(root, majors, &directory)
}
