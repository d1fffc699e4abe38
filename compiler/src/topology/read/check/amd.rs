//! What an AMD GPU must be: named by its board and its part of it, and reached by its own render node.

use super::{Checked, NVIDIA_MAJOR, ensure, wrong};
use crate::topology::read::name::{is_amd_board, parts_of_board};
use crate::topology::{DeviceNode, Gpu, Link, Topology, Vendor};

pub(super) fn gpu(place: &str, gpu: &Gpu) -> Checked {
    let (board, part) = parts_of_board(&gpu.uuid);
    ensure(is_amd_board(board), format!("{place}.uuid"), || {
        format!(
            "`{}` is no AMD GPU: write `GPU-` and its unique id in 16 hexadecimal digits, or its PCI address",
            gpu.uuid.escape_debug()
        )
    })?;
    let number = gpu.partition_number();
    let fits = match (part, number) {
        (None, None) => true,
        (Some((part, of)), Some(number)) => part == number && part < of && of > 1,
        _ => false,
    };
    ensure(fits, format!("{place}.partition"), || {
        format!("is not the part of a board that `{}` says", gpu.uuid.escape_debug())
    })
}

/// It has DRM nodes only, which have the numbers of their names; its render node is the one of its own minor: any other
/// would be that of another tenant's GPU.
pub(super) fn own_node(place: &str, gpu: &Gpu, node: &DeviceNode) -> Checked {
    ensure(node.path.starts_with("/dev/dri/"), place, || {
        format!("`{}` is no node of an AMD GPU", node.path.escape_debug())
    })?;
    if !node.path.starts_with("/dev/dri/renderD") {
        return Ok(());
    }
    let Some(minor) = gpu.minor.known() else {
        return wrong(place, format!("`{}` is given, but the GPU's `minor` is not known", node.path));
    };
    ensure(node.minor == *minor, place, || {
        format!("`{}` is not the node of a GPU whose minor is {minor}", node.path)
    })
}

/// The node that its driver's GPUs share is this one: any other may open more.
pub(super) fn shared_node(place: &str, node: &DeviceNode) -> Checked {
    ensure(node.path == "/dev/kfd" && node.major != NVIDIA_MAJOR, place, || {
        format!("`{}` is no node that AMD's GPUs share", node.path.escape_debug())
    })
}

/// NVLink joins NVIDIA's GPUs, XGMI AMD's.
pub(super) fn link(place: &str, link: &Link, topology: &Topology) -> Checked {
    let of = |vendor: Vendor| {
        let mut ends = topology.gpus.iter().filter(|gpu| link.gpus.contains(&gpu.index));
        ends.all(|gpu| gpu.vendor == vendor)
    };
    ensure(
        link.nvlinks.known().is_none_or(|links| *links == 0) || of(Vendor::Nvidia),
        format!("{place}.nvlinks"),
        || "NVLink joins GPUs of NVIDIA only".to_owned(),
    )?;
    ensure(link.xgmi == 0 || of(Vendor::Amd), format!("{place}.xgmi"), || {
        "XGMI joins GPUs of AMD only".to_owned()
    })
}

#[cfg(test)]
mod tests;
