//! The rules beside a tenant's own grants: denies that bar it, and grants that are for others.

use std::collections::{BTreeMap, BTreeSet};

use super::{Barred, Case, NotFor};
use crate::policy;
use crate::resolve::{Grant, Key, Reach};

/// Devices of some GPUs, or all that there are.
pub(super) type Asked<'s> = Option<&'s BTreeSet<Key>>;

impl Case<'_> {
    /// The denies of devices that keep a tenant, or anybody, from some devices.
    pub(super) fn barred(&self, tenant: Option<&str>, asked: Asked<'_>) -> Vec<Barred> {
        let of = |reach: &Reach| {
            let Reach { rule: deny, gpus } = reach;
            let is_reached = |key: &Key| gpus.contains_key(&key.0);
            let devices =
                self.indices(|key| is_reached(key) && asked.is_none_or(|asked| asked.contains(key)));
            let tenants = deny.to.iter().filter(|name| tenant.is_none_or(|tenant| name.value == tenant));
            let tenants: Vec<String> = tenants.map(|name| name.value.clone()).collect();
            Barred {
                deny: deny.name.value.clone(),
                rule: self.deny(deny),
                tenants,
                devices,
                capabilities: BTreeSet::new(),
                features: BTreeSet::new(),
            }
        };
        let all = self.resolution.denies.iter().map(of);
        all.filter(|barred| !barred.tenants.is_empty() && !barred.devices.is_empty()).collect()
    }

    /// The grants that give somebody else some of the devices, and are not for this tenant.
    pub(super) fn not_for(&self, tenant: &str, asked: &BTreeSet<Key>) -> Vec<NotFor> {
        let mut given: BTreeMap<&str, (&policy::Grant, BTreeSet<Key>)> = BTreeMap::new();
        let others = self.resolution.grants.iter();
        for grant in others.filter(|grant| !grant.rule.to.iter().any(|name| name.value == tenant)) {
            let keys = grant.devices().map(|device| device.key()).filter(|key| asked.contains(key));
            let Grant { rule, .. } = grant;
            given.entry(&rule.name.value).or_insert_with(|| (rule, BTreeSet::new())).1.extend(keys);
        }
        let of = |(grant, keys): (&policy::Grant, BTreeSet<Key>)| {
            let span = grant.to.first().map_or(grant.name.span, |name| name.span);
            let name = &grant.name.value;
            NotFor {
                grant: name.clone(),
                rule: self.rule(span, format!("grant {name}")),
                to: grant.to.iter().map(|name| name.value.clone()).collect(),
                devices: self.indices(|key| keys.contains(key)),
            }
        };
        given.into_values().map(of).filter(|other| !other.devices.is_empty()).collect()
    }
}
