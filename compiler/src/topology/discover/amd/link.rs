//! How AMD's GPUs are joined: by XGMI within a hive, else by PCIe.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::kfd;

use super::{Found, NODES, Root};
use crate::topology::discover::{DiscoverError, pcie};
use crate::topology::{Fact, Level, Link, P2p};

/// KFD's kind of a link that is XGMI.
const XGMI: &str = "11";

/// What is said of the ways from one GPU to others.
struct Ways {
    /// XGMI links, by the KFD node to which they lead.
    xgmi: BTreeMap<u32, u32>,
    /// The nodes whose memory it reaches by PCIe, or why nobody knows.
    reached: Result<BTreeSet<u32>, String>,
    /// Where its board is.
    path: pcie::Path,
}

/// One for each pair of `found`.
pub(super) fn all(root: &Root, found: &[Found]) -> Result<Vec<Link>, DiscoverError> {
    let places: Result<Vec<(&Found, Ways)>, DiscoverError> =
        found.iter().map(|found| Ok((found, ways(root, found)?))).collect();
    let places = places?;
    let mut links = Vec::new();
    for (position, one) in places.iter().enumerate() {
        for other in places.iter().skip(position.saturating_add(1)) {
            let xgmi = xgmi(one, other).max(xgmi(other, one));
            links.push(Link {
                gpus: [one.0.gpu.index, other.0.gpu.index],
                nvlinks: Fact::Absent,
                xgmi,
                p2p: p2p(one, other, xgmi),
                level: level(one, other),
            });
        }
    }
    Ok(links)
}

fn ways(root: &Root, from: &Found) -> Result<Ways, DiscoverError> {
    let directory = |kind: &str| format!("{NODES}/{}/{kind}", from.node.node);
    let mut xgmi = BTreeMap::new();
    for text in leading(root, &directory("io_links"))? {
        if let (Some(XGMI), Some(to)) = (kfd::value(&text, "type"), to(&text)) {
            let most: &mut u32 = xgmi.entry(to).or_default();
            *most = lanes(&text).max(*most);
        }
    }
    let list = directory("p2p_links");
    let reached = if root.has(&list) {
        Ok(leading(root, &list)?.iter().filter_map(|text| to(text)).collect())
    } else {
        Err(format!("`{list}`: no such directory"))
    };
    Ok(Ways { xgmi, reached, path: pcie::path(root, &from.node.pci) })
}

/// What is said of each link in the directory `links`.
fn leading(root: &Root, links: &str) -> Result<Vec<String>, DiscoverError> {
    let read = |link: String| root.text(&format!("{links}/{link}/properties")).ok();
    Ok(root.names(links)?.into_iter().filter_map(read).collect())
}

fn to(text: &str) -> Option<u32> {
    kfd::value(text, "node_to")?.parse().ok()
}

/// How many links lead from one to the other. In a hive everyone reaches everyone, so two of one hive have at least one.
fn xgmi((from, ways): &(&Found, Ways), (to, _): &(&Found, Ways)) -> u32 {
    let count = ways.xgmi.get(&to.node.node).copied().unwrap_or(0);
    if count == 0 && hive(from).is_some() && hive(from) == hive(to) { 1 } else { count }
}

/// Whether they reach each other's memory: always by XGMI; by PCIe if the kernel, since 6.0, lists a link of that kind
/// both ways.
fn p2p((one, from): &(&Found, Ways), (other, to): &(&Found, Ways), xgmi: u32) -> Fact<P2p> {
    if xgmi > 0 {
        return Fact::Known(P2p::Ok);
    }
    match (&from.reached, &to.reached) {
        (Err(why), _) | (_, Err(why)) => Fact::Unknown(why.clone()),
        (Ok(from), Ok(to)) if from.contains(&other.node.node) && to.contains(&one.node.node) => {
            Fact::Known(P2p::Ok)
        }
        (Ok(_), Ok(_)) => Fact::Known(P2p::NotSupported),
    }
}

/// The greatest bandwidth in units of the least, which is that of one link.
fn lanes(text: &str) -> u32 {
    let number = |name: &str| kfd::value(text, name).and_then(|value| value.parse::<u32>().ok());
    let lanes =
        number("max_bandwidth").zip(number("min_bandwidth")).and_then(|(max, min)| max.checked_div(min));
    lanes.unwrap_or(1).max(1)
}

fn hive(found: &Found) -> Option<&str> {
    kfd::value(&found.properties, "hive_id").filter(|id| *id != "0")
}

/// Parts of one board are nearer than any PCIe switch.
fn level((one, from): &(&Found, Ways), (other, to): &(&Found, Ways)) -> Fact<Level> {
    if one.node.pci == other.node.pci {
        return Fact::Known(Level::Internal);
    }
    pcie::level(&from.path, &to.path, one.gpu.numa == other.gpu.numa)
}
