//! Who reaches what: every device of every grant, after denies, and without what guarantees keep for others.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::capability::Capability;

use super::{Case, diags};
use crate::diag::Finding;
use crate::policy::{self, Level};
use crate::resolve::{Device, Grant, Key};
use crate::source::{Span, Spanned};

/// A device that a tenant has, and by which rules.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) tenant: &'a str,
    pub(super) grant: &'a policy::Grant,
    pub(super) line: &'a policy::Line,
    pub(super) device: Device<'a>,
}

impl<'a> Case<'a> {
    pub(super) fn reaches_any(&self, tenant: &str) -> bool {
        self.of(tenant).any(|grant| grant.devices().next().is_some())
    }

    pub(super) fn isolated(&self, tenants: &[Spanned<String>], level: Level) -> Vec<Finding> {
        let place = |device: &Device| match (device.key(), level) {
            (key, Level::Device) => key,
            ((gpu, _), Level::Gpu) => (gpu, None),
        };
        let reached = |tenant: &Spanned<String>| self.reached(&tenant.value, place);
        let reached: Vec<BTreeMap<Key, Way>> = tenants.iter().map(reached).collect();
        let mut findings = Vec::new();
        for (at, first) in reached.iter().enumerate() {
            for (tenant, second) in tenants.iter().zip(&reached).skip(at + 1) {
                let both = first.iter().filter_map(|(key, way)| Some((*way, *second.get(key)?)));
                findings.extend(diags::not_isolated(tenant.span, &both.collect::<Vec<_>>(), level, self));
            }
        }
        findings
    }

    pub(super) fn only(&self, tenants: &[Spanned<String>], set: &Spanned<String>) -> Vec<Finding> {
        let Some(extent) = self.resolution.extents.get(set.value.as_str()) else { return Vec::new() };
        let named: BTreeSet<&str> = tenants.iter().map(|tenant| tenant.value.as_str()).collect();
        let others = self.policy.tenants.keys().filter(|tenant| !named.contains(tenant.as_str()));
        let trespass = |tenant: &String| {
            let reached = self.reached(tenant, |device| device.key()).into_iter();
            let within = reached.filter(|(key, _)| extent.widest.contains(key)).map(|(_, way)| way);
            diags::not_only(set, &within.collect::<Vec<_>>(), self)
        };
        others.filter_map(trespass).collect()
    }

    pub(super) fn never(
        &self,
        capabilities: &BTreeMap<Capability, Span>,
        tenants: &[Spanned<String>],
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for grant in tenants.iter().flat_map(|tenant| self.of(&tenant.value)) {
            let Some(way) = ways(grant).first().copied() else { continue };
            let given = capabilities.iter().filter(|(capability, _)| grant.capabilities.contains(capability));
            findings.extend(given.map(|(capability, span)| diags::given(*capability, *span, way, self)));
        }
        findings
    }

    /// The grants of a tenant.
    pub(super) fn of<'t>(&self, tenant: &'t str) -> impl Iterator<Item = &'a Grant<'a>> + use<'a, 't> {
        let grants = &self.resolution.grants;
        // They are in the order of their tenants.
        let first = grants.partition_point(|grant| grant.tenant < tenant);
        grants.iter().skip(first).take_while(move |grant| grant.tenant == tenant)
    }

    /// The first way to each place where the tenant reaches a device.
    fn reached(&self, tenant: &str, place: impl Fn(&Device) -> Key) -> BTreeMap<Key, Way<'a>> {
        let mut reached = BTreeMap::new();
        for way in self.of(tenant).flat_map(ways) {
            reached.entry(place(&way.device)).or_insert(way);
        }
        reached
    }
}

/// What a grant gives, line by line.
fn ways<'a>(grant: &'a Grant<'a>) -> Vec<Way<'a>> {
    let (tenant, rule) = (grant.tenant, grant.rule);
    let lines = grant.lines.iter().flat_map(|line| line.devices.iter().map(|device| (line.rule, *device)));
    lines.map(|(line, device)| Way { tenant, grant: rule, line, device }).collect()
}
