//! What denies take away. A deny reaches whole GPUs: a GPU with all its MIG devices, and for a MIG device its parent,
//! because who has a part of a GPU shares its memory, its power and its failures with the rest.

use std::collections::BTreeMap;

use super::select::Sets;
use super::{By, Device, Reach, Withheld};
use crate::policy::{Deny, Policy};

/// The GPUs that one tenant may not have, by index, each with the deny that says so.
pub(super) type Denied<'a> = BTreeMap<u32, &'a Deny>;

/// How far each deny reaches.
pub(super) fn reaches<'a>(policy: &'a Policy, sets: &Sets<'a, '_>) -> Vec<Reach<'a>> {
    let gpus = |rule: &Deny| rule.gpu_sets.iter().flat_map(|set| sets.reached(&set.value)).collect();
    policy.denies.values().map(|rule| Reach { rule, gpus: gpus(rule) }).collect()
}

/// For each tenant that a deny names.
pub(super) fn by_tenant<'a>(reaches: &[Reach<'a>]) -> BTreeMap<&'a str, Denied<'a>> {
    let mut all: BTreeMap<&str, Denied> = BTreeMap::new();
    for Reach { rule, gpus } in reaches {
        for tenant in &rule.to {
            let denied = all.entry(&tenant.value).or_default();
            for gpu in gpus.keys() {
                denied.entry(*gpu).or_insert(rule);
            }
        }
    }
    all
}

/// The devices that are left, and the others.
pub(super) fn subtract<'a>(
    devices: &[Device<'a>],
    denied: Option<&Denied<'a>>,
) -> (Vec<Device<'a>>, Vec<Withheld<'a>>) {
    let mut kept = Vec::with_capacity(devices.len());
    let mut withheld = Vec::new();
    for device in devices {
        match denied.and_then(|denied| denied.get(&device.gpu.index)) {
            Some(deny) => withheld.push(Withheld { device: *device, by: By::Deny(deny) }),
            None => kept.push(*device),
        }
    }
    (kept, withheld)
}

/// The denies among what withholds devices, by their names.
pub(super) fn denies<'a>(withheld: &[Withheld<'a>]) -> Vec<&'a Deny> {
    let deny = |withheld: &Withheld<'a>| match withheld.by {
        By::Deny(deny) => Some((deny.name.value.as_str(), deny)),
        By::Guarantee(_) => None,
    };
    withheld.iter().filter_map(deny).collect::<BTreeMap<_, _>>().into_values().collect()
}
