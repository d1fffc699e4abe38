//! How GPUs are joined.

use std::collections::BTreeMap;

use nvml_wrapper::enum_wrappers::device::TopologyLevel;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::gpu::{Found, pci_address};
use super::{raw, unknown};
use crate::topology::{Fact, Level, Link};

/// More links than any GPU has: NVML has no call for their number and answers `InvalidArg` after the last.
const MAX_LINKS: u32 = 64;

/// The NVLink links of one GPU that are up.
#[derive(Default)]
struct Up {
    /// To what is no switch, by its PCI address.
    direct: BTreeMap<String, u32>,
    /// To switches.
    switched: u32,
}

/// One for each pair of `found`.
pub(super) fn all(nvml: &Nvml, found: &[Found<'_>]) -> Vec<Link> {
    let up: Vec<(&Found<'_>, Up)> = found.iter().map(|found| (found, up(nvml, &found.device))).collect();
    let mut links = Vec::new();
    for (position, (first, from)) in up.iter().enumerate() {
        for (second, to) in up.iter().skip(position.saturating_add(1)) {
            links.push(Link {
                gpus: [first.gpu.index, second.gpu.index],
                nvlinks: nvlinks(from, &second.gpu.pci, to),
                xgmi: 0,
                level: level(nvml, &first.device, &second.device),
            });
        }
    }
    links
}

/// The links to `second` itself, and those through switches: all GPUs with links to a switch reach each other, by as
/// many links as the one with fewer has.
fn nvlinks(from: &Up, second: &str, to: &Up) -> u32 {
    let direct = from.direct.get(second).copied().unwrap_or_default();
    direct.saturating_add(from.switched.min(to.switched))
}

fn up(nvml: &Nvml, device: &Device<'_>) -> Up {
    let mut up = Up::default();
    for number in 0..MAX_LINKS {
        let link = device.link_wrapper_for(number);
        match link.is_active() {
            Ok(true) => {}
            Err(NvmlError::InvalidArg) => break,
            Ok(false) | Err(_) => continue,
        }
        // A link whose far end cannot be learnt joins nothing: `place=nvlink` must not rest on a guess.
        if raw::leads_to_switch(nvml, device, number).is_ok_and(|leads| leads) {
            up.switched = up.switched.saturating_add(1);
        } else if let Some(address) = link.remote_pci_info().ok().and_then(|far| pci_address(&far.bus_id)) {
            let count = up.direct.entry(address).or_default();
            *count = count.saturating_add(1);
        }
    }
    up
}

fn level(nvml: &Nvml, first: &Device<'_>, second: &Device<'_>) -> Fact<Level> {
    match nvml.topology_common_ancestor(first, second) {
        Ok(TopologyLevel::Internal) => Fact::Known(Level::Internal),
        Ok(TopologyLevel::Single) => Fact::Known(Level::Single),
        Ok(TopologyLevel::Multiple) => Fact::Known(Level::Multiple),
        Ok(TopologyLevel::HostBridge) => Fact::Known(Level::Hostbridge),
        Ok(TopologyLevel::Node) => Fact::Known(Level::Node),
        Ok(TopologyLevel::System) => Fact::Known(Level::System),
        Err(error) => unknown("nvmlDeviceGetTopologyCommonAncestor", &error),
    }
}
