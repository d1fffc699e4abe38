//! Which grants two policies serve one container with, for each pair of its owners.
//!
//! A container gets the first of its tenant's grants that applies, so what a grant serves is its box without those of the grants
//! before it. One that names a grant gets that one or nothing.

use std::collections::BTreeMap;

use super::{Both, Class, Classes, Owners};
use crate::policy::overlap::dfa::TooComplex;
use crate::policy::overlap::engines::{Engines, of_conditions};
use crate::policy::overlap::grants::Attribute;
use crate::policy::overlap::region::{Absence, Conditions, Member, smallest};
use crate::policy::overlap::search::Pattern;
use crate::policy::overlap::sieve::{Shape, Sieve};
use crate::policy::{Engine, Grant};

/// A grant of one of the two policies, ready to be compared.
struct Candidate<'p> {
    side: usize,
    grant: &'p Grant,
    /// Under which its conditions can hold.
    engines: Engines,
    patterns: Vec<(Attribute<'p>, Pattern)>,
}

/// The grants that matter for some owners.
struct Pair<'c, 'p> {
    number: usize,
    owners: &'c Owners<'p>,
    members: Vec<usize>,
}

/// Classes by their grants and the engines among which they are the same.
type Known<'p> = BTreeMap<(Both<&'p str>, Engines), Class<'p>>;

/// Everything that the search of one class goes by.
struct Search<'c, 'p> {
    classes: &'c Classes<'p>,
    candidates: &'c [Candidate<'p>],
    boxes: &'c [Conditions<'c, Attribute<'p>>],
    /// For each grant those that it could meet.
    near: &'c [Vec<usize>],
}

pub(super) fn classes<'p>(
    classes: &Classes<'p>,
    owners: &[Owners<'p>],
    mut matters: impl FnMut(usize, Both<&'p str>) -> Result<Vec<Engines>, TooComplex>,
) -> Result<Vec<(usize, Class<'p>)>, TooComplex> {
    let candidates: Vec<Candidate<'p>> = (0..)
        .zip(classes.policies)
        .flat_map(|(side, policy)| policy.grants.values().map(move |grant| Candidate::of(side, grant)))
        .collect();
    let pairs = pairs(owners, &candidates);
    let near = near(classes, &candidates, &pairs)?;
    let boxes: Vec<_> = candidates.iter().map(Candidate::conditions).collect();
    let search = Search { classes, candidates: &candidates, boxes: &boxes, near: &near };
    let mut found = Vec::new();
    for pair in &pairs {
        let mut known = Known::new();
        search.unnamed(pair, &mut known, &mut matters)?;
        search.named(pair, &mut known, &mut matters)?;
        found.extend(known.into_values().map(|class| (pair.number, class)));
    }
    Ok(found)
}

fn pairs<'c, 'p>(owners: &'c [Owners<'p>], candidates: &[Candidate<'p>]) -> Vec<Pair<'c, 'p>> {
    let mut of: [BTreeMap<&str, Vec<usize>>; 2] = Default::default();
    for (at, candidate) in candidates.iter().enumerate() {
        for tenant in &candidate.grant.to {
            let of = of.get_mut(candidate.side);
            of.into_iter().for_each(|of| of.entry(&tenant.value).or_default().push(at));
        }
    }
    let members = |owners: &Owners<'_>| {
        let own = of.iter().zip(owners.tenants).filter_map(|(of, tenant)| of.get(tenant?));
        own.flatten().copied().collect()
    };
    let pair = |(number, owners)| Pair { number, owners, members: members(owners) };
    owners.iter().enumerate().map(pair).collect()
}

/// For each grant those that could serve a container with it, within some pair.
fn near<'p>(
    classes: &Classes<'p>,
    candidates: &[Candidate<'p>],
    pairs: &[Pair<'_, 'p>],
) -> Result<Vec<Vec<usize>>, TooComplex> {
    let mut rooms: Vec<Vec<usize>> = vec![Vec::new(); candidates.len()];
    for pair in pairs {
        for at in &pair.members {
            rooms.get_mut(*at).into_iter().for_each(|rooms| rooms.push(pair.number));
        }
    }
    let shapes: Vec<Shape<'_, usize, Attribute<'_>>> = candidates
        .iter()
        .zip(rooms)
        .map(|(candidate, rooms)| {
            let texts = candidate.patterns.iter();
            texts.fold(Shape::new(rooms), |shape, (key, pattern)| shape.with(*key, pattern.globs()))
        })
        .collect();
    let sieve = Sieve::new(&shapes);
    let mut near = vec![Vec::new(); candidates.len()];
    for at in 0..candidates.len() {
        for other in sieve.after(at, |_| true) {
            classes.look(1)?;
            for (from, to) in [(at, other), (other, at)] {
                near.get_mut(from).into_iter().for_each(|list| list.push(to));
            }
        }
    }
    Ok(near)
}

