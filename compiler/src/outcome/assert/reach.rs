//! Who reaches what: every device of every grant, after denies, and without what guarantees keep for others.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use gpupol_plan::capability::Capability;

use super::{Judge, diags};
use crate::diag::Finding;
use crate::policy::{self, Assert, Claim, Level};
use crate::resolve::{Device, Grant, Key, Positions};
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

/// Who reaches what, as far as it was asked.
#[derive(Default)]
pub(super) struct Reach<'a> {
    numbers: BTreeMap<Place<'a>, usize>,
    /// By their numbers.
    places: Vec<Place<'a>>,
    /// Numbers of places, by tenant.
    reached: BTreeMap<(&'a str, Level), Rc<Positions>>,
    /// By gpu-set.
    reachers: BTreeMap<&'a str, Rc<Reachers<'a>>>,
}

/// What a gpu-set has, and who reaches any of it.
struct Reachers<'a> {
    widest: Positions,
    tenants: Vec<&'a str>,
}

impl<'a> Judge<'a> {
    pub(super) fn reaches_any(&self, tenant: &str) -> bool {
        self.of(tenant).any(|grant| grant.devices().next().is_some())
    }

    pub(super) fn isolated(&self, tenants: &[Spanned<String>], level: Level, most: usize) -> Vec<Finding> {
        let reached: Vec<Rc<Positions>> =
            tenants.iter().map(|tenant| self.reached(&tenant.value, level)).collect();
        let (mut once, mut twice) = (Positions::default(), Positions::default());
        for own in &reached {
            twice.add(&once.and(own));
            once.add(own);
        }
        let together = (0..).zip(tenants.iter().zip(&reached)).filter(|(_, (_, own))| own.meets(&twice));
        let together: Vec<_> = together.collect();
        let mut findings = Vec::new();
        for (at, (first, own)) in &together {
            for (_, (second, other)) in together.iter().filter(|(other, _)| other > at) {
                if !own.meets(other) {
                    continue;
                }
                let (both, names) = (own.and(other), (&first.value, &second.value));
                let ways = self.first_way(names.0, level, &both).zip(self.first_way(names.1, level, &both));
                let Some(ways) = ways else { continue };
                findings.push(diags::not_isolated(second.span, ways, both.len(), level, self));
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
        let Some(reachers) = self.reachers(&set.value) else { return Vec::new() };
        let named: BTreeSet<&str> = tenants.iter().map(|tenant| tenant.value.as_str()).collect();
        let others = reachers.tenants.iter().filter(|tenant| !named.contains(*tenant));
        let trespass = |tenant: &&str| {
            let within = self.reached(tenant, Level::Device).and(&reachers.widest);
            let way = self.first_way(tenant, Level::Device, &within)?;
            Some(diags::not_only(set, &way, within.len(), self))
        };
        others.filter_map(trespass).take(most).collect()
    }

    /// Who is trusted and has devices that the claim keeps apart or for others: nothing could be shown of somebody whom
    /// the guard lets pass, so such a claim is not about them, and says so.
    pub(super) fn left_out(&self, assert: &Assert, most: usize) -> Vec<Finding> {
        let (about, level, named) = match &assert.claim {
            Claim::Isolated { tenants, level } => {
                let mut about = Positions::default();
                tenants.iter().for_each(|tenant| about.add(&self.reached(&tenant.value, *level)));
                (about, *level, [].as_slice())
            }
            Claim::Only { tenants, gpu_set } => {
                let widest = self.reachers(&gpu_set.value).map(|reachers| reachers.widest.clone());
                (widest.unwrap_or_default(), Level::Device, tenants.as_slice())
            }
            Claim::Never { .. } | Claim::AlwaysSatisfiable { .. } => return Vec::new(),
        };
        let named: BTreeSet<&str> = named.iter().map(|tenant| tenant.value.as_str()).collect();
        let trusted = self.policy.tenants.iter().filter(|(_, tenant)| tenant.trust.is_some());
        let unnamed = trusted.map(|(name, _)| name.as_str()).filter(|name| !named.contains(name));
        let note = |tenant: &str| {
            let within = self.reached(tenant, level).and(&about);
            let way = self.first_way(tenant, level, &within)?;
            Some(diags::left_out(assert, &way, within.len(), self))
        };
        unnamed.filter_map(note).take(most).collect()
    }

    pub(super) fn never(
        &self,
        capabilities: &BTreeMap<Capability, Span>,
        tenants: &[Spanned<String>],
        most: usize,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for grant in tenants.iter().flat_map(|tenant| self.of(&tenant.value)) {
            let Some(way) = ways(grant).next() else { continue };
            let given = capabilities.iter().filter(|(capability, _)| grant.capabilities.contains(capability));
            let left = most - findings.len();
            findings.extend(
                given.map(|(capability, span)| diags::given(*capability, *span, way, self)).take(left),
            );
            if findings.len() == most {
                break;
            }
        }
        findings
    }

    /// The grants of a tenant.
    pub(super) fn of<'t>(&self, tenant: &'t str) -> impl Iterator<Item = &'a Grant<'a>> + use<'a, 't> {
        self.resolution.of(tenant).iter()
    }

    /// Where the tenant reaches a device, found once.
    fn reached(&self, tenant: &str, level: Level) -> Rc<Positions> {
        let Some(first) = self.of(tenant).next() else { return Rc::default() };
        let known = self.reach.borrow().reached.get(&(first.tenant, level)).cloned();
        known.unwrap_or_else(|| {
            let mut reach = self.reach.borrow_mut();
            let mut places = Positions::default();
            for device in self.of(tenant).flat_map(Grant::devices) {
                places.insert(reach.number(Place::of(&device, level)));
            }
            Rc::clone(reach.reached.entry((first.tenant, level)).or_insert_with(|| Rc::new(places)))
        })
    }

    /// By which of a tenant's rules it first reaches the first of these places.
    fn first_way(&self, tenant: &str, level: Level, places: &Positions) -> Option<Way<'a>> {
        let place = {
            let reach = self.reach.borrow();
            places.iter().filter_map(|at| reach.places.get(at).copied()).min()?
        };
        self.of(tenant).flat_map(ways).find(|way| Place::of(&way.device, level) == place)
    }

