//! What selectors say of the devices of one host, each asked once however many gpu-sets say the same.

use std::cell::OnceCell;

use super::Key;
use super::alike::Alike;
use super::judge::{Candidate, Verdict, any_matches};
use super::positions::Positions;
use super::prepared::Prepared;
use crate::policy::{GpuSet, Selector};
use crate::source::Spanned;
use crate::topology::Topology;

/// The devices of a host, and what is known of them so far.
pub(super) struct Judged<'a, 's> {
    prepared: &'s Prepared<'a>,
    pub(super) topology: &'a Topology,
    /// By their keys.
    pub(super) candidates: Vec<Candidate<'a>>,
    all: Positions,
    /// The GPUs.
    pub(super) whole: Positions,
    alike: Alike,
    hosts: Vec<OnceCell<bool>>,
    verdicts: Vec<OnceCell<Verdicts>>,
}

/// What one selector says of all.
pub(super) struct Verdicts {
    /// Those that it chooses.
    pub(super) yes: Positions,
    /// Those, and the others of which it cannot be told.
    pub(super) maybe: Positions,
    /// Those, and the others of which something is to be said: it misses them narrowly, or a fact is missing.
    pub(super) hope: Positions,
}

impl Verdicts {
    fn none(count: usize) -> Self {
        let none = Positions::of(count, |_| false);
        Self { yes: none.clone(), maybe: none.clone(), hope: none }
    }

    /// What two alternatives say together.
    fn add(&mut self, other: &Self) {
        self.yes.add(&other.yes);
        self.maybe.add(&other.maybe);
        self.hope.add(&other.hope);
    }

    fn say(&mut self, verdict: &Verdict, of: &Positions) {
        let (yes, maybe, hope) = match verdict {
            Verdict::Yes => (true, true, true),
            Verdict::Unknown(..) => (false, true, true),
            Verdict::Near(..) => (false, false, true),
            Verdict::No => (false, false, false),
        };
        let each = [(yes, &mut self.yes), (maybe, &mut self.maybe), (hope, &mut self.hope)];
        each.into_iter().filter(|(so, _)| *so).for_each(|(_, positions)| positions.add(of));
    }
}

impl<'a, 's> Judged<'a, 's> {
    pub(super) fn of(prepared: &'s Prepared<'a>, topology: &'a Topology) -> Self {
        let mut candidates = Vec::new();
        for gpu in &topology.gpus {
            candidates.push(Candidate { topology, gpu, mig: None });
            candidates.extend(gpu.mig_devices.iter().map(|mig| Candidate { topology, gpu, mig: Some(mig) }));
        }
        candidates.sort_by_key(Candidate::key);
        let all = Positions::of(candidates.len(), |_| true);
        let whole =
            Positions::of(candidates.len(), |at| candidates.get(at).is_some_and(|own| own.mig.is_none()));
        let hosts = prepared.hosts.iter().map(|_| OnceCell::new()).collect();
        let verdicts = prepared.selectors.iter().map(|_| OnceCell::new()).collect();
        Self { prepared, topology, candidates, all, whole, alike: Alike::default(), hosts, verdicts }
    }

    /// Whether the host is one of those that a list names.
    pub(super) fn is_host(&self, list: usize) -> bool {
        let (Some(known), Some(globs)) = (self.hosts.get(list), self.prepared.hosts.get(list)) else {
            return false;
        };
        *known.get_or_init(|| any_matches(globs, &self.topology.host))
    }

    /// What a selector says.
    pub(super) fn verdicts(&self, selector: usize) -> Option<&Verdicts> {
        let (known, selector) = (self.verdicts.get(selector)?, *self.prepared.selectors.get(selector)?);
        Some(known.get_or_init(|| self.judge(selector)))
    }

    /// Asks it once of all devices that have the same of what it asks for.
    fn judge(&self, selector: &Spanned<Selector>) -> Verdicts {
        let mut verdicts = Verdicts::none(self.candidates.len());
        if let Selector::AnyOf(parts) = &selector.value {
            parts.iter().for_each(|part| verdicts.add(&self.judge(part)));
            return verdicts;
        }
        if let Some(groups) = self.alike.groups(&selector.value, &self.candidates) {
            for (first, own) in groups {
                if let Some(candidate) = self.candidates.get(*first) {
                    verdicts.say(&candidate.judge(selector), own);
                }
            }
            return verdicts;
        }
        let all: Vec<Verdict> = self.candidates.iter().map(|candidate| candidate.judge(selector)).collect();
        let of = |is_in: fn(&Verdict) -> bool| Positions::of(all.len(), |at| all.get(at).is_some_and(is_in));
        Verdicts {
            yes: of(|verdict| matches!(verdict, Verdict::Yes)),
            maybe: of(|verdict| matches!(verdict, Verdict::Yes | Verdict::Unknown(..))),
            hope: of(|verdict| !matches!(verdict, Verdict::No)),
        }
    }

    /// What a set could have: GPUs and all their MIG devices, or MIG devices of its profiles.
    pub(super) fn of_kind(&self, set: &GpuSet) -> Positions {
        if set.mig_profiles.is_empty() {
            return self.all.clone();
        }
        let wanted = |candidate: &Candidate| {
            let profile = candidate.mig.map(|mig| &mig.profile);
            set.mig_profiles.iter().any(|wanted| Some(&wanted.value) == profile)
        };
        Positions::of(self.candidates.len(), |at| self.candidates.get(at).is_some_and(wanted))
    }

    /// Where the devices of these keys stand.
    pub(super) fn standing(&self, keys: impl Iterator<Item = Key>) -> Positions {
        let mut standing = Positions::of(self.candidates.len(), |_| false);
        for key in keys {
            if let Ok(at) = self.candidates.binary_search_by_key(&key, Candidate::key) {
                standing.insert(at);
            }
        }
        standing
    }

    /// Where those devices stand.
    pub(super) fn positions(&self, is_in: impl Fn(&Key) -> bool) -> Positions {
        let has = |at: usize| self.candidates.get(at).is_some_and(|candidate| is_in(&candidate.key()));
        Positions::of(self.candidates.len(), has)
    }
}
