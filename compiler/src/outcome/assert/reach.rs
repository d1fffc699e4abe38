//! Who reaches what: every device of every grant, after denies, and without what guarantees keep for others.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::capability::Capability;

use super::{Judge, diags};
use crate::diag::Finding;
use crate::policy::{self, Assert, Claim, Level, Tenant};
use crate::resolve::{Device, Grant, Key};
use crate::source::{Span, Spanned};

/// Enough ways in which one assert does not hold to see what is wrong.
pub(super) const MOST_WAYS: usize = 1_000;

/// A device that a tenant has, and by which rules.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) tenant: &'a str,
    pub(super) grant: &'a policy::Grant,
    pub(super) line: &'a policy::Line,
    pub(super) device: Device<'a>,
}

/// Where two tenants must not meet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    Device(Key),
    /// The board of a device, by its PCI address: parts of one share it, as MIG devices of one GPU do.
    Board(&'a str),
}

impl<'a> Judge<'a> {
    pub(super) fn reaches_any(&self, tenant: &str) -> bool {
        self.of(tenant).any(|grant| grant.devices().next().is_some())
    }

    pub(super) fn isolated(&self, tenants: &[Spanned<String>], level: Level, most: usize) -> Vec<Finding> {
        let reached = |tenant: &Spanned<String>| self.reached(&tenant.value, level);
        let reached: Vec<BTreeMap<Place, Way>> = tenants.iter().map(reached).collect();
        let mut by: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
        for (at, place) in (0..).zip(&reached).flat_map(|(at, own)| own.keys().map(move |place| (at, place)))
        {
            by.entry(*place).or_default().push(at);
        }
        let mut findings = Vec::new();
        for (at, first) in reached.iter().enumerate() {
            let others: BTreeSet<usize> =
                first.keys().filter_map(|place| by.get(place)).flatten().copied().collect();
            for other in others.range(at + 1..) {
                let (Some(tenant), Some(second)) = (tenants.get(*other), reached.get(*other)) else {
                    continue;
                };
                let both = first.iter().filter_map(|(key, way)| Some((*way, *second.get(key)?)));
                findings.extend(diags::not_isolated(tenant.span, &both.collect::<Vec<_>>(), level, self));
                if findings.len() == most {
                    return findings;
                }
            }
        }
        findings
    }

    pub(super) fn only(
        &self,
        tenants: &[Spanned<String>],
        set: &Spanned<String>,
        most: usize,
    ) -> Vec<Finding> {
        let Some(extent) = self.resolution.extents.get(set.value.as_str()) else { return Vec::new() };
        let widest = devices(&extent.widest);
        let named: BTreeSet<&str> = tenants.iter().map(|tenant| tenant.value.as_str()).collect();
        let tenants = self.policy.tenants.values().filter(|tenant| tenant.trust.is_none());
        let others = tenants.filter(|tenant| !named.contains(tenant.name.value.as_str()));
        let is_in = |device: &Device<'_>| extent.widest.contains(&device.key());
        let reaches = |tenant: &Tenant| {
            self.of(&tenant.name.value).flat_map(Grant::devices).any(|device| is_in(&device))
        };
        let trespass = |tenant: &Tenant| {
            let within = self.within(&tenant.name.value, Level::Device, &widest);
            diags::not_only(set, &within, self)
        };
        others.filter(|tenant| reaches(tenant)).filter_map(trespass).take(most).collect()
    }

    /// Who is trusted and has devices that the claim keeps apart or for others: nothing could be shown of somebody whom
    /// the guard lets pass, so such a claim is not about them, and says so.
    pub(super) fn left_out(&self, assert: &Assert, most: usize) -> Vec<Finding> {
        let (about, level, named) = match &assert.claim {
            Claim::Isolated { tenants, level } => {
                let reached = tenants.iter().flat_map(|tenant| self.reached(&tenant.value, *level));
                (reached.map(|(key, _)| key).collect(), *level, [].as_slice())
            }
            Claim::Only { tenants, gpu_set } => {
                let extent = self.resolution.extents.get(gpu_set.value.as_str());
                let widest = extent.map(|extent| devices(&extent.widest)).unwrap_or_default();
                (widest, Level::Device, tenants.as_slice())
            }
            Claim::Never { .. } | Claim::AlwaysSatisfiable { .. } => return Vec::new(),
        };
        let trusted = self.policy.tenants.values().filter(|tenant| tenant.trust.is_some());
        let unnamed = trusted.filter(|tenant| named.iter().all(|name| name.value != tenant.name.value));
        let note = |tenant: &Tenant| {
            let within = self.within(&tenant.name.value, level, &about);
            diags::left_out(assert, &within, self)
        };
        unnamed.filter_map(note).take(most).collect()
    }

    /// The first way of a tenant to each of these places.
    fn within(&self, tenant: &str, level: Level, about: &BTreeSet<Place<'a>>) -> Vec<Way<'a>> {
        let reached = self.reached(tenant, level).into_iter();
        reached.filter(|(key, _)| about.contains(key)).map(|(_, way)| way).collect()
    }

    pub(super) fn never(
        &self,
        capabilities: &BTreeMap<Capability, Span>,
        tenants: &[Spanned<String>],
        most: usize,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for grant in tenants.iter().flat_map(|tenant| self.of(&tenant.value)) {
            let Some(way) = ways(grant).first().copied() else { continue };
            let given = capabilities.iter().filter(|(capability, _)| grant.capabilities.contains(capability));
            let left = most - findings.len();
            findings.extend(
                given.map(|(capability, span)| diags::given(*capability, *span, way, self)).take(left),
            );
        }
        findings
    }

    /// The grants of a tenant.
    pub(super) fn of<'t>(&self, tenant: &'t str) -> impl Iterator<Item = &'a Grant<'a>> + use<'a, 't> {
        self.resolution.of(tenant).iter()
    }

    /// The first way to each place where the tenant reaches a device.
    fn reached(&self, tenant: &str, level: Level) -> BTreeMap<Place<'a>, Way<'a>> {
        let place = |device: &Device<'a>| match level {
            Level::Device => Place::Device(device.key()),
            Level::Gpu => Place::Board(device.pci),
        };
        let mut reached = BTreeMap::new();
        for way in self.of(tenant).flat_map(ways) {
            reached.entry(place(&way.device)).or_insert(way);
        }
        reached
    }
}

fn devices<'a>(keys: &BTreeSet<Key>) -> BTreeSet<Place<'a>> {
    keys.iter().copied().map(Place::Device).collect()
}

/// What a grant gives, line by line.
fn ways<'a>(grant: &'a Grant<'a>) -> Vec<Way<'a>> {
    let (tenant, rule) = (grant.tenant, grant.rule);
    let lines = grant.lines.iter().flat_map(|line| line.devices.iter().map(|device| (line.rule, *device)));
    lines.map(|(line, device)| Way { tenant, grant: rule, line, device }).collect()
}
