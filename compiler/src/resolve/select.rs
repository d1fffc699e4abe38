//! The devices of each gpu-set on one host.
//!
//! A set is first taken in its widest sense, as an `except` or a deny needs it: the GPUs that its selectors choose,
//! whatever their MIG mode, with all their MIG devices. What a grant can give of it is a part of that.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::glob;
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, Walker};

use super::{Device, Devices, Key, diags};
use crate::diag::Sink;
use crate::policy::{GpuSet, Line, Policy, Selector};
use crate::topology::{Fact, Gpu, MigDevice, Topology};

/// The sets that something uses.
pub(super) struct Sets<'a> {
    sets: BTreeMap<&'a str, Set<'a>>,
}

struct Set<'a> {
    rule: &'a GpuSet,
    members: BTreeMap<Key, Member<'a>>,
}

#[derive(Clone, Copy)]
struct Member<'a> {
    gpu: &'a Gpu,
    mig: Option<&'a MigDevice>,
}

/// Evaluates every gpu-set that a grant or a deny uses, and those that these are made of.
pub(super) fn all<'a>(policy: &'a Policy, topology: &'a Topology, name: &str, sink: &mut Sink) -> Sets<'a> {
    let mut sets = Sets { sets: BTreeMap::new() };
    let granted = granted(policy);
    for rule in in_order(policy) {
        let members = members(rule, &sets, topology, name, sink);
        if members.is_empty() && granted.contains(rule.name.value.as_str()) {
            sink.push(diags::empty_gpu_set(rule, topology, name));
        }
        sets.sets.insert(&rule.name.value, Set { rule, members });
    }
    sets
}

impl<'a> Sets<'a> {
    /// The GPUs that a set reaches, by themselves or by a MIG device, by index.
    pub(super) fn reached(&self, set: &str) -> BTreeMap<u32, &'a Gpu> {
        let members = self.sets.get(set).map(|set| &set.members);
        members.into_iter().flatten().map(|((index, _), member)| (*index, member.gpu)).collect()
    }

    /// The devices that a line can give, by index: whole GPUs with MIG off, or MIG devices.
    pub(super) fn grantable(&self, line: &'a Line, name: &str, sink: &mut Sink) -> Vec<Device<'a>> {
        let Some(set) = self.sets.get(line.gpu_set.value.as_str()) else { return Vec::new() };
        let whole = set.rule.mig_profiles.is_empty();
        let mut devices = Devices::new();
        for (key, member) in &set.members {
            if member.mig.is_some() == whole || (whole && member.gpu.mig.known() == Some(&true)) {
                continue;
            }
            match member.device() {
                Ok(device) => _ = devices.insert(*key, device),
                Err(Missing { fact, why }) => {
                    sink.push(diags::unknown_fact(&line.gpu_set, member.gpu, fact, why, name));
                }
            }
        }
        devices.into_values().collect()
    }

    fn contains(&self, set: &str, key: &Key) -> bool {
        self.sets.get(set).is_some_and(|set| set.members.contains_key(key))
    }
}

struct Missing<'a> {
    fact: &'static str,
    why: &'a str,
}

impl<'a> Member<'a> {
    /// The device, if the host's facts suffice to give it.
    fn device(self) -> Result<Device<'a>, Missing<'a>> {
        let Self { gpu, mig } = self;
        if let Fact::Unknown(why) = &gpu.mig {
            return Err(Missing { fact: "MIG mode", why });
        }
        let minor = match &gpu.minor {
            Fact::Known(minor) => *minor,
            Fact::Absent => {
                return Err(Missing { fact: "minor number", why: "the topology says it has none" });
            }
            Fact::Unknown(why) => return Err(Missing { fact: "minor number", why }),
        };
        if !gpu.nodes.iter().any(|node| node.minor == minor) {
            return Err(Missing {
                fact: "device node",
                why: "the topology lists none with its minor number",
            });
        }
        if mig.is_some_and(|mig| mig.nodes.is_empty()) {
            return Err(Missing { fact: "nvcap nodes", why: "the topology lists none for its MIG device" });
        }
        Ok(Device { gpu, minor, mig })
    }
}

fn granted(policy: &Policy) -> BTreeSet<&str> {
    let lines = policy.grants.values().flat_map(|grant| &grant.lines);
    lines.map(|line| line.gpu_set.value.as_str()).collect()
}

