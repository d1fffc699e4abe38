//! The smallest container that is within some boxes and within none of others.
//!
//! A box asks for texts of some attributes, each by itself. The smallest container within the wanted boxes is looked at first; if one
//! of the others has it too, each way of not being within that one is a smaller problem of the same kind, and the smallest of
//! all that are open is always next. So the first that is in none of the others is the smallest there is.

use std::collections::{BTreeMap, BTreeSet};

use super::dfa::TooComplex;
use super::possible::Possible;
use super::search::{Effort, Pattern, beside};

/// More parts than this are more than anybody wrote.
const MOST_PARTS: usize = 1 << 12;

/// What is asked of each attribute; all others may be anything, and absent.
pub(super) type Conditions<'p, A> = BTreeMap<A, Vec<&'p Pattern>>;

/// Texts of attributes; all others are absent.
pub(super) type Member<A> = BTreeMap<A, String>;

/// Whether a container may be without an attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// It is, unless something else is asked for.
    Usual,
    /// Only where no text is left.
    Last,
    /// Never.
    Never,
}

/// What there can be of an attribute.
pub(super) type Kind = (Possible, Absence);

/// A part of what is searched: for each attribute what matches it, what does not, and the best text of those that are left.
#[derive(Clone, Default)]
struct Part<'p, A>(BTreeMap<A, Limits<'p>>);

#[derive(Clone, Default)]
struct Limits<'p> {
    matched: Vec<&'p Pattern>,
    unmatched: Vec<&'p Pattern>,
    best: Option<String>,
}

/// How large a container is: how many attributes it has, how many of them are empty, which is hard to read, how long they are, and which.
type Size<A> = (usize, usize, usize, Vec<(A, String)>);

/// What a part leaves out of the wanted boxes, so that none is searched twice.
type Cut<A> = Vec<(A, usize)>;

/// The smallest container that all of `inside` have and none of `outside`.
///
/// # Errors
///
/// If the search would take too long.
pub(super) fn smallest<'p, A: Ord + Copy>(
    inside: &[&Conditions<'p, A>],
    outside: &[&Conditions<'p, A>],
    kind: impl Fn(A) -> Kind,
    effort: &Effort,
) -> Result<Option<Member<A>>, TooComplex> {
    effort.spend(1)?;
    let Some(whole) = Part::whole(inside, outside, &kind, effort)? else { return Ok(None) };
    let mut open = BTreeMap::from([((whole.size(), 0), (whole, Cut::new()))]);
    let mut known: BTreeSet<Cut<A>> = BTreeSet::new();
    while let Some((_, (part, cut))) = open.pop_first() {
        let member = part.member();
        let Some(other) = first_with(outside, &member, effort)? else { return Ok(Some(member)) };
        for (attribute, pattern) in
            other.iter().flat_map(|(key, all)| all.iter().map(move |one| (*key, *one)))
        {
            let mut cut = cut.clone();
            cut.push((attribute, std::ptr::from_ref(pattern).addr()));
            cut.sort_unstable();
            if !known.insert(cut.clone()) {
                continue;
            }
            if known.len() > MOST_PARTS {
                return Err(TooComplex);
            }
            if let Some(left) = part.without(attribute, pattern, kind(attribute), effort)? {
                open.insert((left.size(), known.len()), (left, cut));
            }
        }
    }
    Ok(None)
}

fn first_with<'o, 'p, A: Ord + Copy>(
    boxes: &[&'o Conditions<'p, A>],
    member: &Member<A>,
    effort: &Effort,
) -> Result<Option<&'o Conditions<'p, A>>, TooComplex> {
    for one in boxes {
        if has(one, member, effort)? {
            return Ok(Some(one));
        }
    }
    Ok(None)
}

fn has<A: Ord>(one: &Conditions<'_, A>, member: &Member<A>, effort: &Effort) -> Result<bool, TooComplex> {
    for (attribute, patterns) in one {
        let Some(text) = member.get(attribute) else { return Ok(false) };
        for pattern in patterns {
            if !pattern.matches(text, effort)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

impl<'p, A: Ord + Copy> Part<'p, A> {
    /// All that is wanted; none if nothing is.
    fn whole(
        inside: &[&Conditions<'p, A>],
        outside: &[&Conditions<'p, A>],
        kind: &impl Fn(A) -> Kind,
        effort: &Effort,
    ) -> Result<Option<Self>, TooComplex> {
        let mut whole: BTreeMap<A, Limits<'p>> = BTreeMap::new();
        for (attribute, patterns) in inside.iter().copied().flatten() {
            whole.entry(*attribute).or_default().matched.extend(patterns);
        }
        // What the others ask for and a container always has, it has here too.
        for attribute in outside.iter().flat_map(|one| one.keys()) {
            if kind(*attribute).1 != Absence::Usual {
                whole.entry(*attribute).or_default();
            }
        }
        for (attribute, limits) in &mut whole {
            let Some(best) = limits.find(kind(*attribute), effort)? else { return Ok(None) };
            limits.best = best;
        }
        Ok(Some(Self(whole)))
    }

    /// What of it the pattern does not match; none if nothing is.
    fn without(
        &self,
        attribute: A,
        pattern: &'p Pattern,
        kind: Kind,
        effort: &Effort,
    ) -> Result<Option<Self>, TooComplex> {
        let mut left = self.clone();
        let limits = left.0.entry(attribute).or_default();
        limits.unmatched.push(pattern);
        let Some(best) = limits.find(kind, effort)? else { return Ok(None) };
        limits.best = best;
        Ok(Some(left))
    }

    fn member(&self) -> Member<A> {
        self.0.iter().filter_map(|(attribute, limits)| Some((*attribute, limits.best.clone()?))).collect()
    }

    fn size(&self) -> Size<A> {
        let texts: Vec<(A, String)> = self.member().into_iter().collect();
        let empty = texts.iter().filter(|(_, text)| text.is_empty()).count();
        (texts.len(), empty, texts.iter().map(|(_, text)| text.len()).sum(), texts)
    }
}

impl Limits<'_> {
    /// The best text within them, or that it is absent; none if there is neither.
    fn find(&self, (possible, absence): Kind, effort: &Effort) -> Result<Option<Option<String>>, TooComplex> {
        let free = self.matched.is_empty();
        if free && absence == Absence::Usual {
            return Ok(Some(None));
        }
        let text = beside(&self.matched, &self.unmatched, possible, effort)?;
        Ok(if text.is_none() && free && absence == Absence::Last { Some(None) } else { text.map(Some) })
    }
}
