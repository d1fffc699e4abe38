//! What each tenant has by each grant on all hosts, numbered: what has one number is the same, and what two numbers come to is told once.

use std::collections::{BTreeMap, BTreeSet};

use super::asked::Manner;
use super::change::{Change, Changes};
use super::gift::{self, Tenants};
use super::request::Limit;
use super::same::Same;
use super::shown::Seen;
use super::{Side, owner};
use crate::policy::classes::{Both, Engines, Owners, TooComplex};
use crate::policy::{Engine, RequestIndices, Tenant};
use crate::resolve::Grant;

/// The number of no grant, on one host or on all.
const NOTHING: u32 = 0;
/// A device of a line takes about as long to compare as so many pairs to look at, and so does the line.
const PAIRS_A_DEVICE: usize = 2;

/// By tenant, and by grant.
type By<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Had<'a>>>;

/// What a tenant has by a grant.
struct Had<'a> {
    /// On each host.
    grants: Vec<Option<&'a Grant<'a>>>,
    /// The number of each, among all of its host.
    numbers: Vec<u32>,
    /// The number of these numbers.
    number: u32,
}

/// Two that are compared, by their numbers.
type Pair = ([u32; 2], Tenants);

/// How the containers of some engines ask; ascending.
type Manners = Vec<Manner>;

/// What each tenant has by each grant, on each host.
pub(super) struct Gifts<'a> {
    tenants: [BTreeMap<&'a str, Whose>; 2],
    indices: [RequestIndices; 2],
    by: [By<'a>; 2],
    known: Known<'a>,
}

/// What decides beside its grants what a tenant gets: whether it is trusted, and how many leases it has.
type Whose = (bool, Limit);

/// What was found out of pairs.
struct Known<'a> {
    /// Of the hosts.
    names: &'a [String],
    alike: BTreeMap<(Pair, Manners), Vec<Manners>>,
    found: BTreeMap<(Pair, Manner), Changes>,
    shown: BTreeMap<(Pair, Manner), Vec<Change>>,
}

/// What two tenants have, by numbers and in full.
#[derive(Clone, Copy)]
struct Two<'g, 'a> {
    pair: Pair,
    had: Both<&'g Had<'a>>,
}

impl<'a> Gifts<'a> {
    pub(super) fn of(sides: [Side<'a>; 2], names: &'a [String]) -> Self {
        let mut by = sides.map(had);
        for host in 0..names.len() {
            number_on(host, &mut by);
        }
        let mut known = BTreeMap::from([(vec![NOTHING; names.len()], NOTHING)]);
        for had in each(&mut by) {
            had.number = number(&mut known, had.numbers.clone());
        }
        let whose = |side: Side<'a>| {
            let tenants = side.policy.tenants.values();
            let of = |tenant: &'a Tenant| (tenant.trust.is_some(), owner::effective(side, tenant));
            tenants.map(|tenant| (tenant.name.value.as_str(), of(tenant))).collect()
        };
        let indices = sides.map(|side| side.policy.settings.request_indices);
        let known = Known { names, alike: BTreeMap::new(), found: BTreeMap::new(), shown: BTreeMap::new() };
        Self { tenants: sides.map(whose), indices, by, known }
    }

    /// In what the new grant gives the new tenant anything else than the old one gave the old tenant under an engine, each with a
    /// request that shows it; `look` is told how many pairs could have been looked at meanwhile.
    pub(super) fn changes(
        &mut self,
        owners: &Owners<'_>,
        grants: Both<&str>,
        engine: Engine,
        look: impl Fn(usize) -> Result<(), TooComplex>,
    ) -> Result<Vec<Change>, TooComplex> {
        let two = two(&self.tenants, self.indices, &self.by, owners, grants);
        self.known.shown(two, Manner::of(engine), &look)
    }

    /// The engines under which it gives anything else, those together of which it is the same; `look` as of the changes.
    pub(super) fn differ(
        &mut self,
        owners: &Owners<'_>,
        grants: Both<&str>,
        look: impl Fn(usize) -> Result<(), TooComplex>,
    ) -> Result<Vec<Engines>, TooComplex> {
        let two = two(&self.tenants, self.indices, &self.by, owners, grants);
        let ([old, new], _) = two.pair;
        if old == new {
            return Ok(Vec::new());
        }
        let engines = || owners.known.keys().copied();
        let manners: BTreeSet<Manner> = engines().map(Manner::of).collect();
        let alike = self.known.alike(two, manners.into_iter().collect(), &look)?;
        let of = |manners: &Manners| engines().filter(|one| manners.contains(&Manner::of(*one))).collect();
        Ok(alike.iter().map(of).collect())
    }
}

