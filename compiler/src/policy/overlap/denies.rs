//! Denies that take nothing which others do not take.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;

use crate::diag::Sink;
use crate::policy::{Deny, diags};

/// Something that a tenant is denied beside devices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Right {
    Capability(Capability),
    Feature(Feature),
}

/// Reports those of capabilities and features.
pub(in crate::policy) fn report(denies: &BTreeMap<String, Deny>, sink: &mut Sink) {
    let denies: Vec<&Deny> = denies.values().filter(|deny| deny.gpu_sets.is_empty()).collect();
    let named: BTreeSet<Feature> = denies.iter().flat_map(|deny| deny.features.iter().copied()).collect();
    let taken = denies.iter().map(|deny| (*deny, rights(deny, &named)));
    for (deny, by) in superfluous(taken.collect()) {
        sink.push(diags::deny_shadowed(deny, &by));
    }
}

/// What it takes; of the channels of IMEX as a whole only those that some deny `named`, for nobody could name all.
fn rights<'d>(deny: &'d Deny, named: &BTreeSet<Feature>) -> BTreeSet<(&'d str, Right)> {
    let capabilities = deny.capabilities.iter().copied().map(Right::Capability);
    let features = named.iter().copied().filter(|feature| deny.takes(*feature)).map(Right::Feature);
    let rights: Vec<Right> = capabilities.chain(features).collect();
    deny.to.iter().flat_map(|to| rights.iter().map(move |right| (to.value.as_str(), *right))).collect()
}

/// Denies that can be removed together without a change, each with the fewest of the others that take the same; the last
/// to stand in the files are the first to go.
pub(crate) fn superfluous<E: Ord>(mut taken: Vec<(&Deny, BTreeSet<E>)>) -> Vec<(&Deny, Vec<&Deny>)> {
    taken.sort_by_key(|(deny, _)| deny.name.span);
    let mut counts: BTreeMap<&E, usize> = BTreeMap::new();
    for one in taken.iter().flat_map(|(_, all)| all) {
        *counts.entry(one).or_default() += 1;
    }
    let mut gone: BTreeSet<usize> = BTreeSet::new();
    for (at, (_, all)) in taken.iter().enumerate().rev() {
        if all.iter().all(|one| counts.get(one).is_some_and(|count| *count > 1)) {
            gone.insert(at);
            all.iter().for_each(|one| _ = counts.entry(one).and_modify(|count| *count -= 1));
        }
    }
    let stays: Vec<&(&Deny, BTreeSet<E>)> =
        taken.iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, one)| one).collect();
    let mut by: Takers<'_, E> = BTreeMap::new();
    for (at, (_, all)) in stays.iter().enumerate() {
        all.iter().for_each(|one| by.entry(one).or_default().push(at));
    }
    let gone = gone.iter().filter_map(|at| taken.get(*at));
    gone.map(|(deny, all)| (*deny, least(all, &stays, &by))).collect()
}

/// Which of the denies that stay take something, by their places.
type Takers<'t, E> = BTreeMap<&'t E, Vec<usize>>;

/// The first that takes all by itself, else some that do together, none of which could be left out.
fn least<'d, E: Ord>(
    all: &BTreeSet<E>,
    stays: &[&(&'d Deny, BTreeSet<E>)],
    by: &Takers<'_, E>,
) -> Vec<&'d Deny> {
    let takers = |one: &E| by.get(one).map(Vec::as_slice).unwrap_or_default();
    // Whoever takes all takes what the fewest take.
    let rarest = all.iter().map(takers).min_by_key(|takers| takers.len()).unwrap_or_default();
    let mut alone = rarest.iter().filter_map(|at| stays.get(*at));
    if let Some((deny, _)) = alone.find(|(_, taken)| all.is_subset(taken)) {
        return vec![deny];
    }
    let mut counts: BTreeMap<&E, usize> = all.iter().map(|one| (one, takers(one).len())).collect();
    let meeting: BTreeSet<usize> = all.iter().flat_map(takers).copied().collect();
    let mut left = Vec::new();
    for (deny, taken) in meeting.iter().filter_map(|at| stays.get(*at)) {
        let own: Vec<&E> = all.iter().filter(|one| taken.contains(one)).collect();
        if own.iter().all(|one| counts.get(one).is_some_and(|count| *count > 1)) {
            own.iter().for_each(|one| _ = counts.entry(one).and_modify(|count| *count -= 1));
        } else {
            left.push(*deny);
        }
    }
    left
}
