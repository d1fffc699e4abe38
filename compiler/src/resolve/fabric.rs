//! How the devices of a host are joined, as a graph, and which groups of them are best for a wish.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::{NodeIndex, UnGraph};

use super::Device;
use crate::topology::{Fact, Level, Link, NumaNode, Topology, numa as nodes};

/// Further away than any level that is named.
const UNKNOWN_LEVEL: u32 = Level::System as u32 + 1;

/// How far two NUMA nodes are from each other, at least, of which nobody says so: the kernel takes this as well.
const REMOTE: u32 = 20;

/// What joins the GPUs of a host: its nodes are GPUs, each edge is what is known of a pair.
pub(super) struct Fabric<'a> {
    graph: UnGraph<u32, &'a Link>,
    /// By their indices.
    gpus: BTreeMap<u32, NodeIndex>,
    nodes: &'a [NumaNode],
    /// How far two NUMA nodes are from each other of which nobody says so: as far as any.
    farthest: u32,
    /// How many groups may still be found for all lines together.
    left: Cell<usize>,
}

/// So many groups are written down for all lines of a host together, or half as many looked for.
pub(super) const MOST_IN_ALL: usize = 1 << 22;
/// To find a group takes about twice as long as to write it down.
const COST: usize = 2;
/// So many pairs of devices take about as long to look at as a group to write down.
const PAIRS_A_GROUP: usize = 8;

/// What makes one group of devices better than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Near each other: by many links of their own, on one NUMA node or near ones, below one switch.
    Near,
    /// The same, and each pair has links of its own.
    Joined,
    /// The same, and all are near one NUMA node; on a host without NUMA all are.
    OneNode,
    /// Far from each other: on NUMA nodes far apart, without a common switch.
    Far,
}

/// More groups than were to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// What is to be said of a pair, and in sum of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ties {
    /// Links of their own.
    links: u32,
    /// How far their NUMA nodes are from each other, nothing where they share one.
    apart: u32,
    /// PCI levels between them.
    levels: u32,
}

/// Smaller is better; of equals the one with the lower ranks.
type Cost = (Reverse<u32>, Reverse<u32>, u32, u32);

impl Ties {
    fn plus(self, other: Self) -> Self {
        Self {
            links: self.links.saturating_add(other.links),
            apart: self.apart.saturating_add(other.apart),
            levels: self.levels.saturating_add(other.levels),
        }
    }

    /// How much a group with these ties costs.
    pub(super) fn cost(self, wish: Wish) -> Cost {
        match wish {
            Wish::Near | Wish::Joined | Wish::OneNode => {
                (Reverse(self.links), Reverse(0), self.apart, self.levels)
            }
            Wish::Far => (Reverse(self.apart), Reverse(self.levels), self.links, 0),
        }
    }
}

impl<'a> Fabric<'a> {
    pub(super) fn of(topology: &'a Topology) -> Self {
        let mut graph = UnGraph::default();
        let gpus: BTreeMap<u32, NodeIndex> =
            topology.gpus.iter().map(|gpu| (gpu.index, graph.add_node(gpu.index))).collect();
        for link in &topology.links {
            if let [Some(one), Some(other)] = link.gpus.map(|index| gpus.get(&index)) {
                graph.update_edge(*one, *other, link);
            }
        }
        let nodes = topology.numa_nodes.known().map(Vec::as_slice).unwrap_or_default();
        let distances = nodes.iter().flat_map(|node| node.distances.iter().copied());
        Self { graph, gpus, nodes, farthest: distances.fold(REMOTE, u32::max), left: Cell::new(MOST_IN_ALL) }
    }

    /// What ties two devices. A MIG device has no links of its own; those of one GPU are as near as can be.
    pub(super) fn ties(&self, a: &Device, b: &Device) -> Ties {
        let apart = self.apart(a, b);
        if a.gpu.index == b.gpu.index {
            return Ties { links: 0, apart, levels: 0 };
        }
        let link = self.link(a, b);
        let is_whole = a.mig.is_none() && b.mig.is_none();
        let level = link.and_then(|link| link.level.known());
        Ties {
            links: link.filter(|_| is_whole).map_or(0, Link::direct),
            apart,
            levels: level.map_or(UNKNOWN_LEVEL, |level| *level as u32),
        }
    }

    /// How far the nearest NUMA nodes of two devices are from each other, nothing if they share one.
    fn apart(&self, a: &Device, b: &Device) -> u32 {
        if share_node(a, b) {
            return 0;
        }
        let pairs = numa(a).iter().flat_map(|one| numa(b).iter().map(|other| (*one, *other)));
        let distances = pairs.filter_map(|(one, other)| nodes::distance(self.nodes, one, other));
        distances.min().unwrap_or(self.farthest)
    }

