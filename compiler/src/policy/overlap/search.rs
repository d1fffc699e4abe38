//! A text that several patterns match.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::LazyLock;

use gpupol_plan::glob;
use regex_automata::dfa::Automaton;
use regex_automata::util::primitives::StateID;
use smallvec::SmallVec;

use super::dfa::{self, Dfa, MAX_AUTOMATON, TooComplex, anything, automaton, begin, ends, expression};
use super::possible::Possible;
use crate::policy::Glob;

/// The most states of a product that are visited.
const MAX_VISITED: usize = 1 << 16;
/// The most states that are visited in all.
const MAX_EFFORT: usize = 1 << 18;
/// So many bytes of an automaton take about as long to make as a state to visit.
const BYTES_A_STATE: usize = 64;
/// So many pairs of globs take about as long to look at as a state to visit.
const PAIRS_A_STATE: usize = 64;
/// A state of so many automata takes about twice as long as one of a single automaton.
const AUTOMATA_A_STATE: usize = 8;
/// So many steps of reading a text take about as long as a state to visit.
const STEPS_A_STATE: usize = 512;
/// Of more alternatives than this an automaton tells sooner whether one of them matches a text.
const MOST_READ: usize = 8;

/// What comparing may still cost, in states visited: one bound for all pairs of a policy.
#[derive(Debug)]
pub(super) struct Effort {
    left: Cell<usize>,
    /// Automata that were made, for policies say the same patterns over and over.
    made: RefCell<BTreeMap<Vec<Glob>, Made>>,
}

/// What came of making an automaton.
type Made = Result<Rc<Dfa>, TooComplex>;

/// A list of alternative patterns.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    globs: Vec<Glob>,
    literal: bool,
    /// Made when it is first needed: most patterns are told apart by their beginnings.
    automaton: OnceCell<Made>,
}

impl Default for Effort {
    fn default() -> Self {
        Self::within(MAX_EFFORT)
    }
}

impl Effort {
    /// So many states.
    pub(super) fn within(states: usize) -> Self {
        Self { left: Cell::new(states), made: RefCell::default() }
    }

    /// Whether nothing more can be compared.
    pub(super) fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    /// So many states were visited.
    ///
    /// # Errors
    ///
    /// If that is all that there was.
    pub(super) fn spend(&self, states: usize) -> Result<(), TooComplex> {
        self.left.set(self.left.get().saturating_sub(states));
        if self.is_spent() { Err(TooComplex) } else { Ok(()) }
    }

    /// The automaton of any of `globs`, made if it was not yet.
    fn automaton(&self, globs: &[Glob]) -> Made {
        if let Some(made) = self.made.borrow().get(globs) {
            return made.clone();
        }
        let alternatives: Vec<String> = globs.iter().map(expression).collect();
        let made = automaton(&alternatives.join("|"));
        let bytes = made.as_ref().map_or(MAX_AUTOMATON, Dfa::memory_usage);
        let made = self.spend(bytes / BYTES_A_STATE).and(made).map(Rc::new);
        self.made.borrow_mut().insert(globs.to_vec(), made.clone());
        made
    }
}

impl Pattern {
    /// What any of `globs` matches.
    #[must_use]
    pub(super) fn new(globs: &[Glob]) -> Self {
        let literal = globs.iter().all(is_literal);
        Self { globs: globs.to_vec(), literal, automaton: OnceCell::new() }
    }

    /// This text, whatever its characters are.
    pub(super) fn exact(text: &str) -> Self {
        Self { globs: vec![Glob(text.to_owned())], literal: true, automaton: OnceCell::new() }
    }

    fn automaton(&self, effort: &Effort) -> Result<&Dfa, TooComplex> {
        let made = self.automaton.get_or_init(|| effort.automaton(&self.globs));
        made.as_deref().map_err(|error| *error)
    }

    /// Whether the ends of any two patterns let them match one text: a cheap answer for most that have none.
    fn may_meet(&self, other: &Self) -> bool {
        self.globs.iter().any(|left| other.globs.iter().any(|right| ends_meet(&left.0, &right.0)))
    }

    /// The alternatives.
    pub(super) fn globs(&self) -> &[Glob] {
        &self.globs
    }

    /// Whether it alone is beyond the bounds, whatever it is compared with.
    pub(super) fn is_too_complex(&self, effort: &Effort) -> bool {
        self.automaton(effort).is_err()
    }

