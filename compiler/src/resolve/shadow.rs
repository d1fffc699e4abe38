//! Denies of devices that take nothing which others do not take, on all hosts together.

use std::collections::{BTreeMap, BTreeSet};

use super::{Resolution, diags};
use crate::diag::Finding;
use crate::policy::{self, Deny, Superfluous, superfluous};

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
        // What the same denies name or reach counts as one: thousands of denies take millions of GPUs from somebody.
        let tenants = classes(reaching.iter().map(|(deny, _)| deny.to.iter().map(|to| to.value.as_str())));
        let gpus = classes(reaching.iter().map(|(_, places)| places.iter().copied()));
        let taken =
            reaching.into_iter().zip(tenants.iter().zip(&gpus)).map(|((deny, _), (tenants, gpus))| {
                (*deny, tenants.iter().flat_map(|to| gpus.iter().map(move |gpu| (*to, *gpu))).collect())
            });
        let Superfluous { found, unknown } = superfluous::<(usize, usize)>(taken.collect());
        let unknown = unknown.split_first().map(|(first, more)| policy::denies_unknown(first, more.len()));
        let shadowed = found.into_iter().map(|(deny, by)| diags::deny_shadowed(deny, &by, hosts));
        let idle = idle.into_iter().map(|(deny, _)| diags::deny_idle(deny, hosts));
        shadowed.chain(unknown).chain(idle).collect()
    }
}

/// For each of some sets the numbers of what is in it, where things that are in the same sets have the same number.
fn classes<T: Ord>(sets: impl Iterator<Item = impl Iterator<Item = T>>) -> Vec<BTreeSet<usize>> {
    let mut within: BTreeMap<T, Vec<usize>> = BTreeMap::new();
    let mut count = 0;
    for (at, set) in sets.enumerate() {
        set.for_each(|one| within.entry(one).or_default().push(at));
        count += 1;
    }
    let different: BTreeSet<Vec<usize>> = within.into_values().collect();
    let mut numbers = vec![BTreeSet::new(); count];
    for (number, sets) in different.iter().enumerate() {
        for at in sets {
            numbers.get_mut(*at).map(|numbers: &mut BTreeSet<usize>| numbers.insert(number));
        }
    }
    numbers
}
