//! How near two devices are in the PCI tree, by the paths that the kernel gives them below `/sys/devices`.

use super::root::Root;
use crate::topology::{Fact, Level};

/// A port and the device in it: what hangs together below one switch is at most so far from it.
const BELOW_ONE_SWITCH: usize = 2;

/// The host bridge and all that lies between it and a device: `pci0000:60`, `0000:60:01.1`, `0000:63:00.0`; or why that is
/// not known.
pub(super) type Path = Result<Vec<String>, String>;

/// The nearest common ancestor of the devices at two places. `same_node`: whether both are near one NUMA node.
pub(super) fn level(one: &Path, other: &Path, same_node: bool) -> Fact<Level> {
    let (one, other) = match (one, other) {
        (Ok(one), Ok(other)) => (one, other),
        (Err(why), _) | (_, Err(why)) => return Fact::Unknown(why.clone()),
    };
    let shared = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let far = one.len().max(other.len()).saturating_sub(shared);
    Fact::Known(match shared {
        0 if same_node => Level::Node,
        0 => Level::System,
        1 => Level::Hostbridge,
        _ if far <= BELOW_ONE_SWITCH => Level::Single,
        _ => Level::Multiple,
    })
}

/// Where the device at the PCI address `pci` is.
pub(super) fn path(root: &Root, pci: &str) -> Path {
    let link = format!("/sys/bus/pci/devices/{pci}");
    let path = root.resolve(&link).ok_or_else(|| format!("`{link}`: no such file"))?;
    let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    let bridge = parts.iter().position(|part| part.starts_with("pci") && part.contains(':'));
    let below = bridge.and_then(|bridge| parts.get(bridge..));
    below.map(<[String]>::to_vec).ok_or_else(|| format!("`{link}` does not lead into the PCI tree"))
}
