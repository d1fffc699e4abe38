//! Grants that never apply by themselves, because others serve all their containers first.
//!
//! What a grant applies to is a box: texts of each label and of the image, under some engines. The boxes of the grants before
//! it are taken out of that one after the other; if nothing is left, those that took something cover it. A label that only
//! the other grant asks for may be absent, so such a grant takes nothing whole and is left out from the beginning.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::{Attribute, Candidate, Conditions, Gift};
use crate::diag::Sink;
use crate::policy::overlap::boxes::is_left;
use crate::policy::overlap::dfa::TooComplex;
use crate::policy::overlap::engines;
use crate::policy::overlap::search::Effort;
use crate::policy::overlap::sieve::{Shape, Sieve};
use crate::policy::{Engine, Grant, Tenant, diags};

/// So many pairs take about as long to look at as a state to visit.
const PAIRS_A_STATE: usize = 16;

/// Reports each grant with the tenants of which it serves no container that does not name it, and who does.
pub(super) fn report(
    candidates: &[Candidate<'_>],
    tenants: &BTreeMap<String, Tenant>,
    effort: &Effort,
    sink: &mut Sink,
) {
    let mut weakest_first: Vec<&Candidate<'_>> = candidates.iter().collect();
    weakest_first.sort_by(|one, other| {
        let names = other.grant.name.value.cmp(&one.grant.name.value);
        one.grant.rank.cmp(&other.grant.rank).then(names)
    });
    let shapes: Vec<_> = weakest_first.iter().map(|candidate| shape(candidate)).collect();
    let sieve = Sieve::new(&shapes);
    for (at, candidate) in weakest_first.iter().enumerate() {
        let (looked, mut unknown) = (Cell::new(0), at + 1);
        let before = sieve.after(at, |other| {
            looked.set(looked.get() + 1);
            weakest_first.get(other).is_some_and(|other| may_take_all(other, candidate))
        });
        let before: Vec<&Candidate<'_>> =
            before.into_iter().rev().filter_map(|at| weakest_first.get(at).copied()).collect();
        let looking = effort.spend(looked.get() / PAIRS_A_STATE);
        match looking.and_then(|()| shadowed(candidate, &before, tenants, effort)) {
            Ok(all) => all.into_iter().for_each(|(tenants, by)| {
                let by: Vec<_> = by.iter().filter_map(|at| before.get(*at)).map(|by| by.grant).collect();
                sink.push(diags::grant_shadowed(candidate.grant, &tenants, &by));
            }),
            Err(TooComplex) if !effort.is_spent() => sink.push(diags::shadow_unknown(candidate.grant, 0)),
            // It is the first of those that are left out.
            Err(TooComplex) => unknown = at,
        }
        if effort.is_spent() {
            let left = weakest_first.get(unknown..).and_then(<[_]>::split_first);
            if let Some((first, others)) = left {
                sink.push(diags::shadow_unknown(first.grant, others.len()));
            }
            return;
        }
    }
}

/// Only grants of one tenant can take anything of each other, and none that has to be named.
fn shape<'g>(candidate: &Candidate<'g>) -> Shape<'g, &'g str, Attribute<'g>> {
    let grant = candidate.grant;
    let open = grant.to.iter().filter(|_| !grant.named);
    let texts = grant.when.iter().filter_map(|clause| Attribute::of(&clause.value));
    let shape = Shape::new(open.map(|tenant| tenant.value.as_str()));
    texts.fold(shape, |shape, (attribute, values)| shape.with(attribute, values))
}

/// Whether a grant that comes first could take all of another: between two of one rank that differ nothing decides.
fn may_take_all(first: &Candidate<'_>, other: &Candidate<'_>) -> bool {
    let decided = first.grant.rank > other.grant.rank || Gift(first.grant) == Gift(other.grant);
    decided && attributes(first.grant).all(|one| attributes(other.grant).any(|other| one == other))
}

fn attributes(grant: &Grant) -> impl Iterator<Item = Attribute<'_>> {
    grant.when.iter().filter_map(|clause| Some(Attribute::of(&clause.value)?.0))
}

/// The tenants of which nothing is left, with the least of the grants before that leave nothing, by their places.
fn shadowed<'g>(
    candidate: &Candidate<'g>,
    before: &[&Candidate<'_>],
    tenants: &BTreeMap<String, Tenant>,
    effort: &Effort,
) -> Result<BTreeMap<Vec<&'g str>, Vec<usize>>, TooComplex> {
    let mut by: BTreeMap<Vec<usize>, Vec<&'g str>> = BTreeMap::new();
    for to in candidate.grant.to.iter().filter(|_| !before.is_empty()) {
        let Some(tenant) = tenants.get(&to.value) else { continue };
        let engines: Vec<Engine> = candidate.engines.and(engines::of_tenant(tenant)).iter().collect();
        let serves = |at: &usize| before.get(*at).is_some_and(|by| by.is_for(&to.value));
        let serving: Vec<usize> = (0..before.len()).filter(serves).collect();
        let covers = |some: &[usize]| {
            let some: Vec<&Candidate<'_>> = some.iter().filter_map(|at| before.get(*at).copied()).collect();
            is_covered(candidate, &engines, &some, effort)
        };
        if let Some(least) = least(&serving, covers)?.filter(|_| !engines.is_empty()) {
            by.entry(least).or_default().push(&to.value);
        }
    }
    Ok(by.into_iter().map(|(by, tenants)| (tenants, by)).collect())
}

/// The first that suffices alone, else as few of all as suffice together, none of which could be left out.
fn least(
    all: &[usize],
    suffice: impl Fn(&[usize]) -> Result<bool, TooComplex>,
) -> Result<Option<Vec<usize>>, TooComplex> {
    for one in all {
        if suffice(&[*one])? {
            return Ok(Some(vec![*one]));
        }
    }
    if all.len() < 2 || !suffice(all)? {
        return Ok(None);
    }
    let mut left = all.to_vec();
    for one in all {
        let without: Vec<usize> = left.iter().copied().filter(|other| other != one).collect();
        if suffice(&without)? {
            left = without;
        }
    }
    Ok(Some(left))
}

fn is_covered(
    candidate: &Candidate<'_>,
    engines: &[Engine],
    by: &[&Candidate<'_>],
    effort: &Effort,
) -> Result<bool, TooComplex> {
    for engine in engines {
        let there = by.iter().filter(|by| by.engines.iter().any(|other| other == *engine));
        let boxes: Vec<&Conditions<'_>> = there.map(|by| by.conditions()).collect();
        if is_left(candidate.conditions(), &boxes, |attribute| attribute.possible(), effort)? {
            return Ok(false);
        }
    }
    Ok(true)
}
