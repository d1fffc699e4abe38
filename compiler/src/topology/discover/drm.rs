//! The DRM nodes of a GPU: those that the kernel lists below its PCI device, where a DRM driver serves it.

use super::kernel::Majors;
use super::root::Root;
use super::{DiscoverError, node};
use crate::topology::DeviceNode;

/// Permission bits of a node that udev has not made yet: nobody outside of its group may open it.
const MODE: u32 = 0o660;

/// The nodes of the GPU at the PCI address `pci`, sorted by path; none where no DRM driver serves it.
pub(super) fn nodes(root: &Root, majors: &Majors, pci: &str) -> Result<Vec<DeviceNode>, DiscoverError> {
    below(root, majors, &format!("/sys/bus/pci/devices/{pci}/drm"))
}

/// The nodes that the directory `drm` of a device lists, sorted by path.
pub(super) fn below(root: &Root, majors: &Majors, directory: &str) -> Result<Vec<DeviceNode>, DiscoverError> {
    let names = root.names(directory)?.into_iter().filter(|name| is_node(name));
    let known = names.filter_map(|name| Some((numbers(root, &format!("{directory}/{name}"))?, name)));
    known.map(|(numbers, name)| one(root, majors, &name, numbers)).collect()
}

/// `card0` and `renderD128`; what stands beside them are connectors.
fn is_node(name: &str) -> bool {
    let number = name.strip_prefix("card").or_else(|| name.strip_prefix("renderD"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What the kernel writes as `226:128`.
fn numbers(root: &Root, directory: &str) -> Option<[u32; 2]> {
    let text = root.text(&format!("{directory}/dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some([major.parse().ok()?, minor.parse().ok()?])
}

fn one(
    root: &Root,
    majors: &Majors,
    name: &str,
    [major, minor]: [u32; 2],
) -> Result<DeviceNode, DiscoverError> {
    let path = format!("/dev/dri/{name}");
    if !majors.has("drm", major) {
        let found = format!("{major}:{minor}");
        return Err(DiscoverError::Node { path, found, wanted: "of the driver `drm`".to_owned() });
    }
    node::of_host(root, path, [major, minor], MODE)
}