/// The used sets, each after those that it excepts.
fn in_order(policy: &Policy) -> Vec<&GpuSet> {
    let mut graph = DiGraph::<&GpuSet, ()>::new();
    let nodes: BTreeMap<&str, NodeIndex> =
        policy.gpu_sets.iter().map(|(name, set)| (name.as_str(), graph.add_node(set))).collect();
    for (name, set) in &policy.gpu_sets {
        let excepted = set.except.iter().filter_map(|other| nodes.get(other.value.as_str()));
        for (from, to) in nodes.get(name.as_str()).into_iter().cycle().zip(excepted) {
            graph.add_edge(*from, *to, ());
        }
    }
    let denied = policy.denies.values().flat_map(|deny| &deny.gpu_sets).map(|set| set.value.as_str());
    let roots: BTreeSet<&str> = granted(policy).into_iter().chain(denied).collect();
    let roots = roots.into_iter().filter_map(|name| nodes.get(name));
    let used: BTreeSet<NodeIndex> = roots.flat_map(|root| Dfs::new(&graph, *root).iter(&graph)).collect();
    let order = toposort(&graph, None).unwrap_or_default();
    let order = order.into_iter().rev().filter(|node| used.contains(node));
    order.filter_map(|node| graph.node_weight(node).copied()).collect()
}

fn members<'a>(
    rule: &'a GpuSet,
    sets: &Sets<'a>,
    topology: &'a Topology,
    name: &str,
    sink: &mut Sink,
) -> BTreeMap<Key, Member<'a>> {
    let mut members = BTreeMap::new();
    for gpu in &topology.gpus {
        for mig in candidates(rule, gpu) {
            let key = (gpu.index, mig.map(|mig| mig.index));
            let excepted = rule.except.iter().any(|other| sets.contains(&other.value, &key));
            if !excepted && chosen(rule, gpu, mig, name, sink) {
                members.insert(key, Member { gpu, mig });
            }
        }
    }
    members
}

fn candidates<'a>(rule: &GpuSet, gpu: &'a Gpu) -> Vec<Option<&'a MigDevice>> {
    if rule.mig_profiles.is_empty() {
        return std::iter::once(None).chain(gpu.mig_devices.iter().map(Some)).collect();
    }
    let wanted = |mig: &&MigDevice| rule.mig_profiles.iter().any(|profile| profile.value == mig.profile);
    gpu.mig_devices.iter().filter(wanted).map(Some).collect()
}

/// What one selector says of one device.
enum Verdict<'a> {
    Yes,
    No,
    /// No, by less than 5 %.
    Near(u64),
    Unknown(&'static str, &'a str),
}

fn chosen(rule: &GpuSet, gpu: &Gpu, mig: Option<&MigDevice>, name: &str, sink: &mut Sink) -> bool {
    let verdicts = rule.selectors.iter().map(|selector| (selector, judge(&selector.value, gpu, mig)));
    let open: Vec<_> = verdicts.filter(|(_, verdict)| !matches!(verdict, Verdict::Yes)).collect();
    if open.iter().any(|(_, verdict)| matches!(verdict, Verdict::No)) {
        return false;
    }
    for (selector, verdict) in &open {
        match verdict {
            Verdict::Near(has) if open.len() == 1 => {
                sink.push(diags::memory_near_miss(rule, selector, gpu, *has, name));
            }
            Verdict::Unknown(fact, why) => {
                sink.push(diags::unknown_to_selector(rule, selector.span, gpu, fact, why, name));
            }
            _ => {}
        }
    }
    open.is_empty()
}

fn judge<'a>(selector: &Selector, gpu: &'a Gpu, mig: Option<&MigDevice>) -> Verdict<'a> {
    match selector {
        Selector::Model(globs) => Verdict::of(globs.iter().any(|glob| glob::matches(&glob.0, &gpu.model))),
        Selector::Uuid(uuids) => {
            let own = mig.map_or(gpu.uuid.as_str(), |mig| mig.uuid.as_str());
            let named =
                |uuid: &String| uuid.eq_ignore_ascii_case(own) || uuid.eq_ignore_ascii_case(&gpu.uuid);
            Verdict::of(uuids.iter().any(named))
        }
        Selector::Numa(wanted) => match &gpu.numa {
            Fact::Known(nodes) => Verdict::of(nodes.iter().any(|node| wanted.contains(node))),
            Fact::Absent => Verdict::No,
            Fact::Unknown(why) => Verdict::Unknown("NUMA node", why),
        },
        Selector::Memory { at_least, at_most } => match &gpu.memory {
            Fact::Known(has) => memory(*has, *at_least, *at_most),
            Fact::Absent => Verdict::No,
            Fact::Unknown(why) => Verdict::Unknown("memory", why),
        },
    }
}

/// A bound is nearly met when it would be met were it 5 % softer.
fn memory<'a>(has: u64, at_least: Option<u64>, at_most: Option<u64>) -> Verdict<'a> {
    let under = |bound: u64| has < bound;
    let over = |bound: u64| has > bound;
    if !at_least.is_some_and(under) && !at_most.is_some_and(over) {
        return Verdict::Yes;
    }
    let soft_least = at_least.map(|bound| bound - bound / 20);
    let soft_most = at_most.map(|bound| bound.saturating_add(bound / 20));
    if soft_least.is_some_and(under) || soft_most.is_some_and(over) {
        Verdict::No
    } else {
        Verdict::Near(has)
    }
}

impl Verdict<'_> {
    fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}
