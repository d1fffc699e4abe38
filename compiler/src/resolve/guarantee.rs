//! Guarantees: which devices of the host are kept for which tenant.
//!
//! Each demand may take devices of its gpu-set that the tenant's own grants give it, each device serves one demand.
//! Guarantees can be kept together exactly if as many devices as can be serve all of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::positions::Positions;
use super::select::Sets;
use super::{By, Device, Keeping, Key, Withheld, diags};
use crate::diag::Sink;
use crate::policy::{Guarantee, Policy, Tenant};

mod flow;
mod group;
mod serve;

use group::Groups;
use serve::Served;

/// More groups that cannot be kept together are not looked for.
const MOST_GROUPS: usize = 100;
/// For more of those that are not served no group is looked for: most may be in the same.
const MOST_LOOKED: usize = 1_000;

/// Whose each kept device is.
#[derive(Debug, Default)]
pub(super) struct Reserved<'a>(BTreeMap<Key, Keeping<'a>>);

/// One `guarantee` on this host.
pub(super) struct Demand<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) rule: &'a Guarantee,
    want: Want,
}

/// How many devices are demanded, and where those stand that may serve.
struct Want {
    count: usize,
    /// Shared by all that may be served by the same.
    devices: Rc<Positions>,
}

/// What tenants have by their own grants.
#[derive(Default)]
pub(super) struct Owned<'a, 'p> {
    /// Where it stands, by tenant.
    pub(super) by: BTreeMap<&'p str, Positions>,
    /// All of it.
    pub(super) devices: BTreeMap<Key, Device<'a>>,
}

/// Chooses the devices; `own` gives what those tenants have by their grants. What cannot be kept is reported.
pub(super) fn reserve<'a, 'p>(
    policy: &'a Policy,
    sets: &Sets<'a, '_>,
    own: impl Fn(&BTreeSet<&'a str>) -> Owned<'a, 'p>,
    name: &str,
    sink: &mut Sink,
) -> Reserved<'a> {
    let guaranteed = policy.tenants.values().filter(|tenant| !tenant.guarantees.is_empty());
    let guaranteed: BTreeSet<&str> = guaranteed.map(|tenant| tenant.name.value.as_str()).collect();
    if guaranteed.is_empty() {
        return Reserved::default();
    }
    let own = own(&guaranteed);
    let demands = demands(policy, sets, &own);
    let served = Served::of(demands.iter().map(|demand| &demand.want).collect());
    let keys: Vec<Key> = own.devices.keys().copied().collect();
    let standing = sets.standing(keys.iter().copied());
    let devices: BTreeMap<usize, Device> = standing.iter().zip(own.devices.into_values()).collect();
    if !served.unserved().is_empty() {
        report(&demands, &served, &devices, name, sink);
        // Which tenant goes without would be chance, and so would be whatever else is found from it.
        return Reserved::default();
    }
    let owner = |(at, by): (usize, usize)| {
        let Demand { tenant, rule, .. } = demands.get(by)?;
        Some((devices.get(&at)?.key(), Keeping { tenant, rule }))
    };
    Reserved(served.all().filter_map(owner).collect())
}

/// One group of demands that cannot be kept together for each that is not served and in no other group.
fn report(
    demands: &[Demand],
    served: &Served,
    devices: &BTreeMap<usize, Device>,
    name: &str,
    sink: &mut Sink,
) {
    let mut groups = Groups::default();
    let (mut blamed, mut reported): (BTreeSet<usize>, BTreeSet<Vec<usize>>) = Default::default();
    let mut looked = 0;
    for at in served.unserved() {
        if !blamed.insert(at) {
            continue;
        }
        looked += 1;
        if reported.len() == MOST_GROUPS || looked > MOST_LOOKED {
            break;
        }
        let least = groups.least(&served.rivals(at), served.wants());
        if reported.insert(least.clone()) {
            let together: Vec<&Demand> = least.iter().filter_map(|at| demands.get(*at)).collect();
            let mut may = Positions::default();
            together.iter().for_each(|demand| may.add(&demand.want.devices));
            let may: Vec<Device> = may.iter().filter_map(|at| devices.get(&at).copied()).collect();
            sink.push(diags::guarantee_impossible(&together, &may, name));
        }
        blamed.extend(least);
    }
}

impl<'a> Reserved<'a> {
    /// Whether the device is kept for somebody.
    pub(super) fn has(&self, device: &Device) -> bool {
        self.0.contains_key(&device.key())
    }

    /// Those that are not kept for another tenant; the others are withheld.
    pub(super) fn open_to(
        &self,
        tenant: &str,
        devices: Vec<Device<'a>>,
        withheld: &mut Vec<Withheld<'a>>,
    ) -> Vec<Device<'a>> {
        let mut open = Vec::with_capacity(devices.len());
        for device in devices {
            match self.0.get(&device.key()) {
                Some(keeping) if keeping.tenant.name.value != tenant => {
                    withheld.push(Withheld { device, by: By::Guarantee(*keeping) });
                }
                _ => open.push(device),
            }
        }
        open
    }

    /// Ranks what is kept before what is not, for else it would stand idle while others wait.
    pub(super) fn first(&self, devices: &mut [Device]) {
        devices.sort_by_key(|device| !self.has(device));
    }

    /// Does so with the slots of devices that are ranked like this.
    pub(super) fn first_slots(&self, devices: &[Device], slots: &mut [Vec<u32>]) {
        let kept = devices.iter().filter(|device| self.has(device)).count();
        let is_kept = |at: &&u32| usize::try_from(**at).is_ok_and(|at| at < kept);
        slots.sort_by_cached_key(|slot| (slot.len(), Reverse(slot.iter().filter(is_kept).count())));
    }
}

/// The guarantees that concern this host: those of which it has the gpu-set at all.
fn demands<'a>(policy: &'a Policy, sets: &Sets<'a, '_>, own: &Owned<'a, '_>) -> Vec<Demand<'a>> {
    let mut demands = Vec::new();
    let mut held: BTreeMap<&str, Positions> = BTreeMap::new();
    let mut different: BTreeSet<Rc<Positions>> = BTreeSet::new();
    let nothing = Positions::default();
    for tenant in policy.tenants.values() {
        for rule in &tenant.guarantees {
            let set = rule.from.value.as_str();
            if !sets.has_any_of(set) {
                continue;
            }
            let held = held.entry(set).or_insert_with(|| sets.held(set));
            let devices = Rc::new(own.by.get(tenant.name.value.as_str()).unwrap_or(&nothing).and(held));
            let devices = match different.get(&devices) {
                Some(same) => Rc::clone(same),
                None => {
                    different.insert(Rc::clone(&devices));
                    devices
                }
            };
            let count = usize::try_from(rule.gpus.value).unwrap_or(usize::MAX);
            demands.push(Demand { tenant, rule, want: Want { count, devices } });
        }
    }
    demands
}
