//! What a document of the right shape must also fulfil before anybody grants a device by it.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::majors::NVIDIA_MAJOR;

use super::name::{has_control, is_cpu_list, is_gpu_uuid, is_mig_uuid, is_pci_address};
use crate::topology::{Fact, Gpu, Link, MigDevice, NumaNode, OutOfService, Topology, Vendor};

mod amd;
mod driver_file;
mod feature;
mod identity;
mod node;

/// Something that cannot be.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Where, such as `gpus[2].uuid`.
    pub(super) place: String,
    /// What.
    pub(super) problem: String,
}

type Checked = Result<(), Wrong>;

/// The first thing that is wrong with `topology`.
pub(super) fn topology(topology: &Topology) -> Checked {
    plain_text("host", &topology.host)?;
    plain_fact("bootId", &topology.boot_id)?;
    for (vendor, driver) in &topology.drivers {
        plain_fact(&format!("drivers.{}.version", vendor.name()), &driver.version)?;
        plain_fact(&format!("drivers.{}.cuda", vendor.name()), &driver.cuda)?;
    }
    if let Some(version) = topology.cgroup.known() {
        ensure(matches!(version, 1 | 2), "cgroup", || format!("there is no cgroup version {version}"))?;
    }
    numa_nodes(topology.numa_nodes.known().map(Vec::as_slice).unwrap_or_default())?;
    topology.nodes.iter().try_for_each(|(vendor, nodes)| node::shared(*vendor, nodes))?;
    each("gpus", &topology.gpus, gpu)?;
    gpu_order(&topology.gpus)?;
    drivers(topology)?;
    each("outOfService", &topology.out_of_service, out_of_service)?;
    identity::unique(topology)?;
    feature::all(topology)?;
    node::one_owner(topology)?;
    node::of_their_drivers(topology)?;
    links(topology)?;
    driver_file::all(topology)
}

/// Each is so far from each.
fn numa_nodes(nodes: &[NumaNode]) -> Checked {
    ascending("numaNodes", nodes, "node", |node| node.node)?;
    each("numaNodes", nodes, |place, node| {
        ensure(node.distances.len() == nodes.len(), format!("{place}.distances"), || {
            format!("there are {} nodes, and {} distances", nodes.len(), node.distances.len())
        })
    })
}

fn gpu(place: &str, gpu: &Gpu) -> Checked {
    if gpu.vendor == Vendor::Amd {
        amd::gpu(place, gpu)?;
    } else {
        gpu_uuid(place, &gpu.uuid)?;
        ensure(gpu.partition.is_none(), format!("{place}.partition"), || {
            format!("boards of {} are not divided like this", gpu.vendor.title())
        })?;
    }
    if let Some(pci) = gpu.pci.known() {
        pci_address(&format!("{place}.pci"), pci)?;
    }
    plain_text(&format!("{place}.model"), &gpu.model)?;
    plain_fact(&format!("{place}.brand"), &gpu.brand)?;
    plain_fact(&format!("{place}.architecture"), &gpu.architecture)?;
    plain_fact(&format!("{place}.computeCapability"), &gpu.compute_capability)?;
    ascending(
        &format!("{place}.numa"),
        gpu.numa.known().map(Vec::as_slice).unwrap_or_default(),
        "node",
        |node| *node,
    )?;
    ensure(gpu.numa != Fact::Known(Vec::new()), format!("{place}.numa"), || {
        "names no node: write `null` if it is near none".to_owned()
    })?;
    ensure(gpu.cpus.known().is_none_or(|cpus| is_cpu_list(cpus)), format!("{place}.cpus"), || {
        "is no list of CPUs such as `0-47,96-143`".to_owned()
    })?;
    plain_fact(&format!("{place}.clique"), &gpu.clique)?;
    each(&format!("{place}.nodes"), &gpu.nodes, |place, node| node::of_gpu(place, gpu, node))?;
    ensure(
        gpu.mig == Fact::Known(true) || gpu.mig_devices.is_empty(),
        format!("{place}.migDevices"),
        || "has MIG devices, but `mig` is not `true`".to_owned(),
    )?;
    let devices = format!("{place}.migDevices");
    each(&devices, &gpu.mig_devices, mig_device)?;
    ascending(&devices, &gpu.mig_devices, "index", |device| device.index)?;
    unique(&devices, &gpu.mig_devices, "gi and ci", |device| format!("{} and {}", device.gi, device.ci))
}