    /// Whether it matches the whole of `text`.
    pub(super) fn matches(&self, text: &str, effort: &Effort) -> Result<bool, TooComplex> {
        if self.literal {
            return Ok(self.globs.iter().any(|glob| glob.0 == text));
        }
        if self.automaton.get().is_none() && self.globs.len() <= MOST_READ {
            let longest = self.globs.iter().map(|glob| glob.0.len()).max().unwrap_or(0);
            effort.spend(longest * text.len() / STEPS_A_STATE)?;
            return Ok(self.globs.iter().any(|glob| glob::matches(&glob.0, text)));
        }
        Ok(dfa::matches(self.automaton(effort)?, text))
    }
}

/// A shortest text of its kind that all of `patterns` match; an empty one only if there is no other.
///
/// # Errors
///
/// If the search would take too long.
pub(super) fn witness(
    patterns: &[&Pattern],
    possible: Possible,
    effort: &Effort,
) -> Result<Option<String>, TooComplex> {
    beside(patterns, &[], possible, effort)
}

/// The same of a text that none of `others` matches.
///
/// # Errors
///
/// If the search would take too long.
pub(super) fn beside(
    patterns: &[&Pattern],
    others: &[&Pattern],
    possible: Possible,
    effort: &Effort,
) -> Result<Option<String>, TooComplex> {
    effort.spend(1 + globs(patterns) * (globs(patterns) + globs(others)) / PAIRS_A_STATE)?;
    let pairs = patterns
        .iter()
        .enumerate()
        .flat_map(|(at, left)| patterns.iter().skip(at + 1).map(move |right| (left, right)));
    if pairs.into_iter().any(|(left, right)| !left.may_meet(right)) {
        return Ok(None);
    }
    // What meets none of the texts takes none of them away.
    let meets = |other: &&&Pattern| patterns.iter().all(|pattern| pattern.may_meet(other));
    let others: Vec<&Pattern> = others.iter().filter(meets).copied().collect();
    if let Some(list) = patterns.iter().find(|pattern| pattern.literal) {
        return listed(list, patterns, &others, possible, effort);
    }
    let mut accepting = automata(patterns, effort)?;
    accepting.extend(possible.automaton());
    if accepting.is_empty() {
        accepting.extend(anything());
    }
    let bytes = alphabet(patterns, &others);
    if let Some(found) = shortest(&accepting, &automata(&others, effort)?, &bytes, effort)? {
        // What the shortest is too long for, all others are.
        return Ok(Some(found).filter(|found| possible.fits(found)));
    }
    let empty = possible.allows("") && matched(patterns, &others, "", effort)?;
    Ok(empty.then(String::new))
}

/// The best of the texts in `list`, which are all that can be.
fn listed(
    list: &Pattern,
    patterns: &[&Pattern],
    others: &[&Pattern],
    possible: Possible,
    effort: &Effort,
) -> Result<Option<String>, TooComplex> {
    let mut texts: Vec<&str> = list.globs.iter().map(|glob| glob.0.as_str()).collect();
    texts.sort_by_key(|text| (text.is_empty(), text.len(), *text));
    effort.spend(texts.len() / MOST_READ)?;
    for text in texts {
        if possible.allows(text) && matched(patterns, others, text, effort)? {
            return Ok(Some(text.to_owned()));
        }
    }
    Ok(None)
}

fn globs(patterns: &[&Pattern]) -> usize {
    patterns.iter().map(|pattern| pattern.globs.len()).sum()
}

/// The bytes that a shortest text may be made of, those first that a reader likes to see.
///
/// Patterns tell only those characters apart that they name. Of all others one of each kind that a [`Possible`] knows is enough, and
/// where a longer character could stand, one of these can.
fn alphabet(patterns: &[&Pattern], others: &[&Pattern]) -> Vec<u8> {
    let named = patterns.iter().chain(others).flat_map(|pattern| &pattern.globs);
    let named: BTreeSet<u8> = named.flat_map(|glob| glob.0.bytes()).collect();
    let mut kinds: BTreeSet<u8> = BTreeSet::new();
    let mut free = false;
    let mut first_of_kind = |byte: u8| {
        free |= byte.is_ascii() && byte != b'/';
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => kinds.insert(b'a'),
            b'-' | b'.' | b'/' => true,
            _ => byte.is_ascii() && kinds.insert(b'_'),
        }
    };
    let bytes =
        PREFERRED.iter().copied().filter(|byte| named.contains(byte) || first_of_kind(*byte)).collect();
    if free { bytes } else { PREFERRED.clone() }
}

