//! Guarantees: which devices of the host are kept for which tenant.
//!
//! Demands and devices are a flow network: each demand may take devices of its gpu-set that the tenant's own grants
//! give it, each device serves one demand. Guarantees can be kept together exactly if its maximum flow fills all of
//! them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::ford_fulkerson;
use petgraph::graph::{DiGraph, EdgeIndex};

use super::select::Sets;
use super::{By, Device, Keeping, Key, Withheld, diags};
use crate::diag::Sink;
use crate::policy::{Guarantee, Policy, Tenant};

/// All groups of so many demands are tried to find the smallest that cannot be kept: 4,095.
const MOST_TRIED: usize = 12;
/// More groups that cannot be kept together are not looked for.
const MOST_GROUPS: usize = 100;

/// Whose each kept device is.
#[derive(Debug, Default)]
pub(super) struct Reserved<'a>(BTreeMap<Key, Keeping<'a>>);

/// One `guarantee` on this host.
pub(super) struct Demand<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) rule: &'a Guarantee,
    /// What may serve it.
    devices: BTreeMap<Key, Device<'a>>,
}

/// Chooses the devices; `own` gives what a tenant has by its grants. What cannot be kept is reported.
pub(super) fn reserve<'a>(
    policy: &'a Policy,
    sets: &Sets<'a, '_>,
    own: impl Fn(&str) -> Vec<Device<'a>>,
    name: &str,
    sink: &mut Sink,
) -> Reserved<'a> {
    let demands = demands(policy, sets, own);
    let served = serve(&demands);
    let mut had: BTreeMap<usize, usize> = BTreeMap::new();
    served.values().for_each(|by| *had.entry(*by).or_default() += 1);
    let (mut blamed, mut reported): (BTreeSet<usize>, BTreeSet<Vec<usize>>) = Default::default();
    for (at, demand) in demands.iter().enumerate() {
        let has = had.get(&at).copied().unwrap_or(0);
        if usize::try_from(demand.rule.gpus.value).is_ok_and(|wanted| has >= wanted) || blamed.contains(&at) {
            continue;
        }
        blamed.insert(at);
        if reported.len() == MOST_GROUPS {
            break;
        }
        let least = least(&rivals(at, &demands, &served), &demands);
        if reported.insert(least.clone()) {
            let together: Vec<&Demand> = least.iter().filter_map(|at| demands.get(*at)).collect();
            let devices: Vec<Device> = devices_of(&least, &demands).into_values().collect();
            sink.push(diags::guarantee_impossible(&together, &devices, name));
        }
        blamed.extend(least);
    }
    if !blamed.is_empty() {
        // Which tenant goes without would be chance, and so would be whatever else is found from it.
        return Reserved(BTreeMap::new());
    }
    let owner = |(key, at): (Key, usize)| {
        let Demand { tenant, rule, .. } = demands.get(at)?;
        Some((key, Keeping { tenant, rule }))
    };
    Reserved(served.into_iter().filter_map(owner).collect())
}

impl<'a> Reserved<'a> {
    /// Whether the device is kept for somebody.
    pub(super) fn has(&self, device: &Device) -> bool {
        self.0.contains_key(&device.key())
    }

    /// Those that are not kept for another tenant; the others are withheld.
    pub(super) fn open_to(
        &self,
        tenant: &str,
        devices: Vec<Device<'a>>,
        withheld: &mut Vec<Withheld<'a>>,
    ) -> Vec<Device<'a>> {
        let mut open = Vec::with_capacity(devices.len());
        for device in devices {
            match self.0.get(&device.key()) {
                Some(keeping) if keeping.tenant.name.value != tenant => {
                    withheld.push(Withheld { device, by: By::Guarantee(*keeping) });
                }
                _ => open.push(device),
            }
        }
        open
    }

    /// Ranks what is kept before what is not, for else it would stand idle while others wait.
    pub(super) fn first(&self, devices: &mut [Device]) {
        devices.sort_by_key(|device| !self.has(device));
    }

    /// Does so with the slots of devices that are ranked like this.
    pub(super) fn first_slots(&self, devices: &[Device], slots: &mut [Vec<u32>]) {
        let kept = devices.iter().filter(|device| self.has(device)).count();
        let is_kept = |at: &&u32| usize::try_from(**at).is_ok_and(|at| at < kept);
        slots.sort_by_cached_key(|slot| (slot.len(), Reverse(slot.iter().filter(is_kept).count())));
    }
}

/// The guarantees that concern this host: those of which it has the gpu-set at all.
fn demands<'a>(
    policy: &'a Policy,
    sets: &Sets<'a, '_>,
    own: impl Fn(&str) -> Vec<Device<'a>>,
) -> Vec<Demand<'a>> {
    let mut demands = Vec::new();
    for tenant in policy.tenants.values() {
        for rule in &tenant.guarantees {
            let set = rule.from.value.as_str();
            if sets.reached(set).is_empty() {
                continue;
            }
            let devices = own(&tenant.name.value).into_iter().map(|device| (device.key(), device));
            let devices = devices.filter(|(key, _)| sets.holds(set, key)).collect();
            demands.push(Demand { tenant, rule, devices });
        }
    }
    demands
}

