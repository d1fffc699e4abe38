//! The devices of each gpu-set on one host.
//!
//! A set is first taken in its widest sense, as an `except` or a deny needs it: the GPUs that its selectors choose,
//! whatever their MIG mode, with all their MIG devices. What a grant can give of it is a part of that.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::judge::{Candidate, Verdict};
use super::judged::Judged;
use super::positions::Positions;
use super::prepared::{self, Prepared};
use super::{Device, Extent, Key, LeftOut, diags, out_of_service};
use crate::diag::{Code, Sink};
use crate::policy::{GpuSet, Line, Selector};
use crate::source::{Span, Spanned};
use crate::topology::mig::Board;
use crate::topology::{Fact, Gpu, MigDevice, Topology, Vendor, instance_profile};

/// So many devices of a host are told of which something cannot be told, and of each set and line after that the first: there
/// may be thousands of both.
const MOST_TOLD: usize = 4_096;

/// The sets that something uses.
pub(super) struct Sets<'a, 's> {
    prepared: &'s Prepared<'a>,
    judged: Judged<'a, 's>,
    /// So many devices are still told of which something cannot be told.
    left: Cell<usize>,
    /// By their numbers there: where the members of each stand among the devices of the host.
    sets: Vec<Positions>,
}

/// Where the members of a set stand.
struct Chosen {
    sure: Positions,
    /// Those, and the others that could be members if a fact were known.
    maybe: Positions,
    /// Those, and the others that miss it narrowly.
    hoped: Positions,
}

#[derive(Clone, Copy)]
struct Member<'a> {
    gpu: &'a Gpu,
    mig: Option<&'a MigDevice>,
}

/// Evaluates every gpu-set that something uses, and those that these are made of.
pub(super) fn all<'a, 's>(
    prepared: &'s Prepared<'a>,
    topology: &'a Topology,
    name: &str,
    sink: &mut Sink,
) -> Sets<'a, 's> {
    let judged = Judged::of(prepared, topology);
    let (left, own) = (Cell::new(MOST_TOLD), Vec::with_capacity(prepared.sets.len()));
    let mut sets = Sets { prepared, judged, left, sets: own };
    for rule in &prepared.sets {
        // What is of other hosts has nothing here, and nothing is to be said of it.
        let is_elsewhere = rule.hosts.iter().any(|host| !sets.judged.is_host(*host));
        let set = if is_elsewhere { Positions::default() } else { sets.here(rule, name, sink) };
        sets.sets.push(set);
    }
    sets
}

