//! The devices of each gpu-set on one host.
//!
//! A set is first taken in its widest sense, as an `except` or a deny needs it: the GPUs that its selectors choose,
//! whatever their MIG mode, with all their MIG devices. What a grant can give of it is a part of that.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, Walker};

use super::judge::{Candidate, Verdict};
use super::{Device, Extent, Key, diags, judge, out_of_service};
use crate::diag::Sink;
use crate::policy::{Claim, GpuSet, Line, Policy, Selector};
use crate::source::{Span, Spanned};
use crate::topology::mig::Board;
use crate::topology::{Fact, Gpu, MigDevice, Topology, Vendor, instance_profile};

/// The sets that something uses.
pub(super) struct Sets<'a> {
    sets: BTreeMap<&'a str, Set<'a>>,
}

struct Set<'a> {
    rule: &'a GpuSet,
    members: BTreeMap<Key, Member<'a>>,
    /// Of its members.
    vendors: BTreeSet<Vendor>,
}

#[derive(Clone, Copy)]
struct Member<'a> {
    gpu: &'a Gpu,
    mig: Option<&'a MigDevice>,
}

/// Evaluates every gpu-set that something uses, and those that these are made of.
pub(super) fn all<'a>(policy: &'a Policy, topology: &'a Topology, name: &str, sink: &mut Sink) -> Sets<'a> {
    let mut sets = Sets { sets: BTreeMap::new() };
    let granted = granted(policy);
    for rule in in_order(policy) {
        let candidates = candidates(rule, topology);
        let mut own = Sink::default();
        let members = first(rule, members(rule, &sets, &candidates, name, &mut own), name, &mut own);
        // Of a set of which something cannot be told nobody can say that it is empty.
        let certain = !own.has_errors();
        own.finish().into_iter().for_each(|finding| sink.push(finding));
        let missed = granted.contains(rule.name.value.as_str()) && !is_elsewhere(rule, topology);
        let names_lost = missed && out_of_service::report(rule, topology, name, sink);
        let unknown = unknown_profiles(rule, topology);
        unknown
            .iter()
            .filter(|_| missed)
            .for_each(|profile| sink.push(diags::no_such_profile(rule, profile, topology, name)));
        if missed && certain && unknown.is_empty() && !names_lost {
            let whole = rule.mig_profiles.is_empty();
            if members.is_empty() {
                sink.push(diags::empty_gpu_set(rule, emptied(rule, &candidates), topology, name));
            } else if !members.values().any(|member| member.is_held(whole)) {
                sink.push(diags::only_sliced(rule, topology, name));
            }
        }
        let vendors = members.values().map(|member| member.gpu.vendor).collect();
        sets.sets.insert(&rule.name.value, Set { rule, members, vendors });
    }
    sets
}

impl<'a> Sets<'a> {
    /// The GPUs that a set reaches, by themselves or by a MIG device, by index.
    pub(super) fn reached(&self, set: &str) -> BTreeMap<u32, &'a Gpu> {
        let members = self.sets.get(set).map(|set| &set.members);
        members.into_iter().flatten().map(|((index, _), member)| (*index, member.gpu)).collect()
    }

    /// Whose GPUs the sets of these lines reach.
    pub(super) fn vendors(&self, lines: &[Line]) -> BTreeSet<Vendor> {
        let sets = lines.iter().filter_map(|line| self.sets.get(line.gpu_set.value.as_str()));
        sets.flat_map(|set| &set.vendors).copied().collect()
    }

    /// The devices that a line can give, by index: whole GPUs with MIG off, or MIG devices.
    pub(super) fn grantable(&self, line: &'a Line, name: &str, sink: &mut Sink) -> Vec<Device<'a>> {
        let Some(set) = self.sets.get(line.gpu_set.value.as_str()) else { return Vec::new() };
        let whole = set.rule.mig_profiles.is_empty();
        let mut devices = Vec::with_capacity(set.members.len());
        for member in set.members.values() {
            if !member.is_held(whole) {
                continue;
            }
            match member.device() {
                Ok(device) => devices.push(device),
                Err(Missing { fact, why }) => {
                    sink.push(diags::unknown_fact(&line.gpu_set, member.gpu, fact, why, name));
                }
            }
        }
        devices
    }

    /// Whether a line of the set could give the device: of a set of whole GPUs no MIG device.
    pub(super) fn holds(&self, set: &str, key: &Key) -> bool {
        let held = |set: &Set| {
            let member = set.members.get(key);
            member.is_some_and(|member| member.is_held(set.rule.mig_profiles.is_empty()))
        };
        self.sets.get(set).is_some_and(held)
    }

    /// What each set has.
    pub(super) fn extents(&self) -> BTreeMap<&'a str, Extent> {
        let extent = |(name, set): (&&'a str, &Set<'a>)| {
            let whole = set.rule.mig_profiles.is_empty();
            let held = set.members.iter().filter(|(_, member)| member.is_held(whole));
            let grantable = held.map(|(key, _)| *key).collect();
            (*name, Extent { widest: set.members.keys().copied().collect(), grantable })
        };
        self.sets.iter().map(extent).collect()
    }

    /// Whether a set in its widest sense has the device.
    fn contains(&self, set: &str, key: &Key) -> bool {
        self.sets.get(set).is_some_and(|set| set.members.contains_key(key))
    }
}

