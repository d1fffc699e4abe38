//! A policy on one host: which devices each tenant has by each grant, in which order, and in which combinations.
//!
//! A pure function of the policy and the topology. Denies are subtracted here, so that nothing after this stage has
//! to know of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::Sink;
use gpupol_plan::capability::Capability;

use crate::policy::rights::Denied;
use crate::policy::{self, Place, Policy};
use crate::topology::{Gpu, MigDevice, Topology, Vendor};

mod check;
mod coexist;
mod deny;
mod diags;
mod fabric;
mod features;
mod guarantee;
mod judge;
mod layout;
mod memory;
mod mps;
mod out_of_service;
mod place;
mod require;
mod select;
mod shadow;

/// Everything that the policy gives on one host.
#[derive(Clone, Debug)]
pub struct Resolution<'a> {
    /// One for each tenant of each grant: by tenant, then by the grant's name.
    pub grants: Vec<Grant<'a>>,
    /// One for each deny, by its name.
    pub denies: Vec<Reach<'a>>,
    /// By their names, the gpu-sets that the policy uses.
    pub extents: BTreeMap<&'a str, Extent>,
}

/// What a gpu-set has on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// In its widest sense, as a deny reads it: GPUs whatever their MIG mode, and all their MIG devices.
    pub widest: BTreeSet<Key>,
    /// What of that a grant could give: whole GPUs with MIG off, or MIG devices.
    pub grantable: BTreeSet<Key>,
}

/// What a deny takes away on one host: whole GPUs, with all their MIG devices.
#[derive(Clone, Debug)]
pub struct Reach<'a> {
    /// The deny as the policy says it.
    pub rule: &'a policy::Deny,
    /// The GPUs by their NVML index.
    pub gpus: BTreeMap<u32, &'a Gpu>,
}

/// What one tenant has by one grant.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The grant as the policy says it.
    pub rule: &'a policy::Grant,
    /// One for each `gpus` line, in its order.
    pub lines: Vec<Line<'a>>,
    /// The ceiling of driver capabilities that denies leave; without any there are no devices.
    pub capabilities: BTreeSet<Capability>,
    /// The features that denies leave, ascending.
    pub features: Vec<GrantedFeature<'a>>,
    /// UUIDs of those of its devices that guarantees keep for the tenant.
    pub reserved: BTreeSet<&'a str>,
}

pub use features::{FeatureParts, GrantedFeature};
pub use memory::{Enforcer, Memory};
pub use shadow::Denials;

/// What one `gpus` line comes to.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// The line as the policy says it.
    pub rule: &'a policy::Line,
    /// In which order free devices are taken.
    pub order: Order,
    /// The devices, best first.
    pub devices: Vec<Device<'a>>,
    /// Positions in `devices` that satisfy the line's `place`; `None`: any devices do.
    pub slots: Option<Vec<Vec<u32>>>,
    /// What bounds the use of each device's memory, if something does.
    pub memory: Option<Memory>,
}

/// In which order free devices are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As ranked.
    Ranked,
    /// The least used first.
    LeastLeased,
}

/// A device: a GPU, or a MIG device of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Device<'a> {
    /// The GPU, or the MIG device's parent.
    pub gpu: &'a Gpu,
    /// The GPU's minor number, known.
    pub minor: u32,
    /// Its PCI address, known.
    pub pci: &'a str,
    /// Absent: the whole GPU.
    pub mig: Option<&'a MigDevice>,
}

/// Where a device stands on its host: the GPU's NVML index, and the MIG index.
pub type Key = (u32, Option<u32>);

impl<'a> Device<'a> {
    /// `GPU-…` or `MIG-…`.
    #[must_use]
    pub fn uuid(&self) -> &'a str {
        self.mig.map_or(self.gpu.uuid.as_str(), |mig| mig.uuid.as_str())
    }

    /// What a number in `NVIDIA_VISIBLE_DEVICES` names: the NVML index, or `0:1` for MIG device 1 of GPU 0.
    #[must_use]
    pub fn index(&self) -> String {
        match self.mig {
            Some(mig) => format!("{}:{}", self.gpu.index, mig.index),
            None => self.gpu.index.to_string(),
        }
    }

    /// Where it stands on its host.
    #[must_use]
    pub fn key(&self) -> Key {
        (self.gpu.index, self.mig.map(|mig| mig.index))
    }
}

impl<'a> Grant<'a> {
    /// Every device of every line.
    pub fn devices(&self) -> impl Iterator<Item = Device<'a>> {
        self.lines.iter().flat_map(|line| line.devices.iter().copied())
    }
}