/// By which demand each device is taken, as a maximum flow has it.
fn serve(demands: &[Demand]) -> BTreeMap<Key, usize> {
    let mut network = DiGraph::<(), u32>::new();
    let (source, sink) = (network.add_node(()), network.add_node(()));
    let keys: BTreeSet<Key> = demands.iter().flat_map(|demand| demand.devices.keys().copied()).collect();
    let mut nodes = BTreeMap::new();
    for key in keys.iter().rev() {
        let node = network.add_node(());
        network.add_edge(node, sink, 1);
        nodes.insert(*key, node);
    }
    let mut takes: Vec<(EdgeIndex, Key, usize)> = Vec::new();
    for (at, demand) in demands.iter().enumerate() {
        let node = network.add_node(());
        network.add_edge(source, node, demand.rule.gpus.value);
        // The graph walks edges from the last one that was added: low indices are to be taken first.
        for key in demand.devices.keys().rev() {
            takes.extend(nodes.get(key).map(|device| (network.add_edge(node, *device, 1), *key, at)));
        }
    }
    let (_, flows) = ford_fulkerson(&network, source, sink);
    let flows = |edge: &EdgeIndex| flows.get(edge.index()).is_some_and(|flow| *flow > 0);
    takes.into_iter().filter(|(edge, _, _)| flows(edge)).map(|(_, key, at)| (key, at)).collect()
}

/// The demands that together want more devices than may serve them, of which one is `unserved`: all that compete with it.
fn rivals(unserved: usize, demands: &[Demand], served: &BTreeMap<Key, usize>) -> Vec<usize> {
    let mut rivals = BTreeSet::new();
    let mut open = vec![unserved];
    while let Some(at) = open.pop() {
        if !rivals.insert(at) {
            continue;
        }
        let devices = demands.get(at).into_iter().flat_map(|demand| demand.devices.keys());
        open.extend(devices.filter_map(|key| served.get(key)));
    }
    rivals.into_iter().collect()
}

/// The smallest of all groups among `rivals` that want more devices together than may serve them (Hall); among too many
/// to try all groups, one of which nobody alone could be left out.
fn least(rivals: &[usize], demands: &[Demand]) -> Vec<usize> {
    if rivals.len() > MOST_TRIED {
        return smaller(rivals, demands);
    }
    let groups = (1..1_u32 << rivals.len()).map(|mask| {
        let picked = rivals.iter().enumerate().filter(|(bit, _)| mask & 1 << bit != 0);
        picked.map(|(_, at)| *at).collect::<Vec<usize>>()
    });
    let least =
        groups.filter(|group| is_too_much(group, demands)).min_by_key(|group| (group.len(), group.clone()));
    least.unwrap_or_else(|| rivals.to_vec())
}

/// Those that are left when whoever can be left out is, one after the other and again from the first, until nobody can be.
fn smaller(rivals: &[usize], demands: &[Demand]) -> Vec<usize> {
    let mut left: Vec<&Demand> = rivals.iter().filter_map(|at| demands.get(*at)).collect();
    let mut places = rivals.to_vec();
    // How many of those that are left each device may serve.
    let mut serves: BTreeMap<Key, usize> = BTreeMap::new();
    for key in left.iter().flat_map(|demand| demand.devices.keys()) {
        *serves.entry(*key).or_default() += 1;
    }
    let mut wanted: u64 = left.iter().map(|demand| u64::from(demand.rule.gpus.value)).sum();
    loop {
        let before = left.len();
        let mut at = 0;
        while let Some(demand) = left.get(at).copied() {
            let own = |key: &&Key| serves.get(*key) == Some(&1);
            let fewer = serves.len() - demand.devices.keys().filter(own).count();
            let less = wanted - u64::from(demand.rule.gpus.value);
            if !u64::try_from(fewer).is_ok_and(|fewer| less > fewer) {
                at += 1;
                continue;
            }
            (wanted, _, _) = (less, left.remove(at), places.remove(at));
            for key in demand.devices.keys() {
                serves.entry(*key).and_modify(|count| *count -= 1);
            }
            serves.retain(|_, count| *count > 0);
        }
        if left.len() == before {
            return places;
        }
    }
}

/// Whether they want more devices together than may serve them.
fn is_too_much(group: &[usize], demands: &[Demand]) -> bool {
    let wanted =
        group.iter().filter_map(|at| demands.get(*at)).map(|demand| u64::from(demand.rule.gpus.value));
    u64::try_from(devices_of(group, demands).len()).is_ok_and(|have| wanted.sum::<u64>() > have)
}

/// What may serve any of them.
fn devices_of<'a>(group: &[usize], demands: &[Demand<'a>]) -> BTreeMap<Key, Device<'a>> {
    let devices = group.iter().filter_map(|at| demands.get(*at)).flat_map(|demand| &demand.devices);
    devices.map(|(key, device)| (*key, *device)).collect()
}