impl Known<'_> {
    /// The changes, each with a request that shows it.
    fn shown(
        &mut self,
        two: Two<'_, '_>,
        manner: Manner,
        look: &impl Fn(usize) -> Result<(), TooComplex>,
    ) -> Result<Vec<Change>, TooComplex> {
        if let Some(known) = self.shown.get(&(two.pair, manner)) {
            return Ok(known.clone());
        }
        let mut changes = self.found(two, manner, look)?.into_vec();
        let mut seen: BTreeMap<usize, Seen<'_, '_>> = BTreeMap::new();
        for change in &mut changes {
            let host = self.names.iter().position(|name| change.hosts.first() == Some(name));
            let Some(host) = host else { continue };
            let grants = two.had.map(|had| on(had, host));
            look(cost(grants))?;
            let on_host = seen.entry(host).or_insert_with(|| Seen::of(grants, two.pair.1, manner));
            change.asked = Some(on_host.request(change)?);
        }
        self.shown.insert((two.pair, manner), changes.clone());
        Ok(changes)
    }

    /// The manners of asking for which something differs, those together of which it is the same.
    fn alike(
        &mut self,
        two: Two<'_, '_>,
        manners: Manners,
        look: &impl Fn(usize) -> Result<(), TooComplex>,
    ) -> Result<Vec<Manners>, TooComplex> {
        let key = (two.pair, manners);
        if let Some(known) = self.alike.get(&key) {
            return Ok(known.clone());
        }
        let mut others = (0..self.names.len()).filter(|host| !are_same(two.had, *host));
        let alike = if others.all(|host| gift::is_whole(two.had.map(|had| on(had, host)))) {
            vec![key.1.clone()]
        } else {
            let mut alike: BTreeMap<Vec<Change>, Manners> = BTreeMap::new();
            for manner in &key.1 {
                let changes = self.found(two, *manner, look)?.into_vec();
                if !changes.is_empty() {
                    alike.entry(changes).or_default().push(*manner);
                }
            }
            alike.into_values().collect()
        };
        self.alike.insert(key, alike.clone());
        Ok(alike)
    }

    /// In what they differ on all hosts.
    fn found(
        &mut self,
        two: Two<'_, '_>,
        manner: Manner,
        look: &impl Fn(usize) -> Result<(), TooComplex>,
    ) -> Result<Changes, TooComplex> {
        if let Some(known) = self.found.get(&(two.pair, manner)) {
            return Ok(known.clone());
        }
        let mut changes = Changes::default();
        for (host, name) in self.names.iter().enumerate() {
            if !are_same(two.had, host) {
                let grants = two.had.map(|had| on(had, host));
                look(cost(grants))?;
                gift::compare(grants, two.pair.1, manner, name, &mut changes)?;
            }
        }
        self.found.insert((two.pair, manner), changes.clone());
        Ok(changes)
    }
}

/// What two owners have by two grants.
fn two<'g, 'a>(
    tenants: &[BTreeMap<&str, Whose>; 2],
    indices: [RequestIndices; 2],
    by: &'g [By<'a>; 2],
    owners: &Owners<'_>,
    grants: Both<&str>,
) -> Two<'g, 'a> {
    let name = |side: usize| owners.tenants.get(side).copied().flatten();
    let whose = [0, 1].map(|side| tenants.get(side)?.get(name(side)?).copied());
    let had = [0, 1].map(|side: usize| {
        let grant = grants.get(side).copied().flatten()?;
        by.get(side)?.get(name(side)?)?.get(grant)
    });
    let whose = whose.map(Option::unwrap_or_default);
    let tenants = Tenants {
        trusted: whose.map(|(trusted, _)| trusted),
        limits: whose.map(|(_, limit)| limit),
        indices,
    };
    Two { pair: (had.map(of_all), tenants), had }
}

/// What one policy gives, without numbers yet.
fn had<'a>(side: Side<'a>) -> By<'a> {
    let mut by = By::new();
    let hosts = side.hosts.len();
    let none = || Had { grants: vec![None; hosts], numbers: vec![NOTHING; hosts], number: NOTHING };
    for (at, host) in side.hosts.iter().enumerate() {
        for grant in &host.grants {
            let of = by.entry(grant.tenant).or_default();
            let had = of.entry(&grant.rule.name.value).or_insert_with(none);
            had.grants.get_mut(at).into_iter().for_each(|slot| *slot = Some(grant));
        }
    }
    by
}

fn each<'b, 'a>(by: &'b mut [By<'a>; 2]) -> impl Iterator<Item = &'b mut Had<'a>> {
    by.iter_mut().flat_map(BTreeMap::values_mut).flat_map(BTreeMap::values_mut)
}

/// Numbers what all grants give on one host.
fn number_on(host: usize, by: &mut [By<'_>; 2]) {
    let mut known = BTreeMap::new();
    for had in each(by) {
        let grant = had.grants.get(host).copied().flatten();
        let found = grant.map_or(NOTHING, |grant| number(&mut known, Same::of(grant)));
        had.numbers.get_mut(host).into_iter().for_each(|slot| *slot = found);
    }
}

/// The number of a thing: the next one if it has none yet, which is never that of nothing.
fn number<T: Ord>(known: &mut BTreeMap<T, u32>, thing: T) -> u32 {
    let next = u32::try_from(known.len()).unwrap_or(u32::MAX).saturating_add(1);
    *known.entry(thing).or_insert(next)
}

fn of_all(had: Option<&Had<'_>>) -> u32 {
    had.map_or(NOTHING, |had| had.number)
}

fn on<'a>(had: Option<&Had<'a>>, host: usize) -> Option<&'a Grant<'a>> {
    had?.grants.get(host).copied().flatten()
}

/// Whether both give the same on a host.
fn are_same(had: Both<&Had<'_>>, host: usize) -> bool {
    let [old, new] = had.map(|had| had.and_then(|had| had.numbers.get(host)).unwrap_or(&NOTHING));
    old == new
}

/// How many pairs could be looked at while what two grants give on a host is compared.
fn cost(grants: Both<&Grant<'_>>) -> usize {
    let lines = grants.into_iter().flatten().flat_map(|grant| &grant.lines);
    lines.map(|line| 1 + line.devices.len()).sum::<usize>().saturating_mul(PAIRS_A_DEVICE).saturating_add(1)
}
