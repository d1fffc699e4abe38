//! An automaton as words of 32 bits, as an index has it.
//!
//! A state is whose texts end there (two numbers of tenants, [`NOBODY`] for none), how many steps it has, and these,
//! ascending: the first and the last byte of a range, and where the state begins that they lead to. States
//! stand in the order of a walk, so that most steps lead to the state that stands next.

use super::nfa::Step;
use super::subsets::Dfa;

/// No tenant.
pub(crate) const NOBODY: u32 = u32::MAX;
/// Words of a state before its steps.
pub(crate) const STATE_WORDS: u32 = 3;
/// Words of a step.
pub(crate) const STEP_WORDS: u32 = 2;

/// Appends an automaton to `words`.
pub(super) fn append(dfa: &Dfa, words: &mut Vec<u32>) {
    let order = order(dfa);
    let mut places = vec![NOBODY; dfa.states.len()];
    let mut place = u32::try_from(words.len()).unwrap_or(NOBODY);
    for (state, (steps, _)) in &order {
        if let Some(known) = places.get_mut(*state as usize) {
            *known = place;
        }
        place = place.saturating_add(STATE_WORDS + STEP_WORDS * count(steps));
    }
    for (_, (steps, whose)) in order {
        let whose = |at: usize| whose.get(at).copied().unwrap_or(NOBODY);
        words.extend([whose(0), whose(1), count(steps)]);
        for (low, high, to) in steps {
            let range = u32::from(*low) | u32::from(*high) << 8;
            words.extend([range, places.get(*to as usize).copied().unwrap_or(NOBODY)]);
        }
    }
}

fn count(steps: &[Step]) -> u32 {
    u32::try_from(steps.len()).unwrap_or(u32::MAX)
}

/// A state, by its number, its steps, and whose texts end there.
type State<'d> = (u32, &'d (Vec<Step>, Vec<u32>));

/// The states, each before those that are first reached from it.
fn order(dfa: &Dfa) -> Vec<State<'_>> {
    let mut seen = vec![false; dfa.states.len()];
    let (mut open, mut order) = (vec![0], Vec::with_capacity(dfa.states.len()));
    while let Some(number) = open.pop() {
        let (Some(state), Some(seen)) = (dfa.states.get(number as usize), seen.get_mut(number as usize))
        else {
            continue;
        };
        if !std::mem::replace(seen, true) {
            order.push((number, state));
            open.extend(state.0.iter().rev().map(|(_, _, to)| *to));
        }
    }
    order
}
