//! Where devices are: their rank, and the choices that satisfy a `place`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::maximal_cliques::maximal_cliques;
use petgraph::graph::{NodeIndex, UnGraph};

use super::Device;
use crate::policy::{Line, Place};
use crate::topology::{Fact, Link, Topology};

/// More slots than this are not written into a plan.
pub(super) const MOST_SLOTS: usize = 4096;

/// Further away than any level that NVML names.
const UNKNOWN_LEVEL: u32 = 6;

/// How the GPUs of a host are joined.
pub(super) struct Fabric<'a> {
    links: BTreeMap<[u32; 2], &'a Link>,
}

/// More than [`MOST_SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// The most devices that a line can give together.
pub(super) fn most(devices: &[Device], slots: Option<&[Vec<u32>]>) -> usize {
    slots.map_or(devices.len(), |slots| slots.iter().map(Vec::len).max().unwrap_or(0))
}

impl<'a> Fabric<'a> {
    pub(super) fn of(topology: &'a Topology) -> Self {
        Self { links: topology.links.iter().map(|link| (link.gpus, link)).collect() }
    }

    /// Orders devices that came by index.
    pub(super) fn rank(&self, devices: Vec<Device<'a>>, place: Place) -> Vec<Device<'a>> {
        match place {
            Place::Any | Place::Nvlink | Place::SameNuma => devices,
            Place::Packed => self.pack(devices),
            Place::Spread => spread(devices),
        }
    }

    /// The subsets of 1 to `at-most` devices that satisfy the line's `place`, by size, best first.
    ///
    /// `None` when the condition excludes nothing, and for lines without one.
    pub(super) fn slots(&self, line: &Line, devices: &[Device]) -> Result<Option<Vec<Vec<u32>>>, TooMany> {
        let groups = match line.place {
            Place::Nvlink => self.cliques(devices),
            Place::SameNuma => nodes(devices),
            Place::Any | Place::Packed | Place::Spread => return Ok(None),
        };
        let at_most = line.at_most.of(devices.len());
        if at_most <= 1 || groups.iter().any(|group| group.len() == devices.len()) {
            return Ok(None);
        }
        let mut slots = BTreeSet::new();
        for group in &groups {
            extend(group, at_most, &mut Vec::new(), &mut slots)?;
        }
        let mut slots: Vec<Vec<u32>> = slots.into_iter().collect();
        slots.sort_by_cached_key(|slot| self.worth(slot, devices));
        Ok(Some(slots))
    }

    /// The largest groups in which each pair is joined by NVLink, as ascending positions. A MIG device has no NVLink.
    fn cliques(&self, devices: &[Device]) -> Vec<Vec<u32>> {
        let mut graph = UnGraph::<u32, ()>::default();
        let nodes: Vec<(NodeIndex, &Device)> =
            (0u32..).zip(devices).map(|(at, device)| (graph.add_node(at), device)).collect();
        for (at, (a, one)) in nodes.iter().enumerate() {
            for (b, other) in nodes.iter().skip(at + 1) {
                if self.nvlinks(one, other) > 0 {
                    graph.add_edge(*a, *b, ());
                }
            }
        }
        let positions = |clique: BTreeSet<NodeIndex>| {
            clique.into_iter().filter_map(|node| graph.node_weight(node).copied()).collect()
        };
        let cliques = maximal_cliques(&graph).into_iter().map(|clique| clique.into_iter().collect());
        cliques.map(positions).collect()
    }

    /// Smaller is better: size, then more NVLinks, then nearer levels, then lower ranks.
    fn worth(&self, slot: &[u32], devices: &[Device]) -> (usize, Reverse<u32>, u32, Vec<u32>) {
        let members: Vec<&Device> =
            slot.iter().filter_map(|at| devices.get(usize::try_from(*at).ok()?)).collect();
        let (mut nvlinks, mut level) = (0u32, 0u32);
        for (at, one) in members.iter().enumerate() {
            for other in members.iter().skip(at + 1) {
                nvlinks = nvlinks.saturating_add(self.nvlinks(one, other));
                level += self.level(one, other);
            }
        }
        (slot.len(), Reverse(nvlinks), level, slot.to_vec())
    }

    /// Why it is unknown whether NVLink joins two of the devices: each reason once, with the first two GPUs of it.
    pub(super) fn unknown_nvlinks(&self, devices: &[Device]) -> BTreeMap<&'a str, [u32; 2]> {
        let gpus: BTreeSet<u32> =
            devices.iter().filter(|device| device.mig.is_none()).map(|device| device.gpu.index).collect();
        let mut unknown = BTreeMap::new();
        for (pair, link) in &self.links {
            if let (Fact::Unknown(why), true) = (&link.nvlinks, pair.iter().all(|gpu| gpus.contains(gpu))) {
                unknown.entry(why.as_str()).or_insert(*pair);
            }
        }
        unknown
    }