    /// Who but the trusted reaches anything of a gpu-set, found once; nothing if the host has nothing of it.
    fn reachers(&self, set: &str) -> Option<Rc<Reachers<'a>>> {
        let (name, extent) = self.resolution.extents.get_key_value(set)?;
        if let Some(known) = self.reach.borrow().reachers.get(name) {
            return Some(Rc::clone(known));
        }
        let mut widest = Positions::default();
        for key in &extent.widest {
            widest.insert(self.reach.borrow_mut().number(Place::Device(*key)));
        }
        let tenants = self.policy.tenants.iter().filter(|(_, tenant)| tenant.trust.is_none());
        let reaches = |name: &&str| self.reached(name, Level::Device).meets(&widest);
        let tenants = tenants.map(|(name, _)| name.as_str()).filter(reaches).collect();
        let reachers = Rc::new(Reachers { widest, tenants });
        self.reach.borrow_mut().reachers.insert(name, Rc::clone(&reachers));
        Some(reachers)
    }
}

impl<'a> Place<'a> {
    fn of(device: &Device<'a>, level: Level) -> Self {
        match level {
            Level::Device => Place::Device(device.key()),
            Level::Gpu => Place::Board(device.pci),
        }
    }
}

impl<'a> Reach<'a> {
    /// The number of a place, the next if it has none.
    fn number(&mut self, place: Place<'a>) -> usize {
        let next = self.places.len();
        let number = *self.numbers.entry(place).or_insert(next);
        if number == next {
            self.places.push(place);
        }
        number
    }
}

/// What a grant gives, line by line.
fn ways<'a>(grant: &'a Grant<'a>) -> impl Iterator<Item = Way<'a>> {
    let (tenant, rule) = (grant.tenant, grant.rule);
    let lines = grant.lines.iter().flat_map(|line| line.devices.iter().map(|device| (line.rule, *device)));
    lines.map(move |(line, device)| Way { tenant, grant: rule, line, device })
}