fn automata<'p>(patterns: &[&'p Pattern], effort: &Effort) -> Result<Vec<&'p Dfa>, TooComplex> {
    patterns.iter().map(|pattern| pattern.automaton(effort)).collect()
}

/// Whether all of `patterns` match the text, and none of `others`.
fn matched(
    patterns: &[&Pattern],
    others: &[&Pattern],
    text: &str,
    effort: &Effort,
) -> Result<bool, TooComplex> {
    for (all, wanted) in [(patterns, true), (others, false)] {
        for pattern in all {
            if pattern.matches(text, effort)? != wanted {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Whether the plain text at the beginnings, and at the ends, is the same as far as both have any.
fn ends_meet(left: &str, right: &str) -> bool {
    let wild = ['*', '?'];
    let head = |glob: &str| glob.split(wild).next().unwrap_or_default().len();
    let tail = |glob: &str| glob.rsplit(wild).next().unwrap_or_default().len();
    let heads = left.bytes().zip(right.bytes()).take(head(left).min(head(right)));
    let tails = left.bytes().rev().zip(right.bytes().rev()).take(tail(left).min(tail(right)));
    heads.chain(tails).all(|(left, right)| left == right)
}

fn is_literal(glob: &Glob) -> bool {
    !glob.0.contains(['*', '?'])
}

/// Where the search came from: the place of the state before, and the byte.
type Step = (usize, u8);

/// Where all automata are.
type States = SmallVec<[StateID; 4]>;

/// A shortest text that is not empty, that all of `accepting` accept and none of `refusing`, readable bytes before others.
fn shortest(
    accepting: &[&Dfa],
    refusing: &[&Dfa],
    bytes: &[u8],
    effort: &Effort,
) -> Result<Option<String>, TooComplex> {
    let automata = [accepting, refusing].concat();
    let Some(first) = automata.iter().map(|automaton| begin(automaton)).collect::<Option<States>>() else {
        return Ok(None);
    };
    let step = |states: &[StateID], byte: u8| -> Option<States> {
        let mut next = States::with_capacity(states.len());
        for (at, (automaton, state)) in automata.iter().zip(states).enumerate() {
            let state = automaton.next_state(*state, byte);
            // Whoever refuses and can match no more refuses nothing more.
            if at < accepting.len() && automaton.is_dead_state(state) {
                return None;
            }
            next.push(state);
        }
        Some(next)
    };
    let found = |states: &[StateID]| {
        let verdicts = automata.iter().zip(states).map(|(automaton, state)| ends(automaton, *state));
        verdicts.enumerate().all(|(at, ends)| ends == (at < accepting.len()))
    };
    let mut visited: Vec<Option<Step>> = vec![None];
    let mut known: BTreeSet<States> = BTreeSet::new();
    let mut queue: VecDeque<(usize, States)> = VecDeque::from([(0, first)]);
    while let Some((from, states)) = queue.pop_front() {
        effort.spend(1 + automata.len() / AUTOMATA_A_STATE)?;
        for byte in bytes {
            let Some(next) = step(&states, *byte) else { continue };
            if !known.insert(next.clone()) {
                continue;
            }
            visited.push(Some((from, *byte)));
            let place = visited.len() - 1;
            if found(&next) {
                return Ok(Some(text(&visited, place)));
            }
            if visited.len() > MAX_VISITED {
                return Err(TooComplex);
            }
            queue.push_back((place, next));
        }
    }
    Ok(None)
}

/// Every byte, those first that a reader likes to see in an example.
static PREFERRED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let readable = (b'a'..=b'z').chain(b'0'..=b'9').chain(*b"-_.:/");
    let order: BTreeMap<u8, usize> = readable.zip(0..).collect();
    let mut bytes: Vec<u8> = (0..=u8::MAX).collect();
    bytes.sort_by_key(|byte| (order.get(byte).copied().unwrap_or(usize::MAX), *byte < b' ', *byte));
    bytes
});

/// The bytes on the way to `place`; the automata accept only UTF-8.
fn text(visited: &[Option<Step>], mut place: usize) -> String {
    let mut bytes = Vec::new();
    while let Some(Some((from, byte))) = visited.get(place) {
        bytes.push(*byte);
        place = *from;
    }
    bytes.reverse();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
