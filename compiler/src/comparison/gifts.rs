//! What each tenant has by each grant on all hosts, numbered: what has one number is the same, and what two numbers come to is told once.

use std::collections::BTreeMap;

use super::Side;
use super::change::Changes;
use super::gift::{self, Tenants};
use super::same::Same;
use crate::policy::classes::{Both, Owners, TooComplex};
use crate::policy::{Policy, Tenant};
use crate::resolve::Grant;

/// The number of no grant, on one host or on all.
const NOTHING: u32 = 0;
/// So many devices of a host take about as long to compare as a pair to look at.
const DEVICES_A_PAIR: usize = 4;

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

/// What each tenant has by each grant, on each host.
pub(super) struct Gifts<'a> {
    names: &'a [String],
    policies: [&'a Policy; 2],
    by: [By<'a>; 2],
    differ: BTreeMap<Pair, bool>,
    changes: BTreeMap<Pair, Changes>,
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
        let policies = sides.map(|side| side.policy);
        Self { names, policies, by, differ: BTreeMap::new(), changes: BTreeMap::new() }
    }

    /// In what the new grant gives the new tenant anything else than the old one gave the old tenant; `look` is told how many pairs
    /// could have been looked at meanwhile.
    pub(super) fn changes(
        &mut self,
        owners: &Owners<'_>,
        grants: Both<&str>,
        look: impl Fn(usize) -> Result<(), TooComplex>,
    ) -> Result<Changes, TooComplex> {
        let (tenants, had) = (self.tenants(owners), self.had(owners, grants));
        let pair = (had.map(of_all), tenants);
        if let Some(known) = self.changes.get(&pair) {
            return Ok(known.clone());
        }
        let mut changes = Changes::default();
        for (host, name) in self.names.iter().enumerate() {
            if !are_same(had, host) {
                let grants = had.map(|had| on(had, host));
                look(cost(grants))?;
                gift::compare(grants, tenants, name, &mut changes);
            }
        }
        self.changes.insert(pair, changes.clone());
        Ok(changes)
    }

    /// Whether it gives anything else; `look` as of the changes.
    pub(super) fn differ(
        &mut self,
        owners: &Owners<'_>,
        grants: Both<&str>,
        look: impl Fn(usize) -> Result<(), TooComplex>,
    ) -> Result<bool, TooComplex> {
        let (tenants, had) = (self.tenants(owners), self.had(owners, grants));
        let pair = (had.map(of_all), tenants);
        if let Some(known) = self.differ.get(&pair) {
            return Ok(*known);
        }
        let mut differ = false;
        for host in (0..self.names.len()).filter(|host| !are_same(had, *host)) {
            let grants = had.map(|had| on(had, host));
            look(cost(grants))?;
            differ = gift::differ(grants, tenants);
            if differ {
                break;
            }
        }
        self.differ.insert(pair, differ);
        Ok(differ)
    }

    /// The index of a device that one of the grants gives.
    pub(super) fn device(&self, owners: &Owners<'_>, grants: Both<&str>) -> Option<String> {
        let [old, new] = self.had(owners, grants);
        let grants = (0..self.names.len()).flat_map(|host| [on(new, host), on(old, host)]).flatten();
        grants.flat_map(Grant::devices).next().map(|device| device.index())
    }

    fn tenants(&self, owners: &Owners<'_>) -> Tenants {
        let tenant = |side: usize| -> Option<&Tenant> {
            self.policies.get(side)?.tenants.get(owners.tenants.get(side).copied().flatten()?)
        };
        let tenants = [tenant(0), tenant(1)];
        Tenants {
            trusted: tenants.iter().flatten().any(|tenant| tenant.trust.is_some()),
            limits: tenants.map(|tenant| tenant?.limit.as_ref().map(|limit| limit.value)),
        }
    }

    /// What each tenant has by its grant.
    fn had(&self, owners: &Owners<'_>, grants: Both<&str>) -> Both<&Had<'a>> {
        [0, 1].map(|side| {
            let tenant = owners.tenants.get(side).copied().flatten()?;
            let grant = grants.get(side).copied().flatten()?;
            self.by.get(side)?.get(tenant)?.get(grant)
        })
    }
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
    1 + lines.map(|line| 1 + line.devices.len()).sum::<usize>() / DEVICES_A_PAIR
}