impl<'a> Sets<'a, '_> {
    /// What a set has of a host that it does not exclude by its name.
    fn here(&self, set: &prepared::Set<'a>, name: &str, sink: &mut Sink) -> Positions {
        let (rule, topology) = (set.rule, self.judged.topology);
        let chosen = self.chosen(set);
        let (found, certain) = if rule.first.is_none() && chosen.sure == chosen.hoped {
            (chosen.sure, true)
        } else {
            self.told(set, chosen, name, sink)
        };
        if !set.is_granted {
            return found;
        }
        let names_lost = out_of_service::report(rule, topology, name, sink);
        let unknown = unknown_profiles(rule, topology);
        for profile in &unknown {
            if sink.wants(Code::NoSuchProfile, profile.span) {
                sink.push(diags::no_such_profile(rule, profile, topology, name));
            }
        }
        // Of a set of which something cannot be told nobody can say that it is empty.
        let is_told = certain && unknown.is_empty() && !names_lost;
        let whole = rule.mig_profiles.is_empty();
        if !is_told || self.at(&found).any(|(_, member)| member.is_held(whole)) {
            return found;
        }
        if !sink.wants(Code::EmptyGpuSet, rule.name.span) {
            return found;
        }
        if found.is_empty() {
            sink.push(diags::empty_gpu_set(rule, self.emptied(set), topology, name));
        } else {
            sink.push(diags::only_sliced(rule, topology, name));
        }
        found
    }

    /// The members of a set, but for its `first`, and what is nearly one.
    fn chosen(&self, set: &prepared::Set<'a>) -> Chosen {
        let sure = self.of_kind(set);
        let mut chosen = Chosen { maybe: sure.clone(), hoped: sure.clone(), sure };
        for verdicts in set.selectors.iter().filter_map(|selector| self.judged.verdicts(*selector)) {
            chosen.sure.keep(&verdicts.yes);
            chosen.maybe.keep(&verdicts.maybe);
            chosen.hoped.keep(&verdicts.hope);
            if chosen.hoped.is_empty() {
                break;
            }
        }
        chosen
    }

    /// So many devices may be told of a set or line of which something cannot be told; they count.
    pub(super) fn may_tell(&self, devices: usize) -> usize {
        let most = self.left.get().max(1).min(devices);
        self.left.set(self.left.get().saturating_sub(most));
        most
    }

    /// What a set could have, without what the others have that it excepts.
    fn of_kind(&self, set: &prepared::Set<'a>) -> Positions {
        let mut all = self.judged.of_kind(set.rule);
        set.except
            .iter()
            .filter_map(|(_, except)| self.sets.get(*except))
            .for_each(|other| all.remove(other));
        all
    }

    /// The members, with what is to be said of each device of which something is; whether all could be told.
    fn told(
        &self,
        set: &prepared::Set<'a>,
        chosen: Chosen,
        name: &str,
        sink: &mut Sink,
    ) -> (Positions, bool) {
        let Chosen { sure, maybe, hoped } = chosen;
        let mut own = Sink::default();
        // Those of which a fact is missing come first: an error must not be lost behind what is none.
        for devices in [maybe.without(&sure), hoped.without(&maybe)] {
            for at in devices.iter().take(self.may_tell(devices.len())) {
                if let Some(candidate) = self.judged.candidates.get(at) {
                    not_chosen(set.rule, candidate, Some((name, &mut own)));
                }
            }
        }
        let members = self.first(set.rule, sure, name, &mut own);
        let certain = !own.has_errors();
        own.finish().into_iter().for_each(|finding| sink.push(finding));
        (members, certain)
    }

    /// The first devices that a set holds, if it says how many: then it is these in its widest sense too, so that what one
    /// set has and another excepts leaves nothing out.
    fn first(&self, rule: &GpuSet, members: Positions, name: &str, sink: &mut Sink) -> Positions {
        let Some(count) = &rule.first else { return members };
        let whole = rule.mig_profiles.is_empty();
        let unknown = self.at(&members).filter(|(_, member)| whole && member.mig.is_none());
        let unknown = unknown.filter_map(|(_, member)| match &member.gpu.mig {
            Fact::Unknown(why) => Some((member.gpu, why)),
            Fact::Known(_) | Fact::Absent => None,
        });
        let unknown: Vec<(&Gpu, &String)> = unknown.collect();
        for (gpu, why) in unknown.iter().take(self.may_tell(unknown.len())) {
            sink.push(diags::unknown_to_selector(rule, count.span, gpu, "MIG mode", why, name));
        }
        let most = usize::try_from(count.value).unwrap_or(usize::MAX);
        let held = self.at(&members).filter(|(_, member)| member.is_held(whole)).take(most);
        self.standing(held.map(|(key, _)| key))
    }

    /// Why a set is empty: what of it leaves nothing of the devices before it, and how many these are. Nothing if facts
    /// are missing, or if the set is for other hosts.
    fn emptied(&self, set: &prepared::Set<'a>) -> Option<(Span, usize)> {
        let rule = set.rule;
        let mut left = self.judged.of_kind(rule);
        if rule.mig_profiles.is_empty() {
            left.keep(&self.judged.whole);
        }
        let selectors = rule.selectors.iter().filter(|selector| !matches!(selector.value, Selector::Host(_)));
        for (selector, number) in selectors.zip(&set.selectors) {
            let before = left.len();
            left.keep(&self.judged.verdicts(*number)?.maybe);
            if left.is_empty() && before > 0 {
                return Some((selector.span, before));
            }
        }
        rule.except.first().filter(|_| !left.is_empty()).map(|except| (except.span, left.len()))
    }

    /// The devices at these positions, ascending.
    fn at(&self, positions: &Positions) -> impl Iterator<Item = (Key, Member<'a>)> {
        let candidates = positions.iter().filter_map(|at| self.judged.candidates.get(at));
        candidates.map(|candidate| (candidate.key(), Member::of(candidate)))
    }

    /// The members of a set, ascending.
    fn of(&self, set: usize) -> impl Iterator<Item = (Key, Member<'a>)> {
        self.sets.get(set).into_iter().flat_map(|set| self.at(set))
    }

    fn named(&self, set: &str) -> impl Iterator<Item = (Key, Member<'a>)> {
        self.prepared.names.get(set).into_iter().flat_map(|set| self.of(*set))
    }

    /// Whether a set has any member.
    pub(super) fn has_any(&self, set: Option<usize>) -> bool {
        set.and_then(|set| self.sets.get(set)).is_some_and(|set| !set.is_empty())
    }

    /// Whether it is a set of whole GPUs.
    fn is_whole(&self, set: usize) -> bool {
        self.prepared.sets.get(set).is_some_and(|set| set.rule.mig_profiles.is_empty())
    }

    /// The GPUs that a set reaches, by themselves or by a MIG device, by index.
    pub(super) fn reached(&self, set: &str) -> BTreeMap<u32, &'a Gpu> {
        self.named(set).map(|((index, _), member)| (index, member.gpu)).collect()
    }

    /// Whose GPUs the sets of these lines reach.
    pub(super) fn vendors(&self, lines: &[(&'a Line, Option<usize>)]) -> BTreeSet<Vendor> {
        let sets = lines.iter().filter_map(|(_, set)| *set);
        sets.flat_map(|set| self.of(set)).map(|(_, member)| member.gpu.vendor).collect()
    }

    /// The devices that a line of this set can give, by index: whole GPUs with MIG off, or MIG devices.
    pub(super) fn grantable(
        &self,
        line: &'a Line,
        set: Option<usize>,
        name: &str,
        sink: &mut Sink,
    ) -> Vec<Device<'a>> {
        let Some(set) = set else { return Vec::new() };
        let whole = self.is_whole(set);
        let (mut devices, mut others) = (Vec::new(), Vec::new());
        for (_, member) in self.of(set).filter(|(_, member)| member.is_held(whole)) {
            match member.device() {
                Ok(device) => devices.push(device),
                Err(missing) => others.push((member.gpu, missing)),
            }
        }
        let told = self.may_tell(others.len());
        for (gpu, Missing { fact, why }) in others.into_iter().take(told) {
            sink.push(diags::unknown_fact(&line.gpu_set, gpu, fact, why, name));
        }
        devices
    }

    /// Where the devices stand that a line of the set could give: of a set of whole GPUs no MIG device.
    pub(super) fn held(&self, set: &str) -> Positions {
        let Some(number) = self.prepared.names.get(set).copied() else { return Positions::default() };
        let whole = self.is_whole(number);
        let own = self.of(number).filter(|(_, member)| member.is_held(whole));
        self.standing(own.map(|(key, _)| key))
    }

    /// Where devices of the host stand among all of them.
    pub(super) fn standing(&self, keys: impl Iterator<Item = Key>) -> Positions {
        self.judged.standing(keys)
    }

    /// Where these GPUs stand with all their MIG devices.
    pub(super) fn standing_on<T>(&self, gpus: &BTreeMap<u32, T>) -> Positions {
        self.judged.positions(|(gpu, _)| gpus.contains_key(gpu))
    }

    /// Whether the host has anything of a set, so called.
    pub(super) fn has_any_of(&self, set: &str) -> bool {
        self.has_any(self.prepared.names.get(set).copied())
    }

    /// What each set has that has anything.
    pub(super) fn extents(&self) -> BTreeMap<&'a str, Extent> {
        let extent = |(name, set): (&&'a str, &usize)| {
            let whole = self.is_whole(*set);
            let held = self.of(*set).filter(|(_, member)| member.is_held(whole));
            let grantable = held.map(|(key, _)| key).collect();
            (*name, Extent { widest: self.of(*set).map(|(key, _)| key).collect(), grantable })
        };
        let some = self.prepared.names.iter().filter(|(_, set)| self.has_any(Some(**set)));
        some.map(extent).collect()
    }
}

