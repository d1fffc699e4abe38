//! The simplest request by which a change is seen: what comes of it in both policies, where nobody else holds anything, differs in just
//! what the change says.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;

use super::asked::{Asked, Manner, Wanted};
use super::change::{Change, Direction, Property};
use super::gift::{Tenants, matched};
use super::offer::{self, Offer, Outcome};
use super::request::{self, Pair};
use crate::policy::classes::TooComplex;
use crate::resolve::{Device, Grant, Line};

/// So many groups of a `place` are tried, and so many devices that come or go.
const MOST_NAMED: usize = 64;

/// What comes of one request in both policies.
type Outcomes = [Option<Outcome>; 2];

/// Two grants on a host on which something changes.
pub(super) struct Seen<'s, 'a> {
    grants: [Option<&'s Grant<'a>>; 2],
    tenants: Tenants,
    offers: [Offer; 2],
    manner: Manner,
    /// Lines that stand for each other.
    pairs: Vec<(Option<usize>, Option<usize>)>,
}

impl<'s, 'a> Seen<'s, 'a> {
    pub(super) fn of(grants: [Option<&'s Grant<'a>>; 2], tenants: Tenants, manner: Manner) -> Self {
        let pairs = match grants {
            [Some(old), Some(new)] => matched(old, new),
            [Some(one), None] => (0..one.lines.len()).map(|at| (Some(at), None)).collect(),
            [None, Some(one)] => (0..one.lines.len()).map(|at| (None, Some(at))).collect(),
            [None, None] => Vec::new(),
        };
        Self { grants, tenants, offers: offer::both(grants, tenants, manner), manner, pairs }
    }

    /// The first request that shows a change; if one container shows nothing of it, because it depends on what others hold, the first
    /// that is granted in either policy.
    ///
    /// # Errors
    ///
    /// If there are more requests than are tried.
    pub(super) fn request(&self, change: &Change) -> Result<Asked, TooComplex> {
        let requests = self.requests(change)?;
        let mut granted = None;
        for asked in &requests {
            let outcomes = self.offers.each_ref().map(|offer| offer.outcome(asked));
            if self.shows(change, asked, &outcomes) {
                return Ok(asked.clone());
            }
            if granted.is_none() && outcomes.iter().any(Option::is_some) {
                granted = Some(asked);
            }
        }
        let asked = granted.or(requests.first()).cloned();
        Ok(asked.unwrap_or_else(|| Wanted::Count(1).into()))
    }

    /// What could show a change, the simplest first.
    fn requests(&self, change: &Change) -> Result<Vec<Asked>, TooComplex> {
        let mut devices = match &change.asked {
            Some(asked) => vec![asked.devices.clone()],
            None => self.wanted(change)?,
        };
        devices.retain(|wanted| wanted.is_of(self.manner));
        let features = self.features(change);
        let with = |capabilities: &BTreeSet<Capability>| -> Vec<Asked> {
            let asked = |devices: &Wanted| Asked {
                devices: devices.clone(),
                capabilities: capabilities.clone(),
                features: features.clone(),
            };
            devices.iter().map(asked).collect()
        };
        Ok(self.capabilities(change).iter().flat_map(with).collect())
    }

    fn wanted(&self, change: &Change) -> Result<Vec<Wanted>, TooComplex> {
        let mut devices = match change.property {
            Property::Default => vec![Wanted::All],
            _ => vec![Wanted::Count(1), Wanted::All],
        };
        if let [Some(old), Some(new)] = [self.grants[0].or(self.grants[1]), self.grants[1].or(self.grants[0])]
        {
            let (offers, manner, lines) = (&self.offers, self.manner, &self.pairs);
            let pair = Pair { grants: [old, new], offers, limits: self.tenants.limits, manner, lines };
            devices.extend(request::requests(pair)?.into_iter().flat_map(|wanted| match wanted {
                // Docker's own word for it is simpler, where it comes to the same.
                Wanted::Number(count) => vec![Wanted::Count(count), wanted],
                _ => vec![wanted],
            }));
        }
        devices.extend(self.named(change).into_iter().map(Wanted::Named));
        Ok(devices)
    }

    /// None, those that come or go, and all that there are.
    fn capabilities(&self, change: &Change) -> Vec<BTreeSet<Capability>> {
        let known = |words: &[String]| words.iter().filter_map(|word| Capability::from_name(word)).collect();
        let changed = match change.property {
            Property::Capabilities => [known(&change.old), known(&change.new)],
            _ => [BTreeSet::new(), BTreeSet::new()],
        };
        let all = self.grants.iter().flatten().flat_map(|grant| grant.capabilities.iter().copied()).collect();
        let beside = changed.into_iter().chain([all]).filter(|some: &BTreeSet<_>| !some.is_empty());
        let gives_usual =
            |grant: &&Grant<'_>| Capability::DEFAULT.iter().any(|one| grant.capabilities.contains(one));
        let mut sets: Vec<BTreeSet<Capability>> = [BTreeSet::new()].into_iter().chain(beside).collect();
        // Who would be refused for them shows nothing else.
        if change.property != Property::Capabilities && !self.grants.iter().flatten().all(gives_usual) {
            sets.reverse();
        }
        sets
    }

    /// Those that come or go.
    fn features(&self, change: &Change) -> BTreeSet<Feature> {
        let all = self.grants.iter().flatten().flat_map(|grant| &grant.features).map(|one| one.feature);
        let is_changed = |feature: &Feature| {
            let word = feature.to_string();
            change.property == Property::Features
                && change.old.iter().chain(&change.new).any(|one| *one == word)
        };
        all.filter(is_changed).collect()
    }

