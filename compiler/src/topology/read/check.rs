//! What a document of the right shape must also fulfil before anybody grants a device by it.

use std::collections::{BTreeMap, BTreeSet};

use super::name::{has_control, is_gpu_uuid, is_mig_uuid, is_pci_address, is_plain_path, number_after};
use gpupol_plan::feature::Feature;

use crate::topology::{
    DeviceNode, Fact, GDS_FILES, Gpu, Link, MigDevice, NVSWITCH_CONTROL, OutOfService, Topology, Vendor,
};

mod amd;
mod driver_file;

/// The character major of NVIDIA's own GPU nodes, fixed by the kernel's device list.
const NVIDIA_MAJOR: u32 = 195;

/// The minors of that major which are GPUs; those above are control nodes.
const NVIDIA_GPU_MINORS: std::ops::RangeInclusive<u32> = 0..=247;

/// The character major of DRM nodes, fixed by the kernel's device list.
const DRM_MAJOR: u32 = 226;

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
    topology.nodes.iter().try_for_each(|(vendor, nodes)| shared_nodes(*vendor, nodes))?;
    each("gpus", &topology.gpus, gpu)?;
    gpu_order(&topology.gpus)?;
    drivers(topology)?;
    each("outOfService", &topology.out_of_service, out_of_service)?;
    unique_identities(topology)?;
    features(topology)?;
    unique_nodes(topology)?;
    links(topology)?;
    driver_file::all(topology)
}

/// A feature has known nodes and files only: any other may open more than the feature.
fn features(topology: &Topology) -> Checked {
    for (feature, nodes) in &topology.features {
        let place = format!("features.{feature}");
        is_whole(*feature, &place)?;
        let nodes = nodes.known().map(Vec::as_slice).unwrap_or_default();
        each(&place, nodes, |place, node| {
            device_node(place, node)?;
            ensure(is_of_feature(*feature, node), place, || {
                format!("`{}` {}:{} is no node of `{feature}`", node.path, node.major, node.minor)
            })
        })?;
    }
    for (feature, files) in &topology.feature_files {
        let place = format!("featureFiles.{feature}");
        is_whole(*feature, &place)?;
        each(&place, files, |place, file| {
            ensure(*feature == Feature::Gds && GDS_FILES.contains(&file.path.as_str()), place, || {
                format!("`{}` is no file of `{feature}`", file.path.escape_debug())
            })?;
            let host_path = file.host_path.as_ref().unwrap_or(&file.path);
            ensure(is_plain_path(host_path), format!("{place}.hostPath"), || not_plain(host_path))
        })?;
        ascending(&place, files, "path", |file| file.path.clone())?;
    }
    Ok(())
}

fn is_whole(feature: Feature, place: &str) -> Checked {
    ensure(feature.whole() == feature, place, || {
        "one channel is no feature of a host: write `imex`".to_owned()
    })
}

