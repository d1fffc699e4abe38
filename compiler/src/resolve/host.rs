//! One host: what each line offers there, and what of it denies and guarantees leave to each tenant.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smallvec::SmallVec;

use super::positions::Positions;
use super::{
    Device, Grant, Line, Order, Prepared, Resolution, Unmet, check, coexist, deny, diags, fabric, features,
    guarantee, layout, memory, mps, place, prepared, require, select,
};
use crate::diag::Sink;
use crate::policy::{self, Place};
use crate::topology::{Topology, Vendor};

impl<'a> Prepared<'a> {
    /// Resolves it on one host.
    #[must_use]
    pub fn on(&self, topology: &'a Topology, name: &str, sink: &mut Sink) -> Resolution<'a> {
        let sets = select::all(self, topology, name, sink);
        let denies = deny::reaches(self.policy, &sets);
        let denied = deny::by_tenant(&denies);
        let host = Host {
            name,
            topology,
            fabric: fabric::Fabric::of(topology),
            sets: &sets,
            known: RefCell::default(),
            spent: Cell::new(false),
        };
        let offered: Vec<OnHost> = self.grants.iter().map(|grant| host.offers(grant, sink)).collect();
        let own = |tenants: &BTreeSet<&str>| owned(&offered, tenants, &denied, &sets);
        let reserved = guarantee::reserve(self.policy, &sets, own, name, sink);
        let mut grants: Vec<Grant> = Vec::with_capacity(offered.len());
        for on_host in &offered {
            for to in &on_host.grant.to {
                let denied = denied.get(to.name);
                grants.push(host.grant(on_host, to, denied, &reserved, sink));
            }
        }
        let grants = self.in_order(grants);
        check::sharing(grants.iter().filter(|grant| !self.is_trusted(grant.tenant)), name, sink);
        mps::report(&grants, name, sink);
        coexist::report(&grants, name, sink);
        layout::report(self.policy, &sets, name, sink);
        Resolution { grants, denies, extents: sets.extents() }
    }
}

/// What a grant has on one host, before denies.
struct OnHost<'a, 'p> {
    grant: &'p prepared::Offered<'a>,
    offers: SmallVec<[Offer<'a>; 1]>,
    unmet: BTreeMap<Vendor, Unmet<'a>>,
}

/// What tenants that are asked for have by any of their grants.
fn owned<'a, 'p>(
    offered: &[OnHost<'a, 'p>],
    tenants: &BTreeSet<&str>,
    denied: &BTreeMap<&str, deny::Denied<'a>>,
    sets: &select::Sets<'a, '_>,
) -> guarantee::Owned<'a, 'p> {
    let mut owned = guarantee::Owned::default();
    let taken: BTreeMap<&str, Positions> =
        tenants.iter().filter_map(|tenant| Some((*tenant, sets.standing_on(denied.get(tenant)?)))).collect();
    for on_host in offered.iter().filter(|on_host| on_host.has_any()) {
        let usable = |to: &&prepared::Receiver| tenants.contains(to.name) && !to.capabilities.is_empty();
        let mut receivers = on_host.grant.to.iter().filter(usable).peekable();
        if receivers.peek().is_none() {
            continue;
        }
        let devices = on_host.offers.iter().flat_map(|offer| &offer.devices);
        let all = sets.standing(devices.clone().map(Device::key));
        owned.devices.extend(devices.map(|device| (device.key(), *device)));
        for to in receivers {
            let left = taken.get(to.name).map_or_else(|| all.clone(), |taken| all.without(taken));
            owned.by.entry(to.name).or_default().add(&left);
        }
    }
    owned
}

impl OnHost<'_, '_> {
    fn has_any(&self) -> bool {
        self.offers.iter().any(|offer| !offer.devices.is_empty())
    }
}

/// What decides how much of an offer one tenant has.
struct Share<'a, 's> {
    rule: &'a policy::Grant,
    tenant: &'s str,
    /// It holds no leases, so it has what is kept for others too, and is in nobody's way.
    trusted: bool,
    denied: Option<&'s deny::Denied<'a>>,
    reserved: &'s guarantee::Reserved<'a>,
}

/// What a line has before denies.
struct Offer<'a> {
    line: &'a policy::Line,
    devices: Vec<Device<'a>>,
    /// So many of them can be had together.
    most: usize,
}

impl Order {
    fn of(line: &policy::Line) -> Self {
        if line.place == Place::Spread { Self::LeastLeased } else { Self::Ranked }
    }
}

impl<'a> Offer<'a> {
    /// The line of a tenant whom denies leave no driver capability, and so nothing.
    fn of_nothing(&self) -> Line<'a> {
        let order = Order::Ranked;
        Line { rule: self.line, order, devices: Vec::new(), slots: None, memory: None, withheld: Vec::new() }
    }

    /// The line of a tenant if the host has nothing of it.
    fn of_no_device(&self) -> Line<'a> {
        let memory = memory::bound(self.line, &[]).unwrap_or_default();
        Line { order: Order::of(self.line), memory, ..self.of_nothing() }
    }
}

struct Host<'a, 's> {
    name: &'s str,
    topology: &'a Topology,
    fabric: fabric::Fabric<'a>,
    sets: &'s select::Sets<'a, 's>,
    known: RefCell<place::Known>,
    /// It is said that there are too many places to look at.
    spent: Cell<bool>,
}

