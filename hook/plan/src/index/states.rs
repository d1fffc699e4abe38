//! The automaton of an index in words, for golden files.

use std::collections::{BTreeMap, BTreeSet};

use super::layout;
use super::read::{Index, ReadAt};
use super::walk::Walk;
use crate::automaton::{ABSENT, END, Kind, NOBODY};
use crate::refusal::Refusal;

/// A state: its steps, and whose texts end there.
type Seen = (Vec<(u8, u8, u32)>, [u32; 2]);

/// One line for each state at which ways part, meet or end, with what leads on from there, such as
/// `docker/3 7: ci⊣∅⊣ → 40`, where 3 stands for the first and the second key.
///
/// # Errors
///
/// [`crate::refusal::Reason::PlanSet`] if it is damaged.
pub fn states<S: ReadAt>(index: &Index<S>) -> Result<Vec<String>, Refusal> {
    let mut lines = Vec::new();
    let automata = Kind::ALL.into_iter().flat_map(|kind| kind.choices().map(move |named| (kind, named)));
    for (kind, named) in automata {
        index.begin();
        let Some(start) = index.start(kind, named) else { continue };
        let seen = all(index, start)?;
        let marks = marks(&seen, start);
        for (place, (steps, whose)) in seen.iter().filter(|(place, _)| marks.contains(place)) {
            let ways: Vec<String> = steps.iter().map(|step| way(*step, &seen, &marks)).collect();
            let mut of = Vec::new();
            for number in whose.iter().filter(|number| **number != NOBODY) {
                of.push(format!("is {}", index.tenant(*number)?.name));
            }
            lines.push(format!(
                "{}/{named} {place}: {}",
                kind.name(),
                ways.into_iter().chain(of).collect::<Vec<_>>().join(", ")
            ));
        }
    }
    Ok(lines)
}

fn all<S: ReadAt>(index: &Index<S>, start: u32) -> Result<BTreeMap<u32, Seen>, Refusal> {
    let mut walk = Walk::of(index);
    let (mut seen, mut open) = (BTreeMap::new(), vec![start]);
    while let Some(place) = open.pop() {
        if seen.contains_key(&place) || u64::from(place) >= u64::from(index.count(layout::WORDS)) {
            continue;
        }
        let state = walk.state(place)?;
        let (whose, steps): (_, Vec<(u8, u8, u32)>) = (state.whose, state.steps().collect());
        open.extend(steps.iter().map(|(_, _, to)| *to));
        seen.insert(place, (steps, whose));
    }
    Ok(seen)
}

/// The states that have a line: all but those with one way in and one way out.
fn marks(seen: &BTreeMap<u32, Seen>, start: u32) -> BTreeSet<u32> {
    let mut entered: BTreeMap<u32, usize> = BTreeMap::new();
    for (_, _, to) in seen.values().flat_map(|(steps, _)| steps) {
        *entered.entry(*to).or_default() += 1;
    }
    let is_plain = |place: &u32, (steps, _): &Seen| steps.len() == 1 && entered.get(place) == Some(&1);
    seen.iter()
        .filter(|(place, state)| **place == start || !is_plain(place, state))
        .map(|(place, _)| *place)
        .collect()
}

/// A step, and those that follow up to the next state that has a line.
fn way(step: (u8, u8, u32), seen: &BTreeMap<u32, Seen>, marks: &BTreeSet<u32>) -> String {
    let mut words = bytes(step.0, step.1);
    let mut place = step.2;
    while !marks.contains(&place) {
        let Some(([next], _)) = seen.get(&place).map(|(steps, whose)| (steps.as_slice(), whose)) else {
            break;
        };
        words.push_str(&bytes(next.0, next.1));
        place = next.2;
    }
    format!("{words} → {place}")
}

/// A range of bytes: `⊣` ends a key, `∅` stands for an absent one.
fn bytes(low: u8, high: u8) -> String {
    if low == high { byte(low) } else { format!("[{}–{}]", byte(low), byte(high)) }
}

fn byte(byte: u8) -> String {
    match byte {
        END => "⊣".to_owned(),
        ABSENT => "∅".to_owned(),
        graphic if graphic.is_ascii_graphic() => char::from(graphic).to_string(),
        other => format!("\\{other:02x}"),
    }
}
