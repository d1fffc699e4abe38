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
    let Superfluous { found, unknown } = superfluous(taken.collect());
    for (deny, by) in found {
        sink.push(diags::deny_shadowed(deny, &by));
    }
    if let [first, more @ ..] = unknown.as_slice() {
        sink.push(diags::denies_unknown(first, more.len()));
    }
}

/// What it takes; of the channels of IMEX as a whole only those that some deny `named`, for nobody could name all.
fn rights<'d>(deny: &'d Deny, named: &BTreeSet<Feature>) -> BTreeSet<(&'d str, Right)> {
    let capabilities = deny.capabilities.iter().copied().map(Right::Capability);
    let features = named.iter().copied().filter(|feature| deny.takes(*feature)).map(Right::Feature);
    let rights: Vec<Right> = capabilities.chain(features).collect();
    deny.to.iter().flat_map(|to| rights.iter().map(move |right| (to.value.as_str(), *right))).collect()
}

/// How many things taken from somebody are compared, of all denies together.
const MOST_TAKEN: usize = 1 << 20;
/// How often it is looked up whether a deny takes something, to find by which others one is made superfluous.
const MOST_LOOKED_UP: usize = 1 << 22;

/// What [`superfluous`] comes to.
pub(crate) struct Superfluous<'d> {
    /// Denies that can be removed together, each with the fewest of the others that take the same.
    pub(crate) found: Vec<(&'d Deny, Vec<&'d Deny>)>,
    /// Those of which it could not be told within bounds.
    pub(crate) unknown: Vec<&'d Deny>,
}

/// Denies that can be removed together without a change; the last to stand in the files are the first to go.
pub(crate) fn superfluous<'d, E: Ord>(mut taken: Vec<(&'d Deny, BTreeSet<E>)>) -> Superfluous<'d> {
    taken.sort_by_key(|(deny, _)| deny.name.span);
    if taken.iter().map(|(_, all)| all.len()).sum::<usize>() > MOST_TAKEN {
        return Superfluous { found: Vec::new(), unknown: taken.into_iter().map(|(deny, _)| deny).collect() };
    }
    let gone = removable(&taken);
    let stays: Vec<&(&Deny, BTreeSet<E>)> =
        taken.iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, one)| one).collect();
    let mut by: Takers<'_, E> = BTreeMap::new();
    for (at, (_, all)) in stays.iter().enumerate() {
        all.iter().for_each(|one| by.entry(one).or_default().push(at));
    }
    let (mut found, mut unknown, mut left) = (Vec::new(), Vec::new(), MOST_LOOKED_UP);
    for (deny, all) in gone.iter().filter_map(|at| taken.get(*at)) {
        match least(all, &stays, &by, &mut left) {
            Some(by) => found.push((*deny, by)),
            None => unknown.push(*deny),
        }
    }
    Superfluous { found, unknown }
}

/// The places of those that can be removed together.
fn removable<E: Ord>(taken: &[(&Deny, BTreeSet<E>)]) -> BTreeSet<usize> {
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
    gone
}

/// Which of the denies that stay take something, by their places.
type Takers<'t, E> = BTreeMap<&'t E, Vec<usize>>;

/// The first that takes all by itself, else some that do together, none of which could be left out; none if that is more to look
/// up than is `left`.
fn least<'d, E: Ord>(
    all: &BTreeSet<E>,
    stays: &[&(&'d Deny, BTreeSet<E>)],
    by: &Takers<'_, E>,
    left: &mut usize,
) -> Option<Vec<&'d Deny>> {
    let takers = |one: &E| by.get(one).map(Vec::as_slice).unwrap_or_default();
    // Whoever takes all takes what the fewest take.
    let rarest = all.iter().map(takers).min_by_key(|takers| takers.len()).unwrap_or_default();
    for (deny, taken) in rarest.iter().filter_map(|at| stays.get(*at)) {
        *left = left.checked_sub(all.len())?;
        if all.is_subset(taken) {
            return Some(vec![deny]);
        }
    }
    let mut counts: BTreeMap<&E, usize> = all.iter().map(|one| (one, takers(one).len())).collect();
    *left = left.checked_sub(counts.values().sum())?;
    let meeting: BTreeSet<usize> = all.iter().flat_map(takers).copied().collect();
    let mut needed = Vec::new();
    for (deny, taken) in meeting.iter().filter_map(|at| stays.get(*at)) {
        *left = left.checked_sub(all.len())?;
        let own: Vec<&E> = all.iter().filter(|one| taken.contains(one)).collect();
        if own.iter().all(|one| counts.get(one).is_some_and(|count| *count > 1)) {
            own.iter().for_each(|one| _ = counts.entry(one).and_modify(|count| *count -= 1));
        } else {
            needed.push(*deny);
        }
    }
    Some(needed)
}
