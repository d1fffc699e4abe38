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
    let gone = gone.iter().filter_map(|at| taken.get(*at));
    gone.map(|(deny, all)| (*deny, least(all, &stays))).collect()
}

/// The first that takes all by itself, else some that do together, none of which could be left out.
fn least<'d, E: Ord>(all: &BTreeSet<E>, stays: &[&(&'d Deny, BTreeSet<E>)]) -> Vec<&'d Deny> {
    if let Some((deny, _)) = stays.iter().find(|(_, taken)| !all.is_empty() && all.is_subset(taken)) {
        return vec![deny];
    }
    let mut by: Vec<&&(&Deny, BTreeSet<E>)> =
        stays.iter().filter(|(_, taken)| !taken.is_disjoint(all)).collect();
    let mut at = 0;
    while at < by.len() {
        let others = || by.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, one)| &one.1);
        if all.iter().all(|one| others().any(|taken| taken.contains(one))) {
            by.remove(at);
        } else {
            at += 1;
        }
    }
    by.into_iter().map(|(deny, _)| *deny).collect()
}
