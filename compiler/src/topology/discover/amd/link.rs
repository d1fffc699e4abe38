//! How AMD's GPUs are joined: by XGMI within a hive, else by PCIe.

use gpupol_plan::kfd;

use super::{Found, NODES, Root};
use crate::topology::discover::pcie;
use crate::topology::{Fact, Level, Link, P2p};

/// KFD's kind of a link that is XGMI.
const XGMI: &str = "11";

/// One for each pair of `found`.
pub(super) fn all(root: &Root, found: &[Found]) -> Vec<Link> {
    let mut links = Vec::new();
    for (position, one) in found.iter().enumerate() {
        for other in found.iter().skip(position.saturating_add(1)) {
            let xgmi = xgmi(root, one, other).max(xgmi(root, other, one));
            links.push(Link {
                gpus: [one.gpu.index, other.gpu.index],
                nvlinks: Fact::Absent,
                xgmi,
                p2p: p2p(root, one, other, xgmi),
                level: level(root, one, other),
            });
        }
    }
    links
}

/// How many links lead from one to the other: the greatest bandwidth in units of the least, which is that of one. In a
/// hive everyone reaches everyone, so two of one hive have at least one.
fn xgmi(root: &Root, from: &Found, to: &Found) -> u32 {
    let links = leading(root, &directory(from, "io_links"), to);
    let is_xgmi = |text: &&String| kfd::value(text, "type") == Some(XGMI);
    let count = links.iter().filter(is_xgmi).map(|text| lanes(text)).max().unwrap_or(0);
    if count == 0 && hive(from).is_some() && hive(from) == hive(to) { 1 } else { count }
}

/// Whether they reach each other's memory: always by XGMI; by PCIe if the kernel, since 6.0, lists a link of that kind.
fn p2p(root: &Root, one: &Found, other: &Found, xgmi: u32) -> Fact<P2p> {
    let lists = [one, other].map(|found| directory(found, "p2p_links"));
    if xgmi > 0 {
        return Fact::Known(P2p::Ok);
    }
    if let Some(silent) = lists.iter().find(|list| !root.has(list)) {
        return Fact::Unknown(format!("`{silent}`: no such directory"));
    }
    let [from, to] = &lists;
    let reach = !leading(root, from, other).is_empty() && !leading(root, to, one).is_empty();
    Fact::Known(if reach { P2p::Ok } else { P2p::NotSupported })
}

fn directory(found: &Found, kind: &str) -> String {
    format!("{NODES}/{}/{kind}", found.node.node)
}

/// What is said of each link in the directory `links` that leads to a GPU.
fn leading(root: &Root, links: &str, to: &Found) -> Vec<String> {
    let read = |link: String| root.text(&format!("{links}/{link}/properties")).ok();
    let node = to.node.node.to_string();
    let leads = |text: &String| kfd::value(text, "node_to") == Some(node.as_str());
    root.names(links).into_iter().filter_map(read).filter(leads).collect()
}

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
fn level(root: &Root, one: &Found, other: &Found) -> Fact<Level> {
    if one.node.pci == other.node.pci {
        return Fact::Known(Level::Internal);
    }
    let same_node = one.gpu.numa == other.gpu.numa;
    pcie::level(root, &one.node.pci, &other.node.pci, same_node)
}