struct Missing<'a> {
    fact: &'static str,
    why: &'a str,
}

impl<'a> Member<'a> {
    /// Whether it is a device of its set in the narrow sense: a whole GPU with MIG off, or a MIG device.
    fn is_held(self, whole: bool) -> bool {
        self.mig.is_none() == whole && !(whole && self.gpu.mig.known() == Some(&true))
    }

    /// The device, if the host's facts suffice to give it.
    fn device(self) -> Result<Device<'a>, Missing<'a>> {
        let Self { gpu, mig } = self;
        if gpu.vendor == Vendor::Intel {
            let why = "gpupol-hook cannot ask the kernel which GPU of Intel it gives";
            return Err(Missing { fact: "identity at the start of a container", why });
        }
        if let Fact::Unknown(why) = &gpu.mig {
            return Err(Missing { fact: "MIG mode", why });
        }
        let minor = *needed("minor number", &gpu.minor)?;
        let pci = needed("PCI address", &gpu.pci)?;
        if !gpu.nodes.iter().any(|node| node.minor == minor) {
            return Err(Missing {
                fact: "device node",
                why: "the topology lists none with its minor number",
            });
        }
        if mig.is_some_and(|mig| mig.nodes.is_empty()) {
            return Err(Missing { fact: "nvcap nodes", why: "the topology lists none for its MIG device" });
        }
        Ok(Device { gpu, minor, pci, mig })
    }
}

/// A fact without which no device is given.
fn needed<'a, T>(name: &'static str, fact: &'a Fact<T>) -> Result<&'a T, Missing<'a>> {
    match fact {
        Fact::Known(value) => Ok(value),
        Fact::Absent => Err(Missing { fact: name, why: "the topology says it has none" }),
        Fact::Unknown(why) => Err(Missing { fact: name, why }),
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
    let guarantees = policy.tenants.values().flat_map(|tenant| &tenant.guarantees);
    let guaranteed = guarantees.map(|guarantee| guarantee.from.value.as_str());
    let wished = policy.layouts.values().flat_map(|layout| &layout.gpu_sets).map(|set| set.value.as_str());
    let claimed = policy.asserts.iter().filter_map(|assert| match &assert.claim {
        Claim::Only { gpu_set, .. } => Some(gpu_set.value.as_str()),
        Claim::Isolated { .. } | Claim::Never { .. } | Claim::AlwaysSatisfiable { .. } => None,
    });
    let named = denied.chain(guaranteed).chain(wished).chain(claimed);
    let roots: BTreeSet<&str> = granted(policy).into_iter().chain(named).collect();
    let roots = roots.into_iter().filter_map(|name| nodes.get(name));
    let used: BTreeSet<NodeIndex> = roots.flat_map(|root| Dfs::new(&graph, *root).iter(&graph)).collect();
    let order = toposort(&graph, None).unwrap_or_default();
    let order = order.into_iter().rev().filter(|node| used.contains(node));
    order.filter_map(|node| graph.node_weight(node).copied()).collect()
}

fn members<'a>(
    rule: &'a GpuSet,
    sets: &Sets<'a>,
    candidates: &[Candidate<'a>],
    name: &str,
    sink: &mut Sink,
) -> BTreeMap<Key, Member<'a>> {
    let mut members = BTreeMap::new();
    for candidate in candidates {
        let Candidate { gpu, mig, .. } = *candidate;
        let key = (gpu.index, mig.map(|mig| mig.index));
        let excepted = rule.except.iter().any(|other| sets.contains(&other.value, &key));
        if !excepted && chosen(rule, candidate, name, sink) {
            members.insert(key, Member { gpu, mig });
        }
    }
    members
}

