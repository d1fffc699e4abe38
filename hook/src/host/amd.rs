//! What the kernel says of AMD's GPUs, each as a node of KFD.

use std::os::fd::AsFd;

use gpupol_plan::kfd::{self, Gpu};
use gpupol_plan::plan::{Device, GpuCheck};
use rustix::fs::{CWD, Dir};

use super::{LIMIT, changed, require, untrue};
use crate::error::{Called, Result};
use crate::file;

const NODES: &str = "/sys/class/kfd/kfd/topology/nodes";
/// More nodes than any host has.
const MOST: usize = 4096;

/// Checks that each device is the planned GPU: by its UUID, which says too into how many parts its board is divided.
///
/// # Errors
/// A refusal that says what is not as planned.
pub(super) fn verify(devices: &[&Device]) -> Result<()> {
    let nodes = nodes().map_err(untrue)?;
    let gpus = kfd::gpus(&nodes).map_err(|why| changed(&why))?;
    devices.iter().try_for_each(|device| verify_device(&gpus, device))
}

fn verify_device(gpus: &[Gpu], device: &Device) -> Result<()> {
    let GpuCheck::Amd { minor, partition } = device.gpu else { return Ok(()) };
    let of = |what: &str| format!("{what} of the GPU `{}`", device.uuid);
    let found = gpus.iter().find(|gpu| gpu.uuid == device.uuid && gpu.partition == partition);
    let Some(found) = found else {
        return Err(changed(&format!("`{NODES}` has no GPU `{}`", device.uuid)));
    };
    require(&of("the PCI address"), Some(&device.pci), Some(&found.pci))?;
    require(
        &of("the render node's minor number"),
        Some(&minor.to_string()),
        Some(&found.render_minor.to_string()),
    )
}

/// The text of `properties` of each node.
fn nodes() -> Result<Vec<(u32, String)>> {
    let directory = file::open_directory(CWD, NODES)?;
    let mut nodes = Vec::new();
    for entry in Dir::read_from(&directory).called(|| format!("getdents(`{NODES}`)"))?.take(MOST) {
        let entry = entry.called(|| format!("getdents(`{NODES}`)"))?;
        let Some(number) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let text = file::read_text(directory.as_fd(), &format!("{number}/properties"), LIMIT)?;
        nodes.push((number, text));
    }
    Ok(nodes)
}
