//! How many devices each should have so that as many are taken as can be: a maximum flow.
//!
//! Demands that may have the same devices are one node of its network, and devices that the same demands may have are one.
//! It starts from what is taken already: who lacks some gets what is free, or what others give who get something else for it.

use std::collections::BTreeMap;

use petgraph::algo::dinics;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::Want;
use super::serve::Served;
use crate::resolve::positions::Positions;

/// What of each class of devices goes to each class of demands.
pub(super) struct Shares {
    /// The class of each demand.
    of: Vec<usize>,
    /// The class of each device.
    class: BTreeMap<usize, usize>,
    /// The devices of each class.
    alike: Vec<Positions>,
    /// By the class of demands.
    shares: Vec<Share>,
}

/// What is left for demands that may have the same.
#[derive(Clone, Default)]
struct Share {
    /// How many of each class of devices.
    left: BTreeMap<usize, usize>,
    /// The devices of these classes.
    open: Positions,
}

/// Demands and devices in classes.
struct Classes {
    /// The class of each demand.
    of: Vec<usize>,
    /// How many classes of demands there are.
    demands: usize,
    /// The class of each device.
    class: BTreeMap<usize, usize>,
    /// The devices of each class, and the classes of demands that may have them.
    alike: Vec<(Positions, Positions)>,
}

/// By the class of demands and the class of devices.
type Taken = BTreeMap<(usize, usize), usize>;

#[derive(Clone, Copy)]
enum Node {
    Source,
    Sink,
    Demands(usize),
    Devices(usize),
}

impl Shares {
    /// Those by which as many are taken as can be; nothing if no more can be than are.
    pub(super) fn of_more(served: &Served) -> Option<Self> {
        let classes = Classes::of(served.wants());
        let shares = vec![Share::default(); classes.demands];
        let taken = classes.more(served)?;
        let Classes { of, class, alike, .. } = classes;
        let alike = alike.into_iter().map(|(devices, _)| devices).collect();
        let mut shares = Self { of, class, alike, shares };
        for ((demands, devices), count) in taken.into_iter().filter(|(_, count)| *count > 0) {
            let Some(share) = shares.shares.get_mut(demands) else { continue };
            share.left.insert(devices, count);
            shares.alike.get(devices).into_iter().for_each(|devices| share.open.add(devices));
        }
        Some(shares)
    }

    /// The lowest of the free devices that a demand may still take; it is taken from its share.
    pub(super) fn next(&mut self, demand: usize, free: &Positions) -> Option<usize> {
        let share = self.shares.get_mut(*self.of.get(demand)?)?;
        let device = share.open.and(free).iter().next()?;
        let class = self.class.get(&device)?;
        let left = share.left.get_mut(class)?;
        *left = left.saturating_sub(1);
        if *left == 0 {
            share.open.remove(self.alike.get(*class)?);
        }
        Some(device)
    }
}

impl Classes {
    fn of(wants: &[&Want]) -> Self {
        let mut different: BTreeMap<&Positions, usize> = BTreeMap::new();
        let mut may: BTreeMap<usize, Positions> = BTreeMap::new();
        let mut of = Vec::with_capacity(wants.len());
        for want in wants {
            let next = different.len();
            let number = *different.entry(&want.devices).or_insert(next);
            if number == next {
                want.devices.iter().for_each(|device| may.entry(device).or_default().insert(number));
            }
            of.push(number);
        }
        let mut alike: BTreeMap<Positions, Positions> = BTreeMap::new();
        may.into_iter().for_each(|(device, demands)| alike.entry(demands).or_default().insert(device));
        let alike: Vec<_> = alike.into_iter().map(|(demands, devices)| (devices, demands)).collect();
        let each = alike.iter().enumerate();
        let class = each.flat_map(|(class, (devices, _))| devices.iter().map(move |device| (device, class)));
        Self { of, demands: different.len(), class: class.collect(), alike }
    }

    /// How many are taken when more are than now, if more can be.
    fn more(&self, served: &Served) -> Option<Taken> {
        let mut taken = Taken::new();
        for (device, by) in served.all() {
            let (demands, devices) = self.of.get(by).zip(self.class.get(&device))?;
            *taken.entry((*demands, *devices)).or_default() += 1;
        }
        let (network, source, sink) = self.network(served, &taken);
        let (more, flows) = dinics(&network, source, sink);
        for (edge, flow) in network.edge_references().zip(flows) {
            let ends = network.node_weight(edge.source()).zip(network.node_weight(edge.target()));
            match ends {
                Some((Node::Demands(demands), Node::Devices(devices))) if flow > 0 => {
                    *taken.entry((*demands, *devices)).or_default() += flow;
                }
                Some((Node::Devices(devices), Node::Demands(demands))) => {
                    taken.entry((*demands, *devices)).and_modify(|taken| *taken -= flow);
                }
                _ => {}
            }
        }
        (more > 0).then_some(taken)
    }

    /// From who lacks some to what is free: demands can take of their devices what is not theirs, and what is can be given.
    fn network(&self, served: &Served, taken: &Taken) -> (DiGraph<Node, usize>, NodeIndex, NodeIndex) {
        let mut network = DiGraph::new();
        let (source, sink) = (network.add_node(Node::Source), network.add_node(Node::Sink));
        let nodes: Vec<_> = (0..self.demands).map(|at| network.add_node(Node::Demands(at))).collect();
        let mut lacking = vec![0; self.demands];
        for (at, class) in self.of.iter().enumerate() {
            lacking.iter_mut().skip(*class).take(1).for_each(|lacking| *lacking += served.lacking(at));
        }
        for (node, lacking) in nodes.iter().zip(lacking).filter(|(_, lacking)| *lacking > 0) {
            network.add_edge(source, *node, lacking);
        }
        for (class, (devices, demands)) in self.alike.iter().enumerate() {
            let own = network.add_node(Node::Devices(class));
            network.add_edge(own, sink, devices.and(served.free()).len());
            for (at, node) in demands.iter().filter_map(|at| Some((at, *nodes.get(at)?))) {
                let given = taken.get(&(at, class)).copied().unwrap_or_default();
                network.add_edge(node, own, devices.len() - given);
                if given > 0 {
                    network.add_edge(own, node, given);
                }
            }
        }
        (network, source, sink)
    }
}