/// The first devices that a set holds, if it says how many: then it is these in its widest sense too, so that what one
/// set has and another excepts leaves nothing out.
fn first<'a>(
    rule: &GpuSet,
    members: BTreeMap<Key, Member<'a>>,
    name: &str,
    sink: &mut Sink,
) -> BTreeMap<Key, Member<'a>> {
    let Some(count) = &rule.first else { return members };
    let whole = rule.mig_profiles.is_empty();
    for member in members.values() {
        if let (true, Fact::Unknown(why)) = (whole && member.mig.is_none(), &member.gpu.mig) {
            sink.push(diags::unknown_to_selector(rule, count.span, member.gpu, "MIG mode", why, name));
        }
    }
    let most = usize::try_from(count.value).unwrap_or(usize::MAX);
    members.into_iter().filter(|(_, member)| member.is_held(whole)).take(most).collect()
}

/// What a set could have: GPUs and all their MIG devices, or MIG devices of its profiles.
fn candidates<'a>(rule: &GpuSet, topology: &'a Topology) -> Vec<Candidate<'a>> {
    let wanted = |mig: &&MigDevice| rule.mig_profiles.iter().any(|profile| profile.value == mig.profile);
    let mut candidates = Vec::new();
    for gpu in &topology.gpus {
        let whole = rule.mig_profiles.is_empty();
        candidates.extend(whole.then_some(Candidate { topology, gpu, mig: None }));
        let migs = gpu.mig_devices.iter().filter(|mig| whole || wanted(mig));
        candidates.extend(migs.map(|mig| Candidate { topology, gpu, mig: Some(mig) }));
    }
    candidates
}

fn chosen<'a>(rule: &'a GpuSet, candidate: &Candidate<'a>, name: &str, sink: &mut Sink) -> bool {
    let verdicts = rule.selectors.iter().map(|selector| candidate.judge(selector));
    let open: Vec<_> = verdicts.filter(|verdict| !matches!(verdict, Verdict::Yes)).collect();
    if open.iter().any(|verdict| matches!(verdict, Verdict::No)) {
        return false;
    }
    for verdict in &open {
        match verdict {
            Verdict::Near(selector, has) if open.len() == 1 => {
                sink.push(diags::memory_near_miss(rule, selector, candidate.gpu, *has, name));
            }
            Verdict::Unknown(selector, fact, why) if matches!(selector.value, Selector::Driver(_)) => {
                sink.push(diags::unknown_of_host(rule, selector.span, fact, why, name));
            }
            Verdict::Unknown(selector, fact, why) => {
                sink.push(diags::unknown_to_selector(rule, selector.span, candidate.gpu, fact, why, name));
            }
            _ => {}
        }
    }
    open.is_empty()
}

/// Why a set is empty: what of it leaves nothing of the devices before it, and how many these are. Nothing if facts
/// are missing, or if the set is for other hosts.
fn emptied<'a>(rule: &'a GpuSet, candidates: &[Candidate<'a>]) -> Option<(Span, usize)> {
    let is_whole = |candidate: &&Candidate<'_>| candidate.mig.is_none() || !rule.mig_profiles.is_empty();
    let mut left: Vec<&Candidate> = candidates.iter().filter(is_whole).collect();
    for selector in &rule.selectors {
        let before = left.len();
        left.retain(|candidate| !matches!(candidate.judge(selector), Verdict::No | Verdict::Near(..)));
        if left.is_empty() && before > 0 {
            return Some((selector.span, before));
        }
    }
    rule.except.first().filter(|_| !left.is_empty()).map(|except| (except.span, left.len()))
}

/// The profiles of a set that no board of the host has; none where the profiles of a board are not known.
fn unknown_profiles<'a>(rule: &'a GpuSet, topology: &Topology) -> Vec<&'a Spanned<String>> {
    let has_mig = topology.gpus.iter().filter(|gpu| gpu.mig != Fact::Absent);
    let Some(boards) = has_mig.map(|gpu| Board::of(&gpu.model)).collect::<Option<Vec<_>>>() else {
        return Vec::new();
    };
    let is_there = |profile: &str| {
        let devices = topology.gpus.iter().flat_map(|gpu| &gpu.mig_devices);
        boards.is_empty()
            || boards.iter().any(|board| board.profile(instance_profile(profile)).is_some())
            || devices.map(|device| device.profile.as_str()).any(|other| other == profile)
    };
    rule.mig_profiles.iter().filter(|profile| !is_there(&profile.value)).collect()
}

/// Whether a set says by itself that it is of other hosts.
fn is_elsewhere(rule: &GpuSet, topology: &Topology) -> bool {
    rule.selectors.iter().any(|selector| match &selector.value {
        Selector::Host(globs) => !judge::any_matches(globs, &topology.host),
        _ => false,
    })
}
