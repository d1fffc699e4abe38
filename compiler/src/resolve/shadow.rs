//! Denies of devices that take nothing which others do not take, on all hosts together.

use std::collections::{BTreeMap, BTreeSet};

use super::{Resolution, diags};
use crate::diag::Finding;
use crate::policy::{Deny, superfluous};

/// A GPU: the number of its host among those of a check, and its index there.
type Place = (usize, u32);

/// How far each deny of devices reaches, over all hosts of a check.
#[derive(Debug, Default)]
pub struct Denials<'p> {
    denies: BTreeMap<&'p str, (&'p Deny, BTreeSet<Place>)>,
    hosts: usize,
}

impl<'p> Denials<'p> {
    /// Takes one host into account.
    pub fn add(&mut self, resolution: &Resolution<'p>) {
        for reach in resolution.denies.iter().filter(|reach| !reach.rule.gpu_sets.is_empty()) {
            let (_, places) =
                self.denies.entry(&reach.rule.name.value).or_insert((reach.rule, BTreeSet::new()));
            places.extend(reach.gpus.keys().map(|gpu| (self.hosts, *gpu)));
        }
        self.hosts += 1;
    }

    /// A finding for each that could be removed; `hosts` names all of them.
    #[must_use]
    pub fn findings(&self, hosts: &str) -> Vec<Finding> {
        let (reaching, idle): (Vec<_>, Vec<_>) =
            self.denies.values().partition(|(_, places)| !places.is_empty());
        // Numbers are sooner compared than names: thousands of denies take millions of GPUs from somebody.
        let named = reaching.iter().flat_map(|(deny, _)| &deny.to).map(|to| to.value.as_str());
        let numbers: BTreeMap<&str, usize> = named.collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
        let taken = reaching.into_iter().map(|(deny, places)| {
            let tenants = deny.to.iter().filter_map(|to| numbers.get(to.value.as_str()));
            (*deny, tenants.flat_map(|to| places.iter().map(move |place| (*to, *place))).collect())
        });
        let shadowed = superfluous(taken.collect::<Vec<(&Deny, BTreeSet<(usize, Place)>)>>()).into_iter();
        let shadowed = shadowed.map(|(deny, by)| diags::deny_shadowed(deny, &by, hosts));
        shadowed.chain(idle.into_iter().map(|(deny, _)| diags::deny_idle(deny, hosts))).collect()
    }
}
