//! What is otherwise for all containers of two tenants, whatever they say of themselves.

use std::collections::BTreeMap;

use super::change::{Change, Changes, Direction, Property};
use super::request::Limit;
use super::{Difference, Side, Witness, gift};
use crate::policy::classes::Owners;
use crate::policy::{OnBypass, Policy, Tenant};
use crate::resolve::{Device, Resolution};

pub(super) fn difference(owners: &Owners<'_>, sides: [Side<'_>; 2], names: &[String]) -> Option<Difference> {
    let [old, new] =
        [0, 1].map(|at| named(sides.get(at)?.policy, owners.tenants.get(at).copied().flatten()?));
    let mut changes: Vec<Change> = membership([old, new]).into_iter().collect();
    changes.extend(trust([old, new]));
    let settings = sides.map(|side| side.policy.settings.on_bypass.value);
    changes.extend(guard([old, new], settings));
    if let (Some(old), Some(new)) = (old, new) {
        changes.extend(limit(old, new, sides));
    }
    changes.extend(guarantees(owners, sides, names).into_vec());
    let witness = Witness::any(owners, device(owners, sides));
    changes.iter_mut().for_each(|change| change.witness.clone_from(&witness));
    (!changes.is_empty()).then(|| Difference {
        tenants: owners.tenants.map(|tenant| tenant.map(str::to_owned)),
        grants: [None, None],
        when: [Vec::new(), Vec::new()],
        changes,
    })
}

/// The first device that its grants give a tenant, in the new policy or else in the old one.
fn device<'a>(owners: &Owners<'_>, sides: [Side<'a>; 2]) -> Option<Device<'a>> {
    let tenants = sides.into_iter().zip(owners.tenants).rev();
    let grants = tenants.filter_map(|(side, tenant)| Some((side.hosts, tenant?)));
    grants
        .flat_map(|(hosts, tenant)| hosts.iter().flat_map(move |host| host.of(tenant)))
        .flat_map(|grant| grant.devices())
        .next()
}

fn named<'p>(policy: &'p Policy, tenant: &str) -> Option<&'p Tenant> {
    policy.tenants.get(tenant)
}

fn membership([old, new]: [Option<&Tenant>; 2]) -> Option<Change> {
    let name = |tenant: &Tenant| tenant.name.value.clone();
    match (old, new) {
        (None, Some(new)) => Some(Change::new(Property::Tenant, Direction::Gain).to(name(new))),
        (Some(old), None) => Some(Change::new(Property::Tenant, Direction::Loss).from(name(old))),
        (Some(old), Some(new)) if old.name.value != new.name.value => {
            Some(Change::new(Property::Tenant, Direction::Other).from(name(old)).to(name(new)))
        }
        _ => None,
    }
}

fn trust(tenants: [Option<&Tenant>; 2]) -> Option<Change> {
    let [old, new] = tenants.map(|tenant| tenant.is_some_and(|tenant| tenant.trust.is_some()));
    let change = Change::new(Property::Trust, Direction::of(&old, &new)?);
    Some(if new { change.to("trusted") } else { change.from("trusted") })
}

/// What comes of a container that goes around the policy, where that depends on whether it is of a tenant: nobody's starts without any
/// GPU where a tenant's is refused, as [the guard] has it. Of somebody trusted the trust is told.
///
/// [the guard]: gpupol_plan::guard
fn guard(tenants: [Option<&Tenant>; 2], settings: [OnBypass; 2]) -> Option<Change> {
    let is_between = matches!(tenants, [None, Some(one)] | [Some(one), None] if one.trust.is_none());
    let fate = |side: usize| -> Option<(&'static str, u8)> {
        let tenant = tenants.get(side).copied().flatten();
        Some(match (settings.get(side)?, tenant) {
            (OnBypass::Refuse, _) => ("always refused", 0),
            (OnBypass::Contain, Some(_)) => ("refused if it could undo being contained", 1),
            (OnBypass::Contain, None) => ("always contained", 2),
            (OnBypass::Report, _) => ("never refused", 3),
        })
    };
    let ((from, before), (to, after)) = (fate(0)?, fate(1)?);
    let direction = Direction::of(&before, &after).filter(|_| is_between)?;
    Some(Change::new(Property::Guard, direction).from(from).to(to))
}