fn is_of_feature(feature: Feature, node: &DeviceNode) -> bool {
    let numbered = |prefix: &str| number_after(prefix, &node.path);
    let named = match feature {
        Feature::Gds => numbered("/dev/nvidia-fs").is_some(),
        Feature::Gdrcopy => node.path == "/dev/gdrdrv",
        Feature::GpudirectRdma => {
            node.path == "/dev/infiniband/rdma_cm" || numbered("/dev/infiniband/uverbs").is_some()
        }
        Feature::Imex(_) => numbered("/dev/nvidia-caps-imex-channels/channel") == Some(node.minor),
        Feature::Nvswitch => {
            let control = node.path == "/dev/nvidia-nvswitchctl" && node.minor == NVSWITCH_CONTROL;
            control || numbered("/dev/nvidia-nvswitch") == Some(node.minor)
        }
    };
    named && node.major != NVIDIA_MAJOR
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
    plain_fact(&format!("{place}.cpus"), &gpu.cpus)?;
    plain_fact(&format!("{place}.clique"), &gpu.clique)?;
    each(&format!("{place}.nodes"), &gpu.nodes, |place, node| {
        device_node(place, node)?;
        drm_number(place, node)?;
        own_minor(place, gpu, node)
    })?;
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

/// A GPU's NVIDIA nodes carry its own minor: anything else would be the node of another tenant's GPU.
fn own_minor(place: &str, gpu: &Gpu, node: &DeviceNode) -> Checked {
    if gpu.vendor == Vendor::Amd {
        return amd::own_node(place, gpu, node);
    }
    let is_nvidia = node.major == NVIDIA_MAJOR || gpu_number(node).is_some();
    if gpu.vendor != Vendor::Nvidia || !is_nvidia {
        return Ok(());
    }
    let Some(minor) = gpu.minor.known() else {
        return wrong(place, format!("`{}` is given, but the GPU's `minor` is not known", node.path));
    };
    ensure(node.minor == *minor && gpu_number(node) == Some(*minor), place, || {
        format!("`{}` with minor {} is not the node of a GPU whose minor is {minor}", node.path, node.minor)
    })
}

/// The kernel names a DRM node by its minor.
fn drm_number(place: &str, node: &DeviceNode) -> Checked {
    let Some(name) = node.path.strip_prefix("/dev/dri/") else { return Ok(()) };
    let number = number_after("card", name).or_else(|| number_after("renderD", name));
    ensure(node.major == DRM_MAJOR && number == Some(node.minor), place, || {
        format!("`{}` is not the DRM node {}:{}", node.path, node.major, node.minor)
    })
}

fn mig_device(place: &str, device: &MigDevice) -> Checked {
    ensure(is_mig_uuid(&device.uuid), format!("{place}.uuid"), || {
        format!("`{}` is no MIG UUID: write `MIG-` and a UUID", device.uuid)
    })?;
    plain_text(&format!("{place}.profile"), &device.profile)?;
    each(&format!("{place}.nodes"), &device.nodes, |place, node| {
        device_node(place, node)?;
        let number = number_after("/dev/nvidia-caps/nvidia-cap", &node.path);
        ensure(number == Some(node.minor), place, || {
            format!("`{}` is not the nvcap node of minor {}", node.path, node.minor)
        })
    })
}

fn shared_nodes(vendor: Vendor, nodes: &[DeviceNode]) -> Checked {
    each(&format!("nodes.{}", vendor.name()), nodes, |place, node| {
        device_node(place, node)?;
        if vendor == Vendor::Amd {
            return amd::shared_node(place, node);
        }
        let of_one = gpu_number(node).is_some()
            || node.path.starts_with("/dev/dri/")
            || (node.major == NVIDIA_MAJOR && NVIDIA_GPU_MINORS.contains(&node.minor));
        ensure(!of_one, place, || {
            format!("`{}` is the node of one GPU: write it there, not where all share it", node.path)
        })
    })
}

fn device_node(place: &str, node: &DeviceNode) -> Checked {
    let in_dev = is_plain_path(&node.path) && node.path.starts_with("/dev/");
    ensure(in_dev, format!("{place}.path"), || {
        format!("`{}` is no path of a device node: write it absolute, below `/dev`", node.path)
    })?;
    let host_path = node.host_path.as_ref().unwrap_or(&node.path);
    ensure(is_plain_path(host_path), format!("{place}.hostPath"), || not_plain(host_path))?;
    ensure(node.mode <= 0o777, format!("{place}.mode"), || {
        format!("{} is more than permission bits (511)", node.mode)
    })
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

/// One GPU has an index, a minor, an address and a UUID of its own, be it in service or not.
fn unique_identities(topology: &Topology) -> Checked {
    let mut seen = Identities::default();
    for (position, gpu) in topology.gpus.iter().enumerate() {
        let place = format!("gpus[{position}]");
        // Parts of one board share its address.
        let pci = gpu.pci.known().map(|pci| match gpu.partition_number() {
            Some(number) => format!("{pci}, partition {number}"),
            None => pci.clone(),
        });
        let (pci, minor) = (pci.as_ref(), gpu.minor.known());
        seen.gpu(&place, gpu.vendor, [Some(&gpu.index), minor], [Some(&gpu.uuid), pci])?;
        for (position, device) in gpu.mig_devices.iter().enumerate() {
            seen.uuid(&format!("{place}.migDevices[{position}]"), &device.uuid)?;
        }
    }
    for (position, gpu) in topology.out_of_service.iter().enumerate() {
        let place = format!("outOfService[{position}]");
        let numbers = [gpu.index.known(), gpu.minor.known()];
        seen.gpu(&place, gpu.vendor, numbers, [gpu.uuid.known(), gpu.pci.known()])?;
    }
    Ok(())
}

/// Who has been seen, and where.
#[derive(Default)]
struct Identities {
    indices: BTreeMap<u32, String>,
    minors: BTreeMap<(Vendor, u32), String>,
    addresses: BTreeMap<String, String>,
    uuids: BTreeMap<String, String>,
}

impl Identities {
    fn gpu(
        &mut self,
        place: &str,
        vendor: Vendor,
        [index, minor]: [Option<&u32>; 2],
        [uuid, pci]: [Option<&String>; 2],
    ) -> Checked {
        if let Some(index) = index {
            first(&mut self.indices, *index, format!("{place}.index"), &index.to_string())?;
        }
        if let Some(pci) = pci {
            first(&mut self.addresses, pci.clone(), format!("{place}.pci"), pci)?;
        }
        if let Some(minor) = minor {
            first(&mut self.minors, (vendor, *minor), format!("{place}.minor"), &minor.to_string())?;
        }
        uuid.map_or(Ok(()), |uuid| self.uuid(place, uuid))
    }

    fn uuid(&mut self, place: &str, uuid: &str) -> Checked {
        first(&mut self.uuids, uuid.to_ascii_lowercase(), format!("{place}.uuid"), uuid)
    }
}

/// One node belongs to one owner: to all, to one GPU, or to the MIG devices of one GPU instance.
fn unique_nodes(topology: &Topology) -> Checked {
    let mut owners: BTreeMap<(u32, u32), String> = BTreeMap::new();
    let mut own = |owner: String, nodes: &[DeviceNode]| {
        for node in nodes {
            let before = owners.entry((node.major, node.minor)).or_insert_with(|| owner.clone());
            ensure(*before == owner, &owner, || {
                format!("node {}:{} (`{}`) belongs to {before} already", node.major, node.minor, node.path)
            })?;
        }
        Ok(())
    };
    for (vendor, nodes) in &topology.nodes {
        own(format!("nodes.{}", vendor.name()), nodes)?;
    }
    for (feature, nodes) in &topology.features {
        own(format!("features.{feature}"), nodes.known().map(Vec::as_slice).unwrap_or_default())?;
    }
    for (position, gpu) in topology.gpus.iter().enumerate() {
        own(format!("gpus[{position}].nodes"), &gpu.nodes)?;
        for device in &gpu.mig_devices {
            own(format!("gpus[{position}].migDevices, GPU instance {}", device.gi), &device.nodes)?;
        }
    }
    Ok(())
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

/// The number of a GPU node by its path.
fn gpu_number(node: &DeviceNode) -> Option<u32> {
    number_after("/dev/nvidia", &node.path)
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
