//! Making the automata.

use core::fmt;
use std::collections::BTreeMap;

use super::layout;
use super::nfa::Nfa;
use super::subsets::{Effort, determinize};
use super::{AUTOMATA, Key, Pattern};

/// The automata of all identities, as an index has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Automaton {
    /// Where the first state of each begins in `words`, by [`super::Kind::automaton`]; absent: nobody is known so.
    pub(crate) starts: [Option<u32>; AUTOMATA],
    /// The states of all of them.
    pub(crate) words: Vec<u32>,
}

/// Patterns so much alike that telling all texts apart would take too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the automaton of all identities would be too large")
    }
}

impl core::error::Error for TooLarge {}

/// Makes the automata of some patterns, each with the number of the tenant whose it is.
///
/// # Errors
///
/// If it would take too long, or too much memory.
pub fn build(patterns: &[(Pattern<'_>, u32)]) -> Result<Automaton, TooLarge> {
    let mut effort = Effort::default();
    let mut automaton = Automaton::default();
    let mut trees: BTreeMap<usize, Nfa> = BTreeMap::new();
    for (pattern, whose) in patterns {
        trees.entry(pattern.automaton()).or_insert_with(Nfa::new).add(&pattern.keys, *whose);
    }
    for (number, nfa) in trees {
        if let Some(start) = automaton.starts.get_mut(number) {
            *start = Some(u32::try_from(automaton.words.len()).unwrap_or(layout::NOBODY));
        }
        layout::append(&determinize(&nfa, &mut effort)?, &mut automaton.words);
    }
    Ok(automaton)
}

impl Pattern<'_> {
    /// The number of the automaton that it is a part of.
    fn automaton(&self) -> usize {
        let named = (0..).zip(&self.keys).filter(|(_, key)| **key != Key::Any);
        self.kind.automaton(named.fold(0, |named, (at, _)| named | 1 << at))
    }
}