/// What nobody can use is named in messages all the same.
fn out_of_service(place: &str, gpu: &OutOfService) -> Checked {
    if let Some(uuid) = gpu.uuid.known() {
        gpu_uuid(place, uuid)?;
    }
    if let Some(pci) = gpu.pci.known() {
        pci_address(&format!("{place}.pci"), pci)?;
    }
    plain_fact(&format!("{place}.model"), &gpu.model)?;
    plain_text(&format!("{place}.reason"), &gpu.reason)
}

fn gpu_uuid(place: &str, uuid: &str) -> Checked {
    ensure(is_gpu_uuid(uuid), format!("{place}.uuid"), || {
        format!("`{uuid}` is no GPU UUID: write `GPU-` and a UUID")
    })
}

fn pci_address(place: &str, pci: &str) -> Checked {
    ensure(is_pci_address(pci), place, || {
        format!("`{}` is no PCI address: write it in lower case, such as `0000:07:00.0`", pci.escape_debug())
    })
}

fn mig_device(place: &str, device: &MigDevice) -> Checked {
    ensure(is_mig_uuid(&device.uuid), format!("{place}.uuid"), || {
        format!("`{}` is no MIG UUID: write `MIG-` and a UUID", device.uuid)
    })?;
    plain_text(&format!("{place}.profile"), &device.profile)?;
    each(&format!("{place}.nodes"), &device.nodes, node::nvcap)
}

fn drivers(topology: &Topology) -> Checked {
    each("gpus", &topology.gpus, |place, gpu| {
        ensure(topology.drivers.contains_key(&gpu.vendor), format!("{place}.vendor"), || {
            format!("`drivers` has none of `{}`", gpu.vendor.name())
        })
    })
}

fn gpu_order(gpus: &[Gpu]) -> Checked {
    unique("gpus", gpus, "index", |gpu| gpu.index)?;
    ascending("gpus", gpus, "index", |gpu| gpu.index)
}

fn links(topology: &Topology) -> Checked {
    let indices: BTreeSet<u32> = topology.gpus.iter().map(|gpu| gpu.index).collect();
    each("links", &topology.links, |place, link: &Link| {
        let [first, second] = link.gpus;
        ensure(first < second, place, || format!("GPUs {first} and {second} are not ascending"))?;
        for index in link.gpus {
            ensure(indices.contains(&index), place, || format!("there is no GPU {index}"))?;
        }
        amd::link(place, link, topology)
    })?;
    ascending("links", &topology.links, "gpus", |link| link.gpus)
}

fn not_plain(path: &str) -> String {
    format!("`{}` is no plain path: write it absolute, without `.` and `..`", path.escape_debug())
}

fn plain_text(place: &str, text: &str) -> Checked {
    ensure(!text.is_empty() && !has_control(text), place, || {
        format!("`{}` is empty or has control characters", text.escape_debug())
    })
}

/// What a host says of itself ends up in messages and plans.
fn plain_fact(place: &str, fact: &Fact<String>) -> Checked {
    fact.known().map_or(Ok(()), |text| plain_text(place, text))
}

fn each<T>(list: &str, items: &[T], check: impl Fn(&str, &T) -> Checked) -> Checked {
    let mut places = items.iter().enumerate();
    places.try_for_each(|(position, item)| check(&format!("{list}[{position}]"), item))
}

fn ascending<T, K: Ord>(list: &str, items: &[T], field: &str, key: impl Fn(&T) -> K) -> Checked {
    for (position, pair) in items.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        let place = format!("{list}[{}].{field}", position.saturating_add(1));
        ensure(key(before) < key(after), place, || "is not above the one before".to_owned())?;
    }
    Ok(())
}

fn unique<T, K: Ord + ToString>(list: &str, items: &[T], field: &str, key: impl Fn(&T) -> K) -> Checked {
    let mut seen = BTreeMap::new();
    for (position, item) in items.iter().enumerate() {
        let shown = key(item).to_string();
        first(&mut seen, key(item), format!("{list}[{position}].{field}"), &shown)?;
    }
    Ok(())
}

fn first<K: Ord>(seen: &mut BTreeMap<K, String>, key: K, place: String, shown: &str) -> Checked {
    match seen.get(&key) {
        Some(before) => wrong(place, format!("`{shown}` is that of {before} too")),
        None => {
            seen.insert(key, place);
            Ok(())
        }
    }
}

fn ensure(holds: bool, place: impl Into<String>, problem: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { wrong(place, problem()) }
}

fn wrong(place: impl Into<String>, problem: String) -> Checked {
    Err(Wrong { place: place.into(), problem })
}
