//! Whose a device node is: of one GPU, of one MIG device, or of all.

use std::collections::BTreeMap;

use super::{Checked, NVIDIA_MAJOR, amd, each, ensure, not_plain, wrong};
use crate::topology::read::name::{is_plain_path, number_after};
use crate::topology::{DeviceNode, Gpu, Topology, Vendor};

/// The minors of NVIDIA's major which are GPUs; those above are control nodes.
const NVIDIA_GPU_MINORS: std::ops::RangeInclusive<u32> = 0..=247;

/// The character major of DRM nodes, fixed by the kernel's device list.
const DRM_MAJOR: u32 = 226;

/// The nodes that all GPUs of a vendor share.
pub(super) fn shared(vendor: Vendor, nodes: &[DeviceNode]) -> Checked {
    each(&format!("nodes.{}", vendor.name()), nodes, |place, node| {
        plain(place, node)?;
        if vendor == Vendor::Amd {
            return amd::shared_node(place, node);
        }
        let of_one = gpu_number(node).is_some()
            || node.path.starts_with("/dev/dri/")
            || (node.major == NVIDIA_MAJOR && NVIDIA_GPU_MINORS.contains(&node.minor));
        ensure(!of_one, place, || {
            format!("`{}` is the node of one GPU: write it there, not where all share it", node.path)
        })?;
        ensure(vendor != Vendor::Nvidia || is_shared(node), place, || {
            format!("`{}` {}:{} is no node that NVIDIA's GPUs share", node.path, node.major, node.minor)
        })
    })
}

/// The control nodes have numbers of their own; unified memory has a driver of its own.
fn is_shared(node: &DeviceNode) -> bool {
    match node.path.as_str() {
        "/dev/nvidiactl" => [node.major, node.minor] == [NVIDIA_MAJOR, 255],
        "/dev/nvidia-modeset" => [node.major, node.minor] == [NVIDIA_MAJOR, 254],
        "/dev/nvidia-uvm" => node.major != NVIDIA_MAJOR && node.minor == 0,
        "/dev/nvidia-uvm-tools" => node.major != NVIDIA_MAJOR && node.minor == 1,
        _ => false,
    }
}

/// Below `/dev`, and with the mode of a file.
pub(super) fn plain(place: &str, node: &DeviceNode) -> Checked {
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

/// A node of one GPU.
pub(super) fn of_gpu(place: &str, gpu: &Gpu, node: &DeviceNode) -> Checked {
    plain(place, node)?;
    drm_number(place, node)?;
    own_minor(place, gpu, node)
}

/// A node of a MIG device.
pub(super) fn nvcap(place: &str, node: &DeviceNode) -> Checked {
    plain(place, node)?;
    let number = number_after("/dev/nvidia-caps/nvidia-cap", &node.path);
    ensure(number == Some(node.minor), place, || {
        format!("`{}` is not the nvcap node of minor {}", node.path, node.minor)
    })
}

/// But for DRM nodes a GPU of NVIDIA has one that carries its own minor: anything else would be the node of another tenant's GPU.
fn own_minor(place: &str, gpu: &Gpu, node: &DeviceNode) -> Checked {
    if gpu.vendor == Vendor::Amd {
        return amd::own_node(place, gpu, node);
    }
    if gpu.vendor != Vendor::Nvidia || node.path.starts_with("/dev/dri/") {
        return Ok(());
    }
    let Some(minor) = gpu.minor.known() else {
        return wrong(place, format!("`{}` is given, but the GPU's `minor` is not known", node.path));
    };
    let is_own = node.major == NVIDIA_MAJOR && node.minor == *minor && gpu_number(node) == Some(*minor);
    ensure(is_own, place, || {
        let numbers = format!("{}:{}", node.major, node.minor);
        format!("`{}` {numbers} is not the node of a GPU whose minor is {minor}", node.path)
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

/// Drivers whose major the kernel gives anew at each start, by how the paths of their nodes begin.
const DYNAMIC: [(&str, &str); 3] =
    [("/dev/nvidia-uvm", "nvidia-uvm"), ("/dev/nvidia-caps/", "nvidia-caps"), ("/dev/kfd", "kfd")];

/// A node of such a driver has the major of that driver on this host: `/dev/kfd` with 1:1 would be all of the host's memory.
pub(super) fn of_their_drivers(topology: &Topology) -> Checked {
    for (vendor, nodes) in &topology.nodes {
        each(&format!("nodes.{}", vendor.name()), nodes, |place, node| of_its_driver(place, node, topology))?;
    }
    let devices = topology.gpus.iter().flat_map(|gpu| &gpu.mig_devices);
    devices.into_iter().try_for_each(|device| {
        each(&format!("{}.nodes", device.uuid), &device.nodes, |place, node| {
            of_its_driver(place, node, topology)
        })
    })
}

fn of_its_driver(place: &str, node: &DeviceNode, topology: &Topology) -> Checked {
    let Some((_, driver)) = DYNAMIC.iter().find(|(begin, _)| node.path.starts_with(begin)) else {
        return Ok(());
    };
    ensure(topology.majors.get(*driver) == Some(&node.major), format!("{place}.major"), || {
        format!("`{}` has major {}, which `majors` does not give to `{driver}`", node.path, node.major)
    })
}

/// One node belongs to one owner: to all, to one GPU, or to the MIG devices of one GPU instance.
pub(super) fn one_owner(topology: &Topology) -> Checked {
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

/// The number of a GPU node by its path.
fn gpu_number(node: &DeviceNode) -> Option<u32> {
    number_after("/dev/nvidia", &node.path)
}
