//! Every group against a brute force that says the definitions again.

use std::cmp::Reverse;

use super::*;
use crate::topology::read::read;
use crate::topology::{Fact, Gpu, NumaNode, Topology};

const HOST: &str = include_str!("../../../../examples/topologies/l4-8x-pcie.json");
const HOSTS: u32 = 60;

/// Numbers that are the same on every run.
struct Made(u64);

impl Made {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Up to seven GPUs, joined and placed at random; of some pairs and nodes nothing is known.
fn host(made: &mut Made) -> Topology {
    let mut host = read("host", HOST).unwrap();
    let count = 2 + made.below(6);
    host.gpus.retain(|gpu| gpu.index < count);
    host.links.retain(|link| link.gpus[1] < count && made.below(8) > 0);
    for gpu in &mut host.gpus {
        gpu.numa = match made.below(6) {
            0 => Fact::Absent,
            1 => Fact::Known(vec![0, 1]),
            node => Fact::Known(vec![node % 3]),
        };
    }
    host.numa_nodes = match made.below(3) {
        0 => Fact::unknown("nobody asked"),
        nodes => Fact::Known((0..=nodes).map(|node| numa_node(node, nodes, made)).collect()),
    };
    let levels = [Level::Single, Level::Multiple, Level::Hostbridge, Level::Node, Level::System];
    for link in &mut host.links {
        link.nvlinks = Fact::Known(made.below(3) * 4);
        link.level = match made.below(6) {
            0 => Fact::unknown("nobody asked"),
            level => Fact::Known(levels[level as usize - 1]),
        };
    }
    host
}

/// The node `node` of those up to `last`.
fn numa_node(node: u32, last: u32, made: &mut Made) -> NumaNode {
    let distance = |other| if other == node { 10 } else { 11 + made.below(30) };
    NumaNode { node, distances: (0..=last).map(distance).collect() }
}

fn devices(host: &Topology) -> Vec<Device<'_>> {
    fn whole(gpu: &Gpu) -> Device<'_> {
        Device { gpu, minor: *gpu.minor.known().unwrap(), pci: gpu.pci.known().unwrap(), mig: None }
    }
    host.gpus.iter().map(whole).collect()
}

/// What the definitions ask of a pair: links, how far their nodes are from each other, level.
fn pair(host: &Topology, one: u32, other: u32) -> (u32, u32, u32) {
    let link = host.links.iter().find(|link| link.gpus == [one.min(other), one.max(other)]);
    let level = link.and_then(|link| link.level.known().copied()).map_or(6, |level| level as u32);
    (link.map_or(0, |link| link.nvlinks.known().unwrap() + link.xgmi), apart(host, one, other), level)
}

fn apart(host: &Topology, one: u32, other: u32) -> u32 {
    let nodes = |gpu: u32| host.gpus[gpu as usize].numa.known().cloned().unwrap_or_default();
    let (one, other) = (nodes(one), nodes(other));
    if one == other || one.iter().any(|node| other.contains(node)) {
        return 0;
    }
    let table = host.numa_nodes.known().cloned().unwrap_or_default();
    let way = |from: u32, to: u32| table.get(from as usize).and_then(|row| row.distances.get(to as usize));
    let ways = one.iter().flat_map(|a| other.iter().map(|b| way(*a, *b).max(way(*b, *a))));
    let greatest = table.iter().flat_map(|row| row.distances.clone()).max().unwrap_or(0).max(20);
    ways.flatten().min().copied().unwrap_or(greatest)
}

fn fulfils(host: &Topology, group: &[u32], wish: Wish) -> bool {
    let nodes = |gpu: &u32| host.gpus[*gpu as usize].numa.known().cloned().unwrap_or_default();
    match wish {
        Wish::Near | Wish::Far => true,
        Wish::Joined => group.iter().all(|a| group.iter().all(|b| a == b || pair(host, *a, *b).0 > 0)),
        Wish::OneNode => {
            group.iter().all(|gpu| nodes(gpu).is_empty())
                || (0..3).any(|node| group.iter().all(|gpu| nodes(gpu).contains(&node)))
        }
    }
}

fn by_definition(host: &Topology, size: usize, wish: Wish) -> Vec<Vec<u32>> {
    let count = u32::try_from(host.gpus.len()).unwrap();
    let subset = |bits: u32| (0..count).filter(|gpu| bits & (1 << gpu) != 0).collect::<Vec<u32>>();
    let mut groups: Vec<Vec<u32>> = (0..1u32 << count).map(subset).collect();
    groups.retain(|group| group.len() == size && fulfils(host, group, wish));
    groups.sort_by_key(|group| {
        let pairs = group.iter().flat_map(|a| group.iter().filter(move |b| a < b).map(move |b| (*a, *b)));
        let (mut links, mut apart, mut levels) = (0, 0, 0);
        for (a, b) in pairs {
            let (own, far, level) = pair(host, a, b);
            (links, apart, levels) = (links + own, apart + far, levels + level);
        }
        let near = (Reverse(links), apart, levels);
        let far = (Reverse(apart), Reverse(levels), links);
        if wish == Wish::Far { (Some(far), None, group.clone()) } else { (None, Some(near), group.clone()) }
    });
    groups
}

#[test]
fn groups_are_those_that_the_definitions_give() {
    let mut made = Made(7);
    for _ in 0..HOSTS {
        let host = host(&mut made);
        let (fabric, devices) = (Fabric::of(&host), devices(&host));
        for wish in [Wish::Near, Wish::Joined, Wish::OneNode, Wish::Far] {
            for size in 1..=devices.len() {
                let found = fabric.groups(&devices, size, wish, usize::MAX).unwrap();
                assert_eq!(found, by_definition(&host, size, wish), "{wish:?}, {size} of {:?}", host.links);
            }
        }
    }
}

#[test]
fn more_groups_than_were_to_be_looked_at_are_none() {
    let host = read("host", HOST).unwrap();
    let (fabric, devices) = (Fabric::of(&host), devices(&host));
    assert_eq!(fabric.groups(&devices, 4, Wish::Near, 70).unwrap().len(), 70);
    assert_eq!(fabric.groups(&devices, 4, Wish::Near, 69), Err(TooMany));
}
