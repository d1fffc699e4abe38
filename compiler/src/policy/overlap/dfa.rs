//! Automata of patterns: made within bounds, and asked about whole texts.

use std::sync::LazyLock;

use regex_automata::Anchored;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson::{self, Compiler, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;

use crate::policy::Glob;

/// The largest automaton of one list of patterns, in bytes, finished and while it is made.
pub(super) const MAX_AUTOMATON: usize = 1 << 20;

/// An automaton that reads a whole text.
pub(super) type Dfa = dense::DFA<Vec<u32>>;

/// The patterns cannot be compared within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the patterns are too complex to compare")]
pub(crate) struct TooComplex;

/// The automaton of a regular expression.
///
/// # Errors
///
/// If it would be too large.
pub(super) fn automaton(expression: &str) -> Result<Dfa, TooComplex> {
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .accelerate(false)
        .dfa_size_limit(Some(MAX_AUTOMATON))
        .determinize_size_limit(Some(MAX_AUTOMATON));
    thread_local! {
        // What it keeps from one automaton to the next takes longer to make than most automata.
        static COMPILER: Compiler = {
            let mut compiler = Compiler::new();
            compiler.configure(thompson::Config::new().which_captures(WhichCaptures::None));
            compiler
        };
    }
    let expression = format!(r"(?s-u:\A)(?:{expression})(?-u:\z)");
    let nfa = COMPILER.with(|compiler| compiler.build(&expression).map_err(|_| TooComplex))?;
    dense::Builder::new().configure(config).build_from_nfa(&nfa).map_err(|_| TooComplex)
}

/// What reads every text.
pub(super) fn anything() -> Option<&'static Dfa> {
    static ANYTHING: LazyLock<Option<Dfa>> = LazyLock::new(|| automaton("(?s:.)*").ok());
    ANYTHING.as_ref()
}

/// A glob as a regular expression.
pub(super) fn expression(glob: &Glob) -> String {
    let mut expression = String::new();
    let mut rest = glob.0.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '*' if rest.next_if_eq(&'*').is_some() => expression.push_str("(?s:.)*"),
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            plain => expression.push_str(&format!(r"\x{{{:x}}}", u32::from(plain))),
        }
    }
    expression
}

/// Where it begins to read.
pub(super) fn begin(automaton: &Dfa) -> Option<StateID> {
    automaton.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()
}

/// Whether the text read so far is matched as a whole.
pub(super) fn ends(automaton: &Dfa, state: StateID) -> bool {
    automaton.is_match_state(automaton.next_eoi_state(state))
}

/// Whether it matches the whole of `text`.
pub(super) fn matches(automaton: &Dfa, text: &str) -> bool {
    let last = begin(automaton)
        .map(|first| text.bytes().fold(first, |state, byte| automaton.next_state(state, byte)));
    last.is_some_and(|state| ends(automaton, state))
}
