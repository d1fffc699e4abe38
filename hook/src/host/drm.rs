//! Which GPU a DRM node is of: their minor numbers are given out anew when a driver is loaded.

use gpupol_plan::edit::{DeviceNode, Edit};
use gpupol_plan::plan::Device;
use rustix::fs::{CWD, readlinkat};

use super::{require, untrue};
use crate::error::{Called, Result};

/// Checks that the numbers of a device's DRM nodes are those of its GPU.
///
/// # Errors
/// A refusal that says what is not as planned.
pub(super) fn verify(device: &Device) -> Result<()> {
    let nodes = device.edits.iter().filter_map(|edit| match edit {
        Edit::DeviceNode(node) if node.container_path.starts_with("/dev/dri/") => Some(node),
        _ => None,
    });
    nodes.into_iter().try_for_each(|node| verify_node(node, &device.pci))
}

/// The kernel has a link from the number to the PCI device, whose name is the address.
fn verify_node(node: &DeviceNode, pci: &str) -> Result<()> {
    let path = format!("/sys/dev/char/{}:{}/device", node.major, node.minor);
    let link =
        readlinkat(CWD, &path, Vec::new()).called(|| format!("readlinkat(`{path}`)")).map_err(untrue)?;
    let found = link.to_str().ok().and_then(|link| link.rsplit('/').next());
    require(&format!("the GPU of `{}`", node.container_path), Some(pci), found)
}
