//! Boxes of texts: what something is for is a list of alternative patterns of each of several texts. What is left of one
//! box beside others is found by taking them out of it, one after the other.

use std::collections::BTreeMap;

use super::dfa::TooComplex;
use super::possible::Possible;
use super::search::{Effort, Pattern, beside};

/// What all must match in each text.
pub(super) type Conditions<K, S> = BTreeMap<K, Vec<(Pattern, S)>>;

/// A part of a box: for each text what it matches, and what it does not.
type Part<'p, K> = BTreeMap<K, [Vec<&'p Pattern>; 2]>;

/// Whether anything of a box is in none of the others. A text of which `whole` says nothing may be absent, so a box that
/// asks for it takes nothing.
///
/// # Errors
///
/// If it would take too long.
pub(super) fn is_left<K: Ord + Copy, S>(
    whole: &Conditions<K, S>,
    boxes: &[&Conditions<K, S>],
    possible: impl Fn(K) -> Possible,
    effort: &Effort,
) -> Result<bool, TooComplex> {
    let cell: Part<'_, K> = whole.iter().map(|(key, all)| (*key, [patterns(all), Vec::new()])).collect();
    let mut left = vec![(cell, 0)];
    while let Some((cell, from)) = left.pop() {
        let mut meeting = None;
        for (at, one) in boxes.iter().enumerate().skip(from) {
            if meets(&cell, one, &possible, effort)? {
                meeting = Some((at, *one));
                break;
            }
        }
        let Some((at, one)) = meeting else { return Ok(true) };
        left.extend(without(cell, one, &possible, effort)?.into_iter().map(|cell| (cell, at + 1)));
    }
    Ok(false)
}

/// Whether a part and a box have something in common.
fn meets<K: Ord + Copy, S>(
    cell: &Part<'_, K>,
    other: &Conditions<K, S>,
    possible: &impl Fn(K) -> Possible,
    effort: &Effort,
) -> Result<bool, TooComplex> {
    for (key, all) in other {
        let Some([matched, unmatched]) = cell.get(key) else { return Ok(false) };
        let both = [matched.clone(), patterns(all)].concat();
        if beside(&both, unmatched, possible(*key), effort)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The part without the box, in pieces that have nothing in common.
fn without<'p, K: Ord + Copy, S>(
    mut cell: Part<'p, K>,
    other: &'p Conditions<K, S>,
    possible: &impl Fn(K) -> Possible,
    effort: &Effort,
) -> Result<Vec<Part<'p, K>>, TooComplex> {
    let mut pieces = Vec::new();
    for (key, all) in other {
        for pattern in patterns(all) {
            let Some([matched, unmatched]) = cell.get(key) else { continue };
            let outside = [unmatched.as_slice(), &[pattern]].concat();
            if beside(matched, &outside, possible(*key), effort)?.is_some() {
                let mut piece = cell.clone();
                if let Some([_, unmatched]) = piece.get_mut(key) {
                    unmatched.push(pattern);
                }
                pieces.push(piece);
            }
            if let Some([matched, _]) = cell.get_mut(key) {
                matched.push(pattern);
            }
        }
    }
    Ok(pieces)
}

fn patterns<S>(all: &[(Pattern, S)]) -> Vec<&Pattern> {
    all.iter().map(|(pattern, _)| pattern).collect()
}