    fn link(&self, a: &Device, b: &Device) -> Option<&'a Link> {
        let (a, b) = (a.gpu.index, b.gpu.index);
        self.links.get(&[a.min(b), a.max(b)]).copied()
    }

    fn nvlinks(&self, a: &Device, b: &Device) -> u32 {
        if a.mig.is_some() || b.mig.is_some() {
            return 0;
        }
        self.link(a, b).and_then(|link| link.nvlinks.known().copied()).unwrap_or(0)
    }

    fn level(&self, a: &Device, b: &Device) -> u32 {
        if a.gpu.index == b.gpu.index {
            return 0;
        }
        let level = self.link(a, b).and_then(|link| link.level.known());
        level.map_or(UNKNOWN_LEVEL, |level| *level as u32)
    }

    /// A walk that goes on with the device nearest to the last one, so that neighbours stand side by side.
    fn pack(&self, mut left: Vec<Device<'a>>) -> Vec<Device<'a>> {
        let mut ranked: Vec<Device> = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let distance = |device: &Device| {
                let near = |last: &Device| {
                    (Reverse(self.nvlinks(last, device)), !same_node(last, device), self.level(last, device))
                };
                (ranked.last().map(near), device.key())
            };
            let next = left.iter().enumerate().min_by_key(|(_, device)| distance(device));
            let at = next.map_or(0, |(at, _)| at);
            ranked.push(left.remove(at));
        }
        ranked
    }
}

/// Takes one device of each NUMA node in turn.
fn spread(devices: Vec<Device>) -> Vec<Device> {
    let mut turns: BTreeMap<(usize, Vec<u32>), Device> = BTreeMap::new();
    let mut taken: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
    let mut ranked = Vec::with_capacity(devices.len());
    for device in devices {
        let node = numa(&device);
        let turn = taken.entry(node.clone()).or_default();
        if turns.insert((*turn, node), device).is_none() {
            *turn += 1;
        }
    }
    ranked.extend(turns.into_values());
    ranked
}

/// The devices of each NUMA node, as ascending positions.
fn nodes(devices: &[Device]) -> Vec<Vec<u32>> {
    let mut nodes: BTreeMap<Option<u32>, Vec<u32>> = BTreeMap::new();
    for (at, device) in (0u32..).zip(devices) {
        let near = numa(device);
        if near.is_empty() {
            nodes.entry(None).or_default().push(at);
        }
        for node in near {
            nodes.entry(Some(node)).or_default().push(at);
        }
    }
    nodes.into_values().collect()
}

/// NUMA nodes near a device; none on a host without NUMA.
fn numa(device: &Device) -> Vec<u32> {
    device.gpu.numa.known().cloned().unwrap_or_default()
}

fn same_node(a: &Device, b: &Device) -> bool {
    let (a, b) = (numa(a), numa(b));
    a == b || a.iter().any(|node| b.contains(node))
}

fn extend(
    group: &[u32],
    at_most: u32,
    slot: &mut Vec<u32>,
    slots: &mut BTreeSet<Vec<u32>>,
) -> Result<(), TooMany> {
    let room = u32::try_from(slot.len()).is_ok_and(|size| size < at_most);
    if !room {
        return Ok(());
    }
    for (at, next) in group.iter().enumerate() {
        slot.push(*next);
        slots.insert(slot.clone());
        if slots.len() > MOST_SLOTS {
            return Err(TooMany);
        }
        extend(group.get(at + 1..).unwrap_or_default(), at_most, slot, slots)?;
        slot.pop();
    }
    Ok(())
}
