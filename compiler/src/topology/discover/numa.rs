//! The NUMA nodes of the host, and which of them are near a device.

use super::kernel;
use super::root::Root;
use crate::topology::{Fact, NumaNode};

/// Where the kernel lists its nodes, each in a directory called by its number.
const NODES: &str = "/sys/devices/system/node";

/// A kernel can have 1,024; of more the rest is not looked at.
const MOST: usize = 1024;

/// All nodes. A kernel without NUMA has no such directory.
pub(super) fn nodes(root: &Root) -> Fact<Vec<NumaNode>> {
    if !root.has(NODES) {
        return Fact::Absent;
    }
    let named = |name: String| name.strip_prefix("node")?.parse().ok();
    let names = match root.names(NODES) {
        Ok(names) => names,
        Err(why) => return Fact::Unknown(why.to_string()),
    };
    let mut numbers: Vec<u32> = names.into_iter().filter_map(named).take(MOST).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let nodes: Result<Vec<NumaNode>, String> =
        numbers.iter().map(|number| node(root, *number, numbers.len())).collect();
    nodes.map_or_else(Fact::Unknown, Fact::Known)
}

/// The node `node` of `count`.
fn node(root: &Root, node: u32, count: usize) -> Result<NumaNode, String> {
    let path = format!("{NODES}/node{node}/distance");
    let text = kernel::line(root, &path)?;
    let distances: Option<Vec<u32>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    let distances = distances.filter(|distances| distances.len() == count);
    let distances =
        distances.ok_or_else(|| format!("`{path}` does not hold a distance for each of {count} nodes"))?;
    Ok(NumaNode { node, distances })
}

/// The NUMA nodes near the PCI device at `pci`; the kernel writes -1 for none.
pub(super) fn near(root: &Root, pci: &str) -> Fact<Vec<u32>> {
    let path = format!("/sys/bus/pci/devices/{pci}/numa_node");
    match kernel::line(root, &path) {
        Err(reason) => Fact::Unknown(reason),
        Ok(text) if text == "-1" => Fact::Absent,
        Ok(text) => text
            .parse()
            .map_or_else(|_| Fact::Unknown(kernel::holds(&path, &text)), |node| Fact::Known(vec![node])),
    }
}
