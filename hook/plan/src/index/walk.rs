//! The automaton, walked.

use super::decode::u32_in;
use super::layout::{WORD, WORDS};
use super::read::{Index, ReadAt, damaged};
use super::window::Window;
use crate::automaton::{Kind, NOBODY, STATE_WORDS, STEP_WORDS, text};
use crate::refusal::Refusal;

/// Bytes of a state's words before its steps, and of a step's.
const STATE: usize = STATE_WORDS as usize * 4;
const STEP: usize = STEP_WORDS as usize * 4;
/// A state has at most a step for each byte.
const MOST_STEPS: u32 = 256;

/// A state: whose texts end there, and its steps.
pub(super) struct State<'w> {
    pub(super) whose: [u32; 2],
    steps: &'w [u8],
}

/// The words of an automaton.
pub(super) struct Walk<'i, S>(Window<'i, S>);

impl<'i, S: ReadAt> Walk<'i, S> {
    pub(super) fn of(index: &'i Index<S>) -> Self {
        Self(Window::of(index, WORDS))
    }

    /// The state that begins at a word.
    pub(super) fn state(&mut self, place: u32) -> Result<State<'_>, Refusal> {
        let steps = word(self.0.records(place, STATE_WORDS)?, 2);
        if steps > MOST_STEPS {
            return Err(damaged("a state has more steps than there are bytes"));
        }
        let words = self.0.records(place, STATE_WORDS + steps * STEP_WORDS)?;
        let (head, steps) = words.split_at_checked(STATE).unwrap_or_default();
        Ok(State { whose: [word(head, 0), word(head, 1)], steps })
    }
}

impl State<'_> {
    /// Its steps: first byte, last byte, and the word at which the next state begins.
    pub(super) fn steps(&self) -> impl Iterator<Item = (u8, u8, u32)> {
        self.steps.chunks_exact(STEP).map(|step| {
            let [low, high, ..] = word(step, 0).to_le_bytes();
            (low, high, word(step, 1))
        })
    }
}

impl<S: ReadAt> Index<S> {
    /// The numbers of the tenants one of whose identities these keys are, at most two.
    pub(crate) fn whose(&self, kind: Kind, keys: &[Option<&str>]) -> Result<Found, Refusal> {
        self.begin();
        let mut found = Found::default();
        for named in kind.choices() {
            if let Some(start) = self.start(kind, named) {
                let whose = self.walk(start, text(keys, named))?;
                whose.into_iter().filter(|number| *number != NOBODY).for_each(|number| found.add(number));
            }
        }
        Ok(found)
    }

    fn walk(&self, start: u32, text: impl Iterator<Item = u8>) -> Result<[u32; 2], Refusal> {
        let mut walk = Walk::of(self);
        let mut state = walk.state(start)?;
        for byte in text {
            let taken = state.steps().find(|(low, high, _)| *low <= byte && byte <= *high);
            let Some((_, _, next)) = taken else { return Ok([NOBODY; 2]) };
            state = walk.state(next)?;
        }
        Ok(state.whose)
    }
}

/// Numbers of tenants, each once; more than two make no difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) first: Option<u32>,
    pub(crate) second: Option<u32>,
}

impl Found {
    pub(crate) fn add(&mut self, number: u32) {
        match self.first {
            None => self.first = Some(number),
            Some(first) if first == number => {}
            Some(_) => self.second = Some(number),
        }
    }
}

fn word(words: &[u8], at: usize) -> u32 {
    u32_in(words, super::decode::part(WORD, at, 4))
}
