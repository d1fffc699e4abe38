//! Device nodes: which of the host's a container gets, and for which driver capabilities.
//!
//! Only nodes that are known here are ever given: an unknown one may open more than a GPU.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability;
use gpupol_plan::plan::Edit;

use crate::resolve::Device;
use crate::topology::{DeviceNode, Topology};

/// The nodes that all GPUs share, in the topology's order.
pub(super) fn shared(topology: &Topology) -> Vec<Edit> {
    let given = |node: &DeviceNode| Some(edit(node, needed_for(&node.path)?));
    topology.nodes.iter().filter_map(given).collect()
}

/// The nodes of one device: a whole GPU's own, or the parent's and the capabilities of a MIG device.
pub(super) fn of(device: &Device) -> Vec<Edit> {
    let own = device.gpu.nodes.iter().filter_map(|node| Some(edit(node, own_needed_for(&node.path)?)));
    let caps = device.mig.into_iter().flat_map(|mig| &mig.nodes).map(|node| edit(node, &[]));
    own.chain(caps).collect()
}

/// Driver capabilities that need a shared node, none meaning always; `None`: it is not given.
///
/// NVIDIA's own tools give `nvidia-uvm` for compute and `nvidia-modeset` for display; the codecs work through
/// CUDA, so video needs what compute needs.
fn needed_for(path: &str) -> Option<&'static [Capability]> {
    match path {
        "/dev/nvidiactl" => Some(&[]),
        "/dev/nvidia-uvm" | "/dev/nvidia-uvm-tools" => Some(&[Capability::Compute, Capability::Video]),
        "/dev/nvidia-modeset" => Some(&[Capability::Display]),
        _ => None,
    }
}

fn own_needed_for(path: &str) -> Option<&'static [Capability]> {
    let minor = path.strip_prefix("/dev/nvidia");
    if minor.is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit())) {
        return Some(&[]);
    }
    path.starts_with("/dev/dri/").then_some(&[Capability::Graphics, Capability::Display])
}

/// The node of a feature.
pub(super) fn of_feature(node: &DeviceNode) -> Edit {
    edit(node, &[])
}

fn edit(node: &DeviceNode, capabilities: &[Capability]) -> Edit {
    Edit::DeviceNode {
        capabilities: capabilities.iter().copied().collect::<BTreeSet<_>>(),
        host_path: node.host_path.clone().unwrap_or_else(|| node.path.clone()),
        container_path: node.path.clone(),
        major: node.major,
        minor: node.minor,
        file_mode: node.mode,
        permissions: "rw".to_owned(),
    }
}
