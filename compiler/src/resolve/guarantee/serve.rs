//! By which demand each device is taken, so that as many are as can be.
//!
//! Demands take the free devices of lowest indices. Where some are left short, a maximum flow says how many of which devices
//! each may have, and of these they take the lowest.

use std::collections::{BTreeMap, BTreeSet};

use super::Want;
use super::flow::Shares;
use crate::resolve::positions::Positions;

/// Who has what.
pub(super) struct Served<'w> {
    wants: Vec<&'w Want>,
    /// By the device's position.
    by: BTreeMap<usize, usize>,
    /// How many each has.
    had: Vec<usize>,
    /// Devices that nobody has.
    free: Positions,
}

impl<'w> Served<'w> {
    pub(super) fn of(wants: Vec<&'w Want>) -> Self {
        let lowest = Self::nobody(wants).each(|want, _, free| want.devices.and(free).iter().next());
        if lowest.unserved().is_empty() {
            return lowest;
        }
        let Some(mut shares) = Shares::of_more(&lowest) else { return lowest };
        Self::nobody(lowest.wants).each(|_, at, free| shares.next(at, free))
    }

    /// The demands, in their order.
    pub(super) fn wants(&self) -> &[&'w Want] {
        &self.wants
    }

    /// Each device that is taken, by its position, and the number of the demand that takes it.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, usize)> {
        self.by.iter().map(|(device, by)| (*device, *by))
    }

    /// The numbers of the demands that have less than they want.
    pub(super) fn unserved(&self) -> Vec<usize> {
        (0..self.wants.len()).filter(|at| self.lacking(*at) > 0).collect()
    }

    /// The demands that together want more devices than may serve them, of which one is `unserved`: all that compete with it.
    pub(super) fn rivals(&self, unserved: usize) -> Vec<usize> {
        let (mut rivals, mut open) = (BTreeSet::new(), vec![unserved]);
        let mut seen = self.free.without(&self.free);
        while let Some(at) = open.pop() {
            if !rivals.insert(at) {
                continue;
            }
            let Some(want) = self.wants.get(at) else { continue };
            let new = want.devices.without(&seen);
            seen.add(&new);
            open.extend(new.iter().filter_map(|device| self.by.get(&device)));
        }
        rivals.into_iter().collect()
    }

    /// Devices that nobody has.
    pub(super) fn free(&self) -> &Positions {
        &self.free
    }

    /// How many more a demand wants than it has.
    pub(super) fn lacking(&self, at: usize) -> usize {
        self.wants.get(at).zip(self.had.get(at)).map_or(0, |(want, had)| want.count - had)
    }

    fn nobody(wants: Vec<&'w Want>) -> Self {
        let mut free = Positions::default();
        wants.iter().for_each(|want| free.add(&want.devices));
        Self { by: BTreeMap::new(), had: vec![0; wants.len()], wants, free }
    }

    /// One demand after the other, the last first, takes what is chosen of the free devices, until it lacks none or there is none.
    fn each(mut self, mut choose: impl FnMut(&Want, usize, &Positions) -> Option<usize>) -> Self {
        for (at, (want, had)) in self.wants.iter().zip(&mut self.had).enumerate().rev() {
            while *had < want.count {
                let Some(device) = choose(want, at, &self.free) else { break };
                self.free.drop(device);
                self.by.insert(device, at);
                *had += 1;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use petgraph::algo::ford_fulkerson;
    use petgraph::graph::DiGraph;

    use super::*;

    const DEVICES: usize = 70;

    /// Numbers that are the same on every run.
    struct Made(u64);

    impl Made {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }

        fn wants(&mut self) -> Vec<Want> {
            let (dense, most) = (1 + self.below(8), 1 + self.below(9));
            let mut want = || {
                let among = self.below(DEVICES as u64 + 1);
                let bits: Vec<bool> =
                    (0..DEVICES as u64).map(|at| at < among && self.below(8) < dense).collect();
                let devices = Positions::of(DEVICES, |at| bits[at]);
                Want { count: 1 + self.below(most) as usize, devices: Rc::new(devices) }
            };
            (0..20).map(|_| want()).collect()
        }
    }

    /// How many devices can be taken, as another algorithm has it in a network of each demand and each device.
    fn flow(wants: &[Want]) -> usize {
        let mut network = DiGraph::<(), usize>::new();
        let (source, sink) = (network.add_node(()), network.add_node(()));
        let devices: Vec<_> = (0..DEVICES).map(|_| network.add_node(())).collect();
        devices.iter().for_each(|device| _ = network.add_edge(*device, sink, 1));
        for want in wants {
            let node = network.add_node(());
            network.add_edge(source, node, want.count);
            want.devices.iter().for_each(|device| _ = network.add_edge(node, devices[device], 1));
        }
        ford_fulkerson(&network, source, sink).0
    }

    #[test]
    fn as_many_are_served_as_a_maximum_flow_says_each_by_its_own() {
        let mut made = Made(7);
        let (mut full, mut short) = (0, 0);
        for _ in 0..400 {
            let wants = made.wants();
            let served = Served::of(wants.iter().collect());
            assert_eq!(served.by.len(), flow(&wants));
            assert!(served.all().all(|(device, by)| wants[by].devices.iter().any(|own| own == device)));
            for (at, want) in wants.iter().enumerate() {
                let has = served.all().filter(|(_, by)| *by == at).count();
                assert_eq!((has, has < want.count), (served.had[at], served.lacking(at) > 0));
                assert!(has <= want.count);
            }
            for unserved in served.unserved() {
                let rivals = served.rivals(unserved);
                let mut may = Positions::default();
                rivals.iter().for_each(|at| may.add(&wants[*at].devices));
                assert!(may.len() < rivals.iter().map(|at| wants[*at].count).sum());
            }
            if served.unserved().is_empty() { full += 1 } else { short += 1 }
        }
        assert!(full > 40 && short > 40, "{full} {short}");
    }
}