    /// Devices by name: each that comes or goes, the first ones of each line, and the groups of one policy alone.
    fn named(&self, change: &Change) -> Vec<Vec<String>> {
        let mut all: BTreeMap<&str, Device<'a>> = BTreeMap::new();
        for grant in self.grants.into_iter().flatten() {
            all.extend(grant.devices().map(|device| (device.uuid(), device)));
        }
        let name = |device: &Device<'_>| match self.manner {
            Manner::Slurm => device.index(),
            Manner::Words | Manner::Docker => device.uuid().to_owned(),
        };
        let changed = change.uuids.iter().filter_map(|uuid| all.get(uuid.as_str()));
        let mut named: Vec<Vec<String>> = changed.take(MOST_NAMED).map(|device| vec![name(device)]).collect();
        for line in self.lines(change) {
            let names: Vec<String> = line.devices.iter().map(name).collect();
            let most = usize::try_from(line.rule.at_most.of(names.len())).unwrap_or(usize::MAX);
            let sizes = BTreeSet::from([1, most, most.saturating_add(1)]);
            named.extend(sizes.into_iter().filter_map(|size| Some(names.get(..size)?.to_vec())));
            let slots = line.slots.iter().flatten().take(MOST_NAMED);
            let of = |slot: &Vec<u32>| -> Option<Vec<String>> {
                slot.iter().map(|at| names.get(usize::try_from(*at).ok()?).cloned()).collect()
            };
            named.extend(slots.filter_map(of));
        }
        let lines = self.grants.into_iter().flatten().flat_map(|grant| &grant.lines);
        named.extend(lines.filter_map(|line| Some(vec![name(line.devices.first()?)])));
        named
    }

    /// The lines that a change is of.
    fn lines(&self, change: &Change) -> impl Iterator<Item = &'s Line<'a>> {
        let lines = self.grants.into_iter().flatten().flat_map(|grant| &grant.lines);
        let is_meant =
            |line: &&Line<'_>| change.gpu_set.as_ref().is_none_or(|set| *set == line.rule.gpu_set.value);
        let meant: Vec<&Line<'a>> = lines.filter(is_meant).collect();
        meant.into_iter()
    }

    /// Whether what comes of a request shows the change.
    fn shows(&self, change: &Change, asked: &Asked, outcomes: &Outcomes) -> bool {
        let [old, new] = outcomes.each_ref().map(Option::as_ref);
        let devices =
            |outcome: Option<&Outcome>| outcome.map(|outcome| outcome.devices.keys().cloned().collect());
        let [before, after]: [Option<BTreeSet<String>>; 2] = [devices(old), devices(new)];
        match change.property {
            Property::Devices if change.direction == Direction::Other => {
                let line = |outcome: Option<&Outcome>, uuid: &String| outcome?.devices.get(uuid).copied();
                change.uuids.iter().any(|uuid| line(old, uuid) != line(new, uuid))
            }
            Property::Devices => {
                let has = |devices: &Option<BTreeSet<String>>, uuid| {
                    devices.as_ref().is_some_and(|all| all.contains(uuid))
                };
                change.uuids.iter().any(|uuid| has(&before, uuid) != has(&after, uuid))
            }
            // Which line of Slurm's containers gives what they name is all the same to them.
            Property::AtMost if self.manner == Manner::Slurm => match change.direction {
                Direction::Gain => old.is_none() && new.is_some(),
                Direction::Loss => old.is_some() && new.is_none(),
                Direction::Other => old.is_some() != new.is_some(),
            },
            Property::Line | Property::AtMost | Property::LineOrder => {
                self.counts(change, outcomes).any(|counts| change.is_amount(counts))
            }
            Property::Default => match asked.devices {
                Wanted::All => before != after,
                _ => self.counts(change, outcomes).any(|counts| change.is_amount(counts)),
            },
            Property::Sharing
            | Property::Shares
            | Property::Memory
            | Property::Threads
            | Property::Timeslice => self.counts(change, outcomes).any(|[old, new]| old > 0 && new > 0),
            Property::Capabilities => {
                let has = |outcome: Option<&Outcome>, word: &String| {
                    outcome.is_some_and(|one| one.capabilities.iter().any(|one| one.name() == word))
                };
                change.old.iter().chain(&change.new).any(|word| has(old, word) != has(new, word))
            }
            Property::Features => {
                let features = |outcome: Option<&Outcome>| outcome.map(|outcome| outcome.features.clone());
                features(old) != features(new)
            }
            _ => before != after,
        }
    }

    /// How many devices each pair of lines gives that a change is of.
    fn counts(&self, change: &Change, outcomes: &Outcomes) -> impl Iterator<Item = [usize; 2]> {
        let is_of = |side: usize, at: Option<usize>| {
            let line = self.grants.get(side).copied().flatten().and_then(|grant| grant.lines.get(at?));
            line.is_some_and(|line| change.gpu_set.as_ref().is_none_or(|set| *set == line.rule.gpu_set.value))
        };
        let count = |side: usize, at: Option<usize>| {
            let outcome = outcomes.get(side).and_then(Option::as_ref);
            let lines = outcome.into_iter().flat_map(|outcome| outcome.devices.values());
            lines.filter(|line| Some(**line) == at).count()
        };
        let meant = self.pairs.iter().filter(|(old, new)| is_of(0, *old) || is_of(1, *new));
        let counts: Vec<[usize; 2]> = meant.map(|(old, new)| [count(0, *old), count(1, *new)]).collect();
        counts.into_iter()
    }
}