impl<'p> Candidate<'p> {
    fn of(side: usize, grant: &'p Grant) -> Self {
        let texts = grant.when.iter().filter_map(|clause| Attribute::of(&clause.value));
        let patterns = texts.map(|(attribute, values)| (attribute, Pattern::new(values))).collect();
        Self { side, grant, engines: of_conditions(&grant.when), patterns }
    }

    fn conditions(&self) -> Conditions<'_, Attribute<'p>> {
        let mut conditions = Conditions::new();
        for (attribute, pattern) in &self.patterns {
            conditions.entry(*attribute).or_default().push(pattern);
        }
        conditions
    }

    /// Whether it is tried before another of its policy.
    fn is_before(&self, other: &Self) -> bool {
        let turn = |one: &Self| std::cmp::Reverse(one.grant.rank);
        let names = || self.grant.name.value.cmp(&other.grant.name.value);
        let is_before = turn(self).cmp(&turn(other)).then_with(names).is_lt();
        self.side == other.side && !self.grant.named && is_before
    }
}

impl<'p> Search<'_, 'p> {
    /// Containers that name no grant.
    fn unnamed(
        &self,
        pair: &Pair<'_, 'p>,
        known: &mut Known<'p>,
        matters: &mut impl FnMut(usize, Both<&'p str>) -> Result<Vec<Engines>, TooComplex>,
    ) -> Result<(), TooComplex> {
        let open = |at: &&usize| self.candidates.get(**at).is_some_and(|one| !one.grant.named);
        for at in pair.members.iter().filter(open) {
            let Some(one) = self.candidates.get(*at) else { continue };
            let near: Vec<usize> = self.near_in(pair, *at);
            for other in near.iter().copied().filter(|_| one.side == 0) {
                let Some(second) = self.candidates.get(other).filter(|second| second.side == 1) else {
                    continue;
                };
                self.classes.look(1)?;
                let grants = [one, second].map(|one| Some(one.grant.name.value.as_str()));
                let among = matters(pair.number, grants)?;
                if among.is_empty() {
                    continue;
                }
                let mut before: Vec<usize> = self.before(&near, one);
                before.extend(self.before(&self.near_in(pair, other), second));
                self.find(pair, (&[*at, other], &before), (grants, None), &among, known)?;
            }
            let grants = one.alone();
            let among = matters(pair.number, grants)?;
            if !among.is_empty() {
                let mut outside = self.before(&near, one);
                outside.extend(near.iter().filter(|other| self.is_other(**other, one.side)));
                self.find(pair, (&[*at], &outside), (grants, None), &among, known)?;
            }
        }
        Ok(())
    }

    /// Containers that name the grant which they get in one of the policies.
    fn named(
        &self,
        pair: &Pair<'_, 'p>,
        known: &mut Known<'p>,
        matters: &mut impl FnMut(usize, Both<&'p str>) -> Result<Vec<Engines>, TooComplex>,
    ) -> Result<(), TooComplex> {
        let mut by_name: BTreeMap<&'p str, Both<usize>> = BTreeMap::new();
        for at in &pair.members {
            let Some(one) = self.candidates.get(*at) else { continue };
            let both = by_name.entry(&one.grant.name.value).or_default();
            both.get_mut(one.side).into_iter().for_each(|slot| *slot = Some(*at));
        }
        for (name, both) in by_name {
            let all: Vec<usize> = both.into_iter().flatten().collect();
            if let [_, _] = all.as_slice() {
                self.by_name(pair, (&all, &[]), [Some(name); 2], known, matters)?;
            }
            for at in &all {
                let Some(one) = self.candidates.get(*at) else { continue };
                let outside: Vec<usize> = all.iter().copied().filter(|other| other != at).collect();
                self.by_name(pair, (&[*at], &outside), one.alone(), known, matters)?;
            }
        }
        Ok(())
    }

    fn by_name(
        &self,
        pair: &Pair<'_, 'p>,
        (inside, outside): (&[usize], &[usize]),
        grants: Both<&'p str>,
        known: &mut Known<'p>,
        matters: &mut impl FnMut(usize, Both<&'p str>) -> Result<Vec<Engines>, TooComplex>,
    ) -> Result<(), TooComplex> {
        let mut among = matters(pair.number, grants)?;
        among.retain(|engines| !known.contains_key(&(grants, *engines)));
        let name = grants.into_iter().flatten().next();
        self.find(pair, (inside, outside), (grants, name), &among, known)
    }

    fn near_in(&self, pair: &Pair<'_, 'p>, at: usize) -> Vec<usize> {
        let near = self.near.get(at).map(Vec::as_slice).unwrap_or_default();
        let within = |other: &&usize| {
            let Some(one) = self.candidates.get(**other) else { return false };
            let tenant = pair.owners.tenants.get(one.side).copied().flatten();
            one.grant.to.iter().any(|to| Some(to.value.as_str()) == tenant) && !one.grant.named
        };
        near.iter().filter(within).copied().collect()
    }

    fn before(&self, near: &[usize], one: &Candidate<'p>) -> Vec<usize> {
        let before = |at: &&usize| self.candidates.get(**at).is_some_and(|other| other.is_before(one));
        near.iter().filter(before).copied().collect()
    }

    fn is_other(&self, at: usize, side: usize) -> bool {
        self.candidates.get(at).is_some_and(|one| one.side != side)
    }

    /// Among each group of engines the smallest container within some grants and outside of others, if there is one.
    fn find(
        &self,
        pair: &Pair<'_, 'p>,
        bounds: (&[usize], &[usize]),
        (grants, named): (Both<&'p str>, Option<&'p str>),
        among: &[Engines],
        known: &mut Known<'p>,
    ) -> Result<(), TooComplex> {
        for engines in among {
            if let Some(class) = self.class(pair, bounds, (grants, named), *engines)? {
                known.insert((grants, *engines), class);
            }
        }
        Ok(())
    }

    fn class(
        &self,
        pair: &Pair<'_, 'p>,
        (inside, outside): (&[usize], &[usize]),
        (grants, named): (Both<&'p str>, Option<&'p str>),
        engines: Engines,
    ) -> Result<Option<Class<'p>>, TooComplex> {
        let mut best: Option<Class<'p>> = None;
        let mut tried: Vec<Vec<bool>> = Vec::new();
        for engine in pair.owners.known.keys().copied().filter(|engine| engines.has(*engine)) {
            let there = |at: &usize| self.candidates.get(*at).is_some_and(|one| one.engines.has(engine));
            let apply: Vec<bool> = inside.iter().chain(outside).map(there).collect();
            // Engines under which the same grants apply have the same classes.
            if tried.contains(&apply) || !inside.iter().all(there) {
                continue;
            }
            tried.push(apply);
            let boxes = |some: &[usize]| -> Vec<&Conditions<'_, Attribute<'p>>> {
                some.iter().filter(|at| there(at)).filter_map(|at| self.boxes.get(*at)).collect()
            };
            let kind = |attribute: Attribute<'_>| (attribute.possible(), Absence::Usual);
            if let Some(member) = smallest(&boxes(inside), &boxes(outside), kind, &self.classes.effort)? {
                let class = class(member, engine, grants, named);
                if best.as_ref().is_none_or(|best| class.size() < best.size()) {
                    best = Some(class);
                }
            }
        }
        Ok(best)
    }
}

impl<'p> Candidate<'p> {
    /// It, and nothing in the other policy.
    fn alone(&self) -> Both<&'p str> {
        let mut grants = [None; 2];
        grants.get_mut(self.side).into_iter().for_each(|slot| *slot = Some(self.grant.name.value.as_str()));
        grants
    }
}

impl Class<'_> {
    /// Of two containers that with fewer and shorter texts is smaller.
    pub(crate) fn size(&self) -> (usize, usize) {
        let texts = self.labels.values().chain(&self.image);
        (self.labels.len() + usize::from(self.image.is_some()), texts.map(String::len).sum())
    }
}

fn class<'p>(
    member: Member<Attribute<'_>>,
    engine: Engine,
    grants: Both<&'p str>,
    named: Option<&'p str>,
) -> Class<'p> {
    let (mut labels, mut image) = (BTreeMap::new(), None);
    for (attribute, text) in member {
        match attribute {
            Attribute::Image => image = Some(text),
            Attribute::Label(key) => _ = labels.insert(key.to_owned(), text),
        }
    }
    Class { grants, engine, labels, image, named }
}
