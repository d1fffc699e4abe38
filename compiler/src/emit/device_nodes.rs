//! Device nodes: which of the host's a container gets, and for which driver capabilities.
//!
//! Only nodes that are known here are ever given: an unknown one may open more than a GPU.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability;
use gpupol_plan::edit::{DeviceNode as Node, Edit};

use crate::resolve::Device;
use crate::topology::{DeviceNode, Topology, Vendor};

/// Where DRM nodes lie.
const DRI: &str = "/dev/dri/";

/// The nodes that all GPUs of a vendor share, in the topology's order.
pub(super) fn shared(topology: &Topology, vendor: Vendor) -> Vec<Edit> {
    let given = |node: &DeviceNode| Some(edit(node, needed_for(vendor, &node.path)?));
    topology.nodes.get(&vendor).into_iter().flatten().filter_map(given).collect()
}

/// The nodes of one device: a whole GPU's own, or the parent's and the capabilities of a MIG device. A DRM node opens
/// the whole GPU, so no MIG device has one.
pub(super) fn of(device: &Device) -> Vec<Edit> {
    let is_of_device = |node: &&DeviceNode| device.mig.is_none() || !node.path.starts_with(DRI);
    let own = device.gpu.nodes.iter().filter(is_of_device);
    let own = own.filter_map(|node| Some((node, edit(node, own_needed_for(device.gpu.vendor, &node.path)?))));
    let own = own.flat_map(|(node, edit)| std::iter::once(edit).chain(by_path(device, node)));
    let caps = device.mig.into_iter().flat_map(|mig| &mig.nodes).map(|node| edit(node, &[]));
    own.chain(caps).collect()
}

/// A DRM node of NVIDIA's by the address of its GPU as well, as udev names it: a node of its own, not a link.
fn by_path(device: &Device, node: &DeviceNode) -> Option<Edit> {
    let name = node.path.strip_prefix(DRI).filter(|_| device.gpu.vendor == Vendor::Nvidia)?;
    let kind = if name.starts_with("renderD") { "render" } else { "card" };
    let path = format!("{DRI}by-path/pci-{}-{kind}", device.pci);
    let host_path = Some(node.host_path.clone().unwrap_or_else(|| node.path.clone()));
    Some(edit(&DeviceNode { path, host_path, ..node.clone() }, &[Capability::Graphics, Capability::Display]))
}

/// Driver capabilities that need a shared node, none meaning always; `None`: it is not given.
///
/// NVIDIA's own tools give `nvidia-uvm` for compute and `nvidia-modeset` for display; the codecs work through
/// CUDA, so video needs what compute needs.
fn needed_for(vendor: Vendor, path: &str) -> Option<&'static [Capability]> {
    match (vendor, path) {
        (Vendor::Nvidia, "/dev/nvidiactl") | (Vendor::Amd, "/dev/kfd") => Some(&[]),
        (Vendor::Nvidia, "/dev/nvidia-uvm" | "/dev/nvidia-uvm-tools") => {
            Some(&[Capability::Compute, Capability::Video])
        }
        (Vendor::Nvidia, "/dev/nvidia-modeset") => Some(&[Capability::Display]),
        _ => None,
    }
}

/// AMD's user space lies in the image and works through the render node alone; the card node sets display modes for
/// everybody.
fn own_needed_for(vendor: Vendor, path: &str) -> Option<&'static [Capability]> {
    if vendor == Vendor::Amd {
        return path.starts_with("/dev/dri/renderD").then_some(&[]);
    }
    let minor = path.strip_prefix("/dev/nvidia");
    if minor.is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit())) {
        return Some(&[]);
    }
    path.starts_with(DRI).then_some(&[Capability::Graphics, Capability::Display])
}

/// The node of a feature.
pub(super) fn of_feature(node: &DeviceNode) -> Edit {
    edit(node, &[])
}

/// Whoever is in the container has the grant, whatever users and groups the host knows: what its owner or group may do
/// there, everybody may do in the container.
fn for_everybody(mode: u32) -> u32 {
    let any = (mode | mode >> 3 | mode >> 6) & 0o7;
    any << 6 | any << 3 | any
}

fn edit(node: &DeviceNode, capabilities: &[Capability]) -> Edit {
    Edit::DeviceNode(Node {
        capabilities: capabilities.iter().copied().collect::<BTreeSet<_>>(),
        host_path: node.host_path.clone().unwrap_or_else(|| node.path.clone()),
        container_path: node.path.clone(),
        major: node.major,
        minor: node.minor,
        file_mode: for_everybody(node.mode),
        permissions: "rw".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::builtin;
    use crate::topology::read;

    #[test]
    fn a_mig_device_has_no_drm_node_of_its_parent() {
        let mut host = read::read("campus", builtin::builtin("campus").unwrap().1).unwrap();
        let parent = host.gpus.iter_mut().find(|gpu| !gpu.mig_devices.is_empty()).unwrap();
        let drm = DeviceNode { path: "/dev/dri/card0".to_owned(), major: 226, ..parent.nodes[0].clone() };
        parent.nodes.push(drm);
        let minor = *parent.minor.known().unwrap();
        let paths = |mig| {
            let device = Device { gpu: parent, minor, pci: "0000:00:00.0", mig };
            of(&device).iter().map(|edit| edit.container_path().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(paths(None), ["/dev/nvidia0", "/dev/dri/card0", "/dev/dri/by-path/pci-0000:00:00.0-card"]);
        let caps = ["/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap21", "/dev/nvidia-caps/nvidia-cap22"];
        assert_eq!(paths(parent.mig_devices.first()), caps);
    }
}