/// A limit, by what it means; in the words of the policies.
fn limit(old: &Tenant, new: &Tenant, [before, after]: [Side<'_>; 2]) -> Option<Change> {
    let most = |side, tenant| effective(side, tenant).unwrap_or(u32::MAX);
    let words = |tenant: &Tenant| {
        tenant.limit.as_ref().map_or_else(|| "none".to_owned(), |limit| limit.value.to_string())
    };
    let direction = Direction::of(&most(before, old), &most(after, new))?;
    Some(Change::new(Property::Limit, direction).from(words(old)).to(words(new)))
}

/// How many leases a tenant has at most, if that is fewer than it could hold on some host.
pub(super) fn effective(side: Side<'_>, tenant: &Tenant) -> Limit {
    let limit = tenant.limit.as_ref()?.value;
    let binds = |host: &Resolution<'_>| leases(host, &tenant.name.value) > u64::from(limit);
    side.hosts.iter().any(binds).then_some(limit)
}

/// How many leases a tenant could hold on a host if nothing limited it.
fn leases(host: &Resolution<'_>, tenant: &str) -> u64 {
    let mut most: BTreeMap<&str, u32> = BTreeMap::new();
    for line in host.of(tenant).iter().flat_map(|grant| &grant.lines) {
        let containers = line.rule.sharing.value.containers();
        for device in &line.devices {
            let known = most.entry(device.uuid()).or_default();
            *known = containers.max(*known);
        }
    }
    most.into_values().map(u64::from).sum()
}

fn guarantees(owners: &Owners<'_>, sides: [Side<'_>; 2], names: &[String]) -> Changes {
    let mut changes = Changes::default();
    for (at, name) in names.iter().enumerate() {
        let [old, new] = [0, 1].map(|side| {
            let tenant = owners.tenants.get(side).copied().flatten();
            let host = sides.get(side).and_then(|side| side.hosts.get(at));
            host.zip(tenant).map(|(host, tenant)| kept(host, tenant)).unwrap_or_default()
        });
        let (lost, gained) = (only(&old, &new), only(&new, &old));
        let direction = match (lost.is_empty(), gained.is_empty()) {
            (true, true) => continue,
            (true, false) => Direction::Gain,
            (false, true) => Direction::Loss,
            (false, false) => Direction::Other,
        };
        let change = Change {
            old: called(&lost),
            new: called(&gained),
            uuids: lost.keys().chain(gained.keys()).map(|uuid| (*uuid).to_owned()).collect(),
            ..Change::new(Property::Guarantee, direction)
        };
        changes.push(change, name);
    }
    changes
}

/// Devices by UUID.
type Kept<'r> = BTreeMap<&'r str, Device<'r>>;

/// The devices that guarantees keep for a tenant.
fn kept<'r>(host: &'r Resolution<'_>, tenant: &str) -> Kept<'r> {
    let own = host.of(tenant).iter();
    own.flat_map(|grant| grant.devices().filter(|device| grant.reserved.contains(device.uuid())))
        .map(|device| (device.uuid(), device))
        .collect()
}

/// Those of one that the other has not.
fn only<'r>(one: &Kept<'r>, other: &Kept<'_>) -> Kept<'r> {
    let own = one.iter().filter(|(uuid, _)| !other.contains_key(*uuid));
    own.map(|(uuid, device)| (*uuid, *device)).collect()
}

fn called(kept: &Kept<'_>) -> Vec<String> {
    let mut devices: Vec<&Device<'_>> = kept.values().collect();
    devices.sort_by_key(|device| device.key());
    devices.into_iter().map(gift::called).collect()
}