/// Resolves a policy without errors on one host. `name` is what the user calls the topology.
pub fn resolve<'a>(
    policy: &'a Policy,
    topology: &'a Topology,
    name: &str,
    sink: &mut Sink,
) -> Resolution<'a> {
    let sets = select::all(policy, topology, name, sink);
    let denies = deny::reaches(policy, &sets);
    let denied = deny::by_tenant(&denies);
    let host = Host { name, fabric: fabric::Fabric::of(topology), sets: &sets };
    let mut offered: Vec<(&policy::Grant, Vec<Offer>)> = Vec::new();
    for rule in policy.grants.values() {
        let vendors = sets.vendors(&rule.lines);
        let usable = require::met(rule, &vendors, topology, name, sink);
        let of_nobody = usable.is_empty() && !vendors.is_empty();
        let offer = |line| {
            if of_nobody {
                Offer { line, devices: Vec::new() }
            } else {
                host.offer(rule, line, &usable, sink)
            }
        };
        let offers: Vec<Offer> = rule.lines.iter().map(offer).collect();
        if offers.iter().any(|offer| !offer.devices.is_empty()) {
            features::report(rule, topology, name, sink);
        }
        offered.push((rule, offers));
    }
    let rights = Denied::of(&policy.denies);
    let own = |tenant: &str| owned(&rights, &offered, tenant, denied.get(tenant));
    let reserved = guarantee::reserve(policy, &sets, own, name, sink);
    let mut grants: Vec<Grant> = Vec::new();
    for (rule, offers) in &offered {
        for tenant in &rule.to {
            let share = Share {
                rule,
                tenant: &tenant.value,
                trusted: policy.is_trusted(&tenant.value),
                denied: denied.get(tenant.value.as_str()),
                reserved: &reserved,
            };
            let rights = rights.rights(rule, &tenant.value);
            let void = rights.capabilities.is_empty();
            let line =
                |offer: &Offer<'a>| if void { offer.of_nothing() } else { host.line(&share, offer, sink) };
            let lines: Vec<Line> = offers.iter().map(line).collect();
            let kept = lines.iter().flat_map(|line| &line.devices).filter(|device| reserved.has(device));
            let reserved = if share.trusted { BTreeSet::new() } else { kept.map(Device::uuid).collect() };
            let features = features::all(&rights.features, topology);
            let capabilities = rights.capabilities;
            grants.push(Grant { tenant: &tenant.value, rule, lines, capabilities, features, reserved });
        }
    }
    grants.sort_by(|a, b| (a.tenant, &a.rule.name.value).cmp(&(b.tenant, &b.rule.name.value)));
    check::sharing(grants.iter().filter(|grant| !policy.is_trusted(grant.tenant)), name, sink);
    mps::report(&grants, name, sink);
    coexist::report(&grants, name, sink);
    layout::report(policy, &sets, name, sink);
    Resolution { grants, denies, extents: sets.extents() }
}

/// The devices that a tenant has by any of its grants.
fn owned<'a>(
    rights: &Denied,
    offered: &[(&policy::Grant, Vec<Offer<'a>>)],
    tenant: &str,
    denied: Option<&deny::Denied<'a>>,
) -> Vec<Device<'a>> {
    let usable = |rule: &policy::Grant| !rights.rights(rule, tenant).capabilities.is_empty();
    let own =
        offered.iter().filter(|(rule, _)| rule.to.iter().any(|name| name.value == tenant) && usable(rule));
    own.flat_map(|(_, offers)| offers).flat_map(|offer| deny::subtract(&offer.devices, denied).0).collect()
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
}

impl<'a> Offer<'a> {
    /// The line of a tenant whom denies leave no driver capability, and so nothing.
    fn of_nothing(&self) -> Line<'a> {
        Line { rule: self.line, order: Order::Ranked, devices: Vec::new(), slots: None, memory: None }
    }
}

struct Host<'a, 's> {
    name: &'s str,
    fabric: fabric::Fabric<'a>,
    sets: &'s select::Sets<'a>,
}

impl<'a> Host<'a, '_> {
    /// What a line has of the GPUs of these vendors.
    fn offer(
        &self,
        rule: &policy::Grant,
        line: &'a policy::Line,
        vendors: &BTreeSet<Vendor>,
        sink: &mut Sink,
    ) -> Offer<'a> {
        let mut devices = self.sets.grantable(line, self.name, sink);
        devices.retain(|device| vendors.contains(&device.gpu.vendor));
        check::place_facts(line, &devices, &self.fabric, self.name, sink);
        memory::report(line, &devices, self.name, sink);
        let most = match place::slots(&self.fabric, line, &devices) {
            Ok(slots) => place::most(&devices, slots.as_deref()),
            Err(fabric::TooMany) => {
                sink.push(diags::too_many_slots(line, devices.len(), self.name));
                0
            }
        };
        check::amounts(rule, line, (devices.len(), most), self.name, sink);
        Offer { line, devices }
    }

    fn line(&self, share: &Share<'a, '_>, offer: &Offer<'a>, sink: &mut Sink) -> Line<'a> {
        let (line, Share { rule, tenant, trusted, denied, reserved }) = (offer.line, share);
        let (kept, by) = deny::subtract(&offer.devices, *denied);
        let most =
            place::slots(&self.fabric, line, &kept).map_or(0, |slots| place::most(&kept, slots.as_deref()));
        let loss = check::Loss { rule, line, tenant, left: kept.len(), most, by: &by };
        check::denied(&loss, offer.devices.len(), sink);
        let has_any = !kept.is_empty();
        let open = if *trusted { kept } else { reserved.open_to(tenant, kept) };
        if open.is_empty() && has_any {
            sink.push(diags::guarantees_empty(rule, line, tenant, self.name));
        }
        let mut devices = place::rank(&self.fabric, open, line);
        reserved.first(&mut devices);
        let order = if line.place == Place::Spread { Order::LeastLeased } else { Order::Ranked };
        // The offer has as many and was reported; such a line gives nothing.
        let mut slots =
            place::slots(&self.fabric, line, &devices).unwrap_or_else(|fabric::TooMany| Some(Vec::new()));
        reserved.first_slots(&devices, slots.as_deref_mut().unwrap_or_default());
        // A limit that nothing enforces was reported of the offer.
        let memory = memory::bound(line, &devices).unwrap_or_default();
        Line { rule: line, order, devices, slots, memory }
    }
}
