//! How GPUs are joined.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::{P2pCapabilitiesIndex, P2pStatus, TopologyLevel};
use nvml_wrapper::error::NvmlError;

use super::answer::Answers;
use super::gpu::{Found, pci_address};
use super::nvidia::Sources;
use super::watch::{self, silence};
use super::{raw, unknown};
use crate::topology::{Fact, Level, Link, P2p};

/// More links than any GPU has: NVML has no call for their number and answers `InvalidArg` after the last.
const MAX_LINKS: u32 = 64;

/// The NVLink links of one GPU that are up.
#[derive(Default)]
pub(super) struct Up {
    /// To what is no switch, by its PCI address.
    direct: BTreeMap<String, u32>,
    /// To switches.
    switched: u32,
    /// Of those in `direct`, what may yet be switches, and why nobody knows.
    doubtful: BTreeMap<String, String>,
    /// Why these are not all: a link that cannot be asked for may lead to any GPU.
    unknown: Option<String>,
}

/// How near two GPUs are, and whether they reach each other's memory.
type Relation = (Fact<Level>, Fact<P2p>);

/// The links of the GPU `index` that are up.
pub(super) fn up(answers: &Answers<'_>, index: u32) -> Up {
    let mut up = Up::default();
    let why = |call: &str, error: &NvmlError| {
        let _: Fact<()> = answers.unknown(call, error);
        Some(format!("{call} of GPU {index}: {error}"))
    };
    for number in 0..MAX_LINKS {
        let link = answers.device.link_wrapper_for(number);
        match link.is_active() {
            Ok(true) => {}
            Err(NvmlError::InvalidArg) => break,
            Ok(false) | Err(NvmlError::NotSupported) => continue,
            Err(error) => {
                up.unknown = why("nvmlDeviceGetNvLinkState", &error);
                break;
            }
        }
        let is_switch = raw::leads_to_switch(answers.nvml, answers.device, number);
        if let Ok(true) = is_switch {
            up.switched = up.switched.saturating_add(1);
            continue;
        }
        let far = link.remote_pci_info().map(|far| pci_address(&far.bus_id).unwrap_or(far.bus_id));
        match far {
            Err(error) => up.unknown = why("nvmlDeviceGetNvLinkRemotePciInfo_v2", &error),
            Ok(address) => {
                if let Err(error) = is_switch {
                    let why = why("nvmlDeviceGetNvLinkRemoteDeviceType", &error);
                    up.doubtful.extend(why.map(|why| (address.clone(), why)));
                }
                let count = up.direct.entry(address).or_default();
                *count = count.saturating_add(1);
            }
        }
    }
    up
}

impl Up {
    /// Why it is not known to whom all of these lead: what is at the address of a GPU is no switch.
    fn doubt(&self, found: &[Found]) -> Option<&String> {
        let is_gpu = |address: &String| found.iter().any(|(gpu, _)| gpu.pci.known() == Some(address));
        let doubt = self.doubtful.iter().find(|(address, _)| !is_gpu(address)).map(|(_, why)| why);
        self.unknown.as_ref().or(doubt)
    }
}

/// One for each pair of `found`.
pub(super) fn all(sources: &Arc<Sources>, found: &[Found], patience: Duration) -> Vec<Link> {
    let indices: Vec<u32> = found.iter().map(|(gpu, _)| gpu.index).collect();
    let doubts: Vec<Option<&String>> = found.iter().map(|(_, up)| up.doubt(found)).collect();
    let ask = |(position, first): (usize, &u32)| {
        let (sources, first) = (Arc::clone(sources), *first);
        let others = indices.iter().skip(position.saturating_add(1)).copied().collect();
        watch::ask(move || relations(&sources, first, others))
    };
    let asked: Vec<_> = indices.iter().enumerate().map(ask).collect();
    let deadline = watch::deadline(patience);
    let mut links = Vec::new();
    for ((position, (first, from)), pending) in found.iter().enumerate().zip(asked) {
        let mut relations = pending.until(deadline).unwrap_or_default().into_iter();
        for ((second, to), doubt) in found.iter().zip(&doubts).skip(position.saturating_add(1)) {
            let silent = || (Fact::Unknown(silence(patience)), Fact::Unknown(silence(patience)));
            let (level, p2p) = relations.next().unwrap_or_else(silent);
            let doubt = doubts.get(position).copied().flatten().or(*doubt);
            let nvlinks = doubt.map_or_else(
                || Fact::Known(nvlinks(from, second.pci.known(), to)),
                |why| Fact::Unknown(why.clone()),
            );
            links.push(Link { gpus: [first.index, second.index], nvlinks, xgmi: 0, p2p, level });
        }
    }
    links
}

/// The links to `second` itself, and those through switches: all GPUs with links to a switch reach each other, by as
/// many links as the one with fewer has.
fn nvlinks(from: &Up, second: Option<&String>, to: &Up) -> u32 {
    let direct = second.and_then(|second| from.direct.get(second)).copied().unwrap_or_default();
    direct.saturating_add(from.switched.min(to.switched))
}

fn relations(sources: &Sources, first: u32, others: Vec<u32>) -> Vec<Relation> {
    let device = |index| sources.nvml.device_by_index(index);
    let relation = |second| match (device(first), device(second)) {
        (Ok(first), Ok(second)) => (level(sources, &first, &second), p2p(&first, &second)),
        (Err(error), _) | (_, Err(error)) => {
            const CALL: &str = "nvmlDeviceGetHandleByIndex_v2";
            (unknown(CALL, &error), unknown(CALL, &error))
        }
    };
    others.into_iter().map(relation).collect()
}

fn level(sources: &Sources, first: &Device<'_>, second: &Device<'_>) -> Fact<Level> {
    match sources.nvml.topology_common_ancestor(first, second) {
        Ok(TopologyLevel::Internal) => Fact::Known(Level::Internal),
        Ok(TopologyLevel::Single) => Fact::Known(Level::Single),
        Ok(TopologyLevel::Multiple) => Fact::Known(Level::Multiple),
        Ok(TopologyLevel::HostBridge) => Fact::Known(Level::Hostbridge),
        Ok(TopologyLevel::Node) => Fact::Known(Level::Node),
        Ok(TopologyLevel::System) => Fact::Known(Level::System),
        Err(error) => unknown("nvmlDeviceGetTopologyCommonAncestor", &error),
    }
}

/// Reading and writing may differ; what is worse counts.
fn p2p(first: &Device<'_>, second: &Device<'_>) -> Fact<P2p> {
    let ask = |index| match first.p2p_status(second, index) {
        Ok(P2pStatus::Ok) => Fact::Known(P2p::Ok),
        Ok(P2pStatus::ChipsetNotSupported) => Fact::Known(P2p::ChipsetNotSupported),
        Ok(P2pStatus::GpuNotSupported) => Fact::Known(P2p::GpuNotSupported),
        Ok(P2pStatus::IohTopologyNotSupported) => Fact::Known(P2p::TopologyNotSupported),
        Ok(P2pStatus::DisabledByRegkey) => Fact::Known(P2p::DisabledByRegkey),
        Ok(P2pStatus::NotSupported) => Fact::Known(P2p::NotSupported),
        Ok(P2pStatus::Unknown) => Fact::unknown("nvmlDeviceGetP2PStatus: NVML does not know it"),
        Err(error) => unknown("nvmlDeviceGetP2PStatus", &error),
    };
    match ask(P2pCapabilitiesIndex::Read) {
        Fact::Known(P2p::Ok) => ask(P2pCapabilitiesIndex::Write),
        other => other,
    }
}
