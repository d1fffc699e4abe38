//! The tree of all patterns made deterministic: a state is the set of places that a text may be at.

use std::collections::BTreeMap;

use super::build::TooLarge;
use super::nfa::{Nfa, Step};

/// What making all automata of a policy may cost: the places of all states, and the steps looked at from them. A policy
/// of 100,000 tenants with a namespace each takes half of it.
const MOST_EFFORT: usize = 1 << 23;

const NONE: u32 = u32::MAX;

/// A deterministic automaton; its first state is where a text begins.
#[derive(Debug, Default)]
pub(super) struct Dfa {
    /// Of each state: its steps, ascending and disjoint, and whose texts end there, the first two.
    pub(super) states: Vec<(Vec<Step>, Vec<u32>)>,
}

/// What is left of [`MOST_EFFORT`].
#[derive(Debug)]
pub(super) struct Effort(usize);

impl Default for Effort {
    fn default() -> Self {
        Self(MOST_EFFORT)
    }
}

impl Effort {
    fn spend(&mut self, amount: usize) -> Result<(), TooLarge> {
        self.0 = self.0.checked_sub(amount).ok_or(TooLarge)?;
        Ok(())
    }
}

/// The states that are known, and the places of those that are yet to be looked at.
struct States {
    /// By the only place of a state; most have one.
    single: Vec<u32>,
    several: BTreeMap<Vec<u32>, u32>,
    sets: Vec<Vec<u32>>,
}

/// Makes it deterministic.
pub(super) fn determinize(nfa: &Nfa, effort: &mut Effort) -> Result<Dfa, TooLarge> {
    effort.spend(nfa.len())?;
    let mut states = States { single: vec![NONE; nfa.len()], several: BTreeMap::new(), sets: Vec::new() };
    states.number(nfa, vec![0]);
    let mut dfa = Dfa::default();
    while let Some(set) = states.sets.get_mut(dfa.states.len()) {
        let places = std::mem::take(set);
        let steps: Vec<Step> = places.iter().flat_map(|place| nfa.steps(*place)).copied().collect();
        effort.spend(1 + places.len())?;
        let steps = apart(nfa, &steps, &mut states, effort)?;
        let mut whose: Vec<u32> = nfa.ends(&places).collect();
        whose.sort_unstable();
        whose.dedup();
        whose.truncate(2);
        dfa.states.push((steps, whose));
    }
    Ok(dfa)
}

/// The same steps with no byte in two of them: each leads to the state of all places that its bytes lead to.
fn apart(nfa: &Nfa, steps: &[Step], states: &mut States, effort: &mut Effort) -> Result<Vec<Step>, TooLarge> {
    if let [(low, high, to)] = steps {
        return Ok(vec![(*low, *high, states.number(nfa, vec![*to]))]);
    }
    let mut begins: Vec<u16> =
        steps.iter().flat_map(|(low, high, _)| [u16::from(*low), u16::from(*high) + 1]).collect();
    begins.sort_unstable();
    begins.dedup();
    effort.spend(begins.len().saturating_mul(steps.len()) / 8)?;
    let mut apart: Vec<Step> = Vec::new();
    for (begin, next) in begins.iter().zip(begins.iter().skip(1)) {
        let covers = |(low, high, _): &&Step| u16::from(*low) <= *begin && *begin <= u16::from(*high);
        let to: Vec<u32> = steps.iter().filter(covers).map(|(_, _, to)| *to).collect();
        if to.is_empty() {
            continue;
        }
        let to = states.number(nfa, to);
        let (low, high) = (byte(*begin), byte(*next - 1));
        match apart.last_mut() {
            Some(last) if last.2 == to && u16::from(last.1) + 1 == *begin => last.1 = high,
            _ => apart.push((low, high, to)),
        }
    }
    Ok(apart)
}

fn byte(number: u16) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

impl States {
    /// The number of the state of these places and what is reached with them; a new one if there is none yet.
    fn number(&mut self, nfa: &Nfa, mut places: Vec<u32>) -> u32 {
        nfa.close(&mut places);
        let new = u32::try_from(self.sets.len()).unwrap_or(NONE);
        let number = match places.as_slice() {
            [only] => self.single.get_mut(*only as usize),
            _ => None,
        };
        let number = match number {
            Some(number) => number,
            None => self.several.entry(places.clone()).or_insert(NONE),
        };
        if *number == NONE {
            *number = new;
            self.sets.push(places);
        }
        *number
    }
}