    /// Why it is unknown whether links of their own join two of the devices: each reason once, with the first two GPUs of
    /// it.
    pub(super) fn unknown_nvlinks(&self, devices: &[Device]) -> BTreeMap<&'a str, [u32; 2]> {
        let gpus: BTreeSet<u32> =
            devices.iter().filter(|device| device.mig.is_none()).map(|device| device.gpu.index).collect();
        let mut links: Vec<&'a Link> = self.graph.edge_weights().copied().collect();
        links.sort_by_key(|link| link.gpus);
        let mut unknown = BTreeMap::new();
        for link in links {
            if let (Fact::Unknown(why), true) =
                (&link.nvlinks, link.gpus.iter().all(|gpu| gpus.contains(gpu)))
            {
                unknown.entry(why.as_str()).or_insert(link.gpus);
            }
        }
        unknown
    }

    /// So many groups were written down.
    ///
    /// # Errors
    /// If these are all that there may be.
    pub(super) fn spend(&self, groups: usize) -> Result<(), TooMany> {
        self.left.set(self.left.get().saturating_sub(groups));
        if self.is_spent() { Err(TooMany) } else { Ok(()) }
    }

    /// Whether no more groups are looked at.
    pub(super) fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    fn link(&self, a: &Device, b: &Device) -> Option<&'a Link> {
        let [a, b] = [a, b].map(|device| self.gpus.get(&device.gpu.index).copied());
        self.graph.find_edge(a?, b?).and_then(|edge| self.graph.edge_weight(edge).copied())
    }

    /// Every group of `size` devices that fulfils the wish's condition, as ascending positions in `devices`, best first.
    ///
    /// # Errors
    /// When there are more than `most`.
    pub(super) fn groups(
        &self,
        devices: &[Device],
        size: usize,
        wish: Wish,
        most: usize,
    ) -> Result<Vec<Vec<u32>>, TooMany> {
        self.spend(devices.len() * devices.len() / PAIRS_A_GROUP)?;
        let most = most.min(self.left.get() / COST);
        let of = |one: &Device| devices.iter().map(|other| self.ties(one, other)).collect();
        let search = Search { devices, ties: devices.iter().map(of).collect(), size, wish, most };
        let mut found = Vec::new();
        let all = search.extend(&mut Vec::new(), Ties::default(), &mut found);
        let spent = self.spend(found.len() * COST);
        all.and(spent)?;
        found.sort_by(|(one, a), (other, b)| one.cmp(other).then_with(|| a.cmp(b)));
        Ok(found.into_iter().map(|(_, group)| group).collect())
    }
}

/// A walk through all groups.
struct Search<'d> {
    devices: &'d [Device<'d>],
    /// Of each pair.
    ties: Vec<Vec<Ties>>,
    size: usize,
    wish: Wish,
    most: usize,
}

impl Search<'_> {
    /// Extends a group by each device behind its last one.
    fn extend(
        &self,
        group: &mut Vec<u32>,
        ties: Ties,
        found: &mut Vec<(Cost, Vec<u32>)>,
    ) -> Result<(), TooMany> {
        if group.len() == self.size {
            found.push((ties.cost(self.wish), group.clone()));
            return if found.len() > self.most { Err(TooMany) } else { Ok(()) };
        }
        let first = group.last().map_or(0, |last| last.saturating_add(1));
        // Behind these there are too few left to fill the group.
        let spare = self.ties.len().saturating_add(group.len()).saturating_add(1).saturating_sub(self.size);
        for (next, own) in (0u32..).zip(&self.ties).take(spare).skip(index(first)) {
            let ties_of = |at: &u32| own.get(index(*at)).copied().unwrap_or_default();
            if self.wish == Wish::Joined && group.iter().any(|at| ties_of(at).links == 0) {
                continue;
            }
            let sum = group.iter().map(ties_of).fold(ties, Ties::plus);
            group.push(next);
            if self.wish != Wish::OneNode || self.is_on_one_node(group) {
                self.extend(group, sum, found)?;
            }
            group.pop();
        }
        Ok(())
    }

    fn is_on_one_node(&self, group: &[u32]) -> bool {
        let mut members = group.iter().filter_map(|at| self.devices.get(index(*at)));
        let Some(first) = members.next() else { return true };
        let mut shared = numa(first).to_vec();
        let mut nowhere = shared.is_empty();
        for member in members {
            shared.retain(|node| numa(member).contains(node));
            nowhere = nowhere && numa(member).is_empty();
        }
        nowhere || !shared.is_empty()
    }
}

fn index(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// NUMA nodes near a device; none on a host without NUMA.
pub(super) fn numa<'d>(device: &Device<'d>) -> &'d [u32] {
    device.gpu.numa.known().map(Vec::as_slice).unwrap_or_default()
}

fn share_node(a: &Device, b: &Device) -> bool {
    let (a, b) = (numa(a), numa(b));
    a == b || a.iter().any(|node| b.contains(node))
}

#[cfg(test)]
mod tests;
