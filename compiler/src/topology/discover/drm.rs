//! The DRM nodes of a GPU: those that the kernel lists below its PCI device, where a DRM driver serves it.

use super::nvidia::Sources;
use super::{DiscoverError, node};
use crate::topology::DeviceNode;

/// Permission bits of a node that udev has not made yet: nobody outside of its group may open it.
const MODE: u32 = 0o660;

/// The nodes of the GPU at the PCI address `pci`, sorted by path; none where no DRM driver serves it.
pub(super) fn nodes(sources: &Sources, pci: &str) -> Result<Vec<DeviceNode>, DiscoverError> {
    let directory = format!("/sys/bus/pci/devices/{pci}/drm");
    let names = sources.root.names(&directory).into_iter().filter(|name| is_node(name));
    let known = names.filter_map(|name| Some((numbers(sources, &format!("{directory}/{name}"))?, name)));
    known.map(|(numbers, name)| one(sources, &name, numbers)).collect()
}

/// `card0` and `renderD128`; what stands beside them are connectors.
fn is_node(name: &str) -> bool {
    let number = name.strip_prefix("card").or_else(|| name.strip_prefix("renderD"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What the kernel writes as `226:128`.
fn numbers(sources: &Sources, directory: &str) -> Option<[u32; 2]> {
    let text = sources.root.text(&format!("{directory}/dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some([major.parse().ok()?, minor.parse().ok()?])
}

fn one(sources: &Sources, name: &str, [major, minor]: [u32; 2]) -> Result<DeviceNode, DiscoverError> {
    let path = format!("/dev/dri/{name}");
    if !sources.majors.has("drm", major) {
        let found = format!("{major}:{minor}");
        return Err(DiscoverError::Node { path, found, wanted: "of the driver `drm`".to_owned() });
    }
    node::at(sources, path, [major, minor], Some(MODE))
}
