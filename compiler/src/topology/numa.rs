//! The NUMA nodes of a host, and how far they are from each other.

use serde::{Deserialize, Serialize};

/// One NUMA node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NumaNode {
    /// Its number; not every number below it need be that of a node.
    pub node: u32,
    /// How far it is from each node, in their order: 10 from itself, as the firmware says.
    pub distances: Vec<u32>,
}

/// How far two nodes of a host are from each other: the longer of both ways.
#[must_use]
pub fn distance(nodes: &[NumaNode], one: u32, other: u32) -> Option<u32> {
    let place = |number: u32| nodes.iter().position(|node| node.node == number);
    let (one, other) = (place(one)?, place(other)?);
    let way = |from: usize, to: usize| nodes.get(from)?.distances.get(to).copied();
    way(one, other).max(way(other, one))
}