/// The first of a set's words that leaves a device out of it; nothing if it has the device, or is of another kind. `extents`
/// are those of the host.
#[must_use]
pub(super) fn left_out<'a>(
    rule: &'a GpuSet,
    topology: &Topology,
    extents: &BTreeMap<&str, Extent>,
    key: &Key,
) -> Option<LeftOut<'a>> {
    let has = |set: &str| extents.get(set).is_some_and(|extent| extent.widest.contains(key));
    if has(&rule.name.value) {
        return None;
    }
    let candidate = candidates(rule, topology).into_iter().find(|candidate| candidate.key() == *key)?;
    if let Some(other) = rule.except.iter().find(|other| has(&other.value)) {
        return Some(LeftOut::Except(other));
    }
    if let Some(selector) = not_chosen(rule, &candidate, None) {
        return Some(LeftOut::Selector(selector));
    }
    let member = Member::of(&candidate);
    rule.first.as_ref().filter(|_| member.is_held(rule.mig_profiles.is_empty())).map(LeftOut::First)
}

struct Missing<'a> {
    fact: &'static str,
    why: &'a str,
}

impl<'a> Member<'a> {
    fn of(candidate: &Candidate<'a>) -> Self {
        Self { gpu: candidate.gpu, mig: candidate.mig }
    }

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

/// The first selector of a set that does not choose a device, or of which that cannot be told. `said`: the host's name, and
/// where what is to be said of it goes.
fn not_chosen<'a>(
    rule: &'a GpuSet,
    candidate: &Candidate<'_>,
    said: Option<(&str, &mut Sink)>,
) -> Option<&'a Spanned<Selector>> {
    let verdicts = rule.selectors.iter().map(|selector| (selector, candidate.judge(selector)));
    let open: Vec<_> = verdicts.filter(|(_, verdict)| !matches!(verdict, Verdict::Yes)).collect();
    let first = open.first().map(|(selector, _)| *selector);
    if open.iter().any(|(_, verdict)| matches!(verdict, Verdict::No)) {
        return first;
    }
    let Some((name, sink)) = said else { return first };
    for (_, verdict) in &open {
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
    first
}

/// The profiles of a set that no board of the host has; none where the profiles of a board are not known.
fn unknown_profiles<'a>(rule: &'a GpuSet, topology: &Topology) -> Vec<&'a Spanned<String>> {
    if rule.mig_profiles.is_empty() {
        return Vec::new();
    }
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

#[cfg(test)]
mod tests;