impl<'a> Host<'a, '_> {
    /// What the lines of a grant have.
    fn offers<'p>(&self, grant: &'p prepared::Offered<'a>, sink: &mut Sink) -> OnHost<'a, 'p> {
        if !self.fabric.is_spent() && !grant.lines.iter().any(|(_, set)| self.sets.has_any(*set)) {
            let nothing = |(line, _): &(&'a policy::Line, _)| Offer { line, devices: Vec::new(), most: 0 };
            let offers = grant.lines.iter().map(nothing).collect();
            return OnHost { grant, offers, unmet: BTreeMap::new() };
        }
        let (rule, vendors) = (grant.rule, self.sets.vendors(&grant.lines));
        let has_vendors = !vendors.is_empty();
        let require::Met { vendors: usable, unmet } =
            require::met(rule, vendors, self.topology, self.name, sink);
        let of_nobody = usable.is_empty() && has_vendors;
        let offer = |line: &(&'a policy::Line, Option<usize>)| {
            if of_nobody {
                Offer { line: line.0, devices: Vec::new(), most: 0 }
            } else {
                self.offer(rule, *line, &usable, sink)
            }
        };
        let on_host = OnHost { grant, offers: grant.lines.iter().map(offer).collect(), unmet };
        if on_host.has_any() {
            features::report(rule, self.topology, self.name, sink);
        }
        on_host
    }

    /// What one tenant has of a grant.
    fn grant(
        &self,
        on_host: &OnHost<'a, '_>,
        to: &prepared::Receiver<'a>,
        denied: Option<&deny::Denied<'a>>,
        reserved: &guarantee::Reserved<'a>,
        sink: &mut Sink,
    ) -> Grant<'a> {
        let (rule, trusted) = (on_host.grant.rule, to.trusted);
        let share = Share { rule, tenant: to.name, trusted, denied, reserved };
        let void = to.capabilities.is_empty();
        let line = |offer: &Offer<'a>| if void { offer.of_nothing() } else { self.line(&share, offer, sink) };
        let lines: Vec<Line> = on_host.offers.iter().map(line).collect();
        let kept = lines.iter().flat_map(|line| &line.devices).filter(|device| reserved.has(device));
        let reserved = if trusted { BTreeSet::new() } else { kept.map(Device::uuid).collect() };
        Grant {
            tenant: to.name,
            rule,
            lines,
            capabilities: Arc::clone(&to.capabilities),
            features: features::all(&to.features, self.topology),
            reserved,
            unmet: on_host.unmet.clone(),
        }
    }

    /// What a line has of the GPUs of these vendors.
    fn offer(
        &self,
        rule: &policy::Grant,
        (line, set): (&'a policy::Line, Option<usize>),
        vendors: &BTreeSet<Vendor>,
        sink: &mut Sink,
    ) -> Offer<'a> {
        let mut devices = self.sets.grantable(line, set, self.name, sink);
        devices.retain(|device| vendors.contains(&device.gpu.vendor));
        if devices.is_empty() && !self.fabric.is_spent() {
            return Offer { line, devices, most: 0 };
        }
        let may_tell = |devices| self.sets.may_tell(devices);
        check::place_facts(line, &devices, &self.fabric, may_tell, self.name, sink);
        memory::report(line, &devices, self.name, sink);
        let most = match self.slots(line, &devices) {
            Ok(slots) => place::most(&devices, slots.as_deref()),
            Err(fabric::TooMany) => {
                if !self.is_spent(line, sink) {
                    sink.push(diags::too_many_slots(line, devices.len(), self.name));
                }
                0
            }
        };
        check::amounts(rule, line, (devices.len(), most), self.name, sink);
        Offer { line, devices, most }
    }

    fn slots(&self, line: &policy::Line, devices: &[Device<'a>]) -> Result<place::Slots, fabric::TooMany> {
        place::slots(&self.fabric, line, devices, &mut self.known.borrow_mut())
    }

    /// Whether no more places are looked at, which the first line learns that has one.
    fn is_spent(&self, line: &policy::Line, sink: &mut Sink) -> bool {
        let is_spent = self.fabric.is_spent();
        if is_spent && !self.spent.replace(true) {
            sink.push(diags::too_many_places(line, self.name));
        }
        is_spent
    }

    fn line(&self, share: &Share<'a, '_>, offer: &Offer<'a>, sink: &mut Sink) -> Line<'a> {
        if offer.devices.is_empty() && !self.fabric.is_spent() {
            return offer.of_no_device();
        }
        let (line, Share { rule, tenant, trusted, denied, reserved }) = (offer.line, share);
        let (kept, mut withheld) = deny::subtract(&offer.devices, *denied);
        let by = deny::denies(&withheld);
        let most = if withheld.is_empty() {
            offer.most
        } else {
            self.slots(line, &kept).map_or(0, |slots| place::most(&kept, slots.as_deref()))
        };
        let loss = check::Loss { rule, line, tenant, left: kept.len(), most, by: &by };
        check::denied(&loss, offer.devices.len(), sink);
        let has_any = !kept.is_empty();
        let open = if *trusted { kept } else { reserved.open_to(tenant, kept, &mut withheld) };
        withheld.sort_by_key(|withheld| withheld.device.key());
        if open.is_empty() && has_any {
            sink.push(diags::guarantees_empty(rule, line, tenant, self.name));
        }
        let mut devices = place::rank(&self.fabric, open, line, &mut self.known.borrow_mut());
        reserved.first(&mut devices);
        let order = Order::of(line);
        // The offer has as many and was reported; such a line gives nothing.
        let mut slots = self.slots(line, &devices).unwrap_or_else(|fabric::TooMany| Some(Vec::new()));
        reserved.first_slots(&devices, slots.as_deref_mut().unwrap_or_default());
        self.is_spent(line, sink);
        // A limit that nothing enforces was reported of the offer.
        let memory = memory::bound(line, &devices).unwrap_or_default();
        Line { rule: line, order, devices, slots, memory, withheld }
    }
}
