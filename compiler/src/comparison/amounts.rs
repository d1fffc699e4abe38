//! Where the lines of a grant begin to give other amounts, where no device is of two of them: that is told by numbers alone.

use std::collections::BTreeSet;

use super::request::Limit;
use crate::resolve::{Grant, Line};

#[cfg(test)]
mod tests;

/// What a container asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// `all`
    All,
    /// So many, of the lines of a gpu-set or, without one, of whatever lines.
    Count(Option<&'a str>, u32),
}

/// What decides how many devices the lines of a grant give.
pub(super) struct Turns<'a> {
    /// In the order in which they are filled.
    rows: Vec<Row<'a>>,
    limit: Limit,
}

/// One line.
struct Row<'a> {
    set: &'a str,
    most: u32,
    default: u32,
    sizes: Sizes,
}

/// How many devices a line can give together.
enum Sizes {
    /// Any number up to this.
    UpTo(u32),
    /// One of these.
    Of(BTreeSet<u32>),
}

/// Each request at which one of two grants begins to answer in another way than to those before; in the order of `all`, numbers up
/// to what is `there`, and those of each gpu-set.
pub(super) fn requests<'a>([old, new]: [&Turns<'a>; 2], there: u32) -> Vec<Request<'a>> {
    let counts = |set: Option<&'a str>| {
        let top = old.most(set).max(new.most(set)).min(there);
        let starts: BTreeSet<u32> = old.turns(set).union(&new.turns(set)).copied().collect();
        // From one turn to the next each answer is one straight line: if two are the same at two numbers, they are at all.
        let tried: BTreeSet<u32> = starts.into_iter().flat_map(|at| [at, at.saturating_add(1)]).collect();
        tried.into_iter().filter(move |at| (1..=top).contains(at)).map(move |at| Request::Count(set, at))
    };
    let sets: BTreeSet<&str> = old.rows.iter().chain(&new.rows).map(|row| row.set).collect();
    let of = sets.into_iter().flat_map(|set| counts(Some(set)));
    [Request::All].into_iter().chain(counts(None)).chain(of).collect()
}

/// More devices than this neither grant gives.
pub(super) fn most([old, new]: [&Turns<'_>; 2]) -> u32 {
    old.most(None).max(new.most(None))
}

impl<'a> Turns<'a> {
    /// Of a grant whose tenant has so many leases.
    pub(super) fn of(grant: &Grant<'a>, limit: Limit) -> Self {
        Self { rows: grant.lines.iter().map(Row::of).collect(), limit }
    }

    /// The lines of which a number is taken.
    fn meant(&self, set: Option<&str>) -> impl Iterator<Item = &Row<'a>> {
        self.rows.iter().filter(move |row| set.map_or(row.default > 0, |set| row.set == set))
    }

    /// More than this is not given, whatever there is.
    fn most(&self, set: Option<&str>) -> u32 {
        let rows = self.rows.iter().filter(|row| set.is_none_or(|set| row.set == set));
        rows.map(|row| row.most).fold(0, u32::saturating_add)
    }

    /// Every number from which on it answers in another way, and perhaps others.
    fn turns(&self, set: Option<&str>) -> BTreeSet<u32> {
        let mut turns: BTreeSet<u32> = self.limit.map(|limit| limit.saturating_add(1)).into_iter().collect();
        let mut before = 0_u32;
        for row in self.meant(set) {
            turns.extend([0, 1].map(|more| before.saturating_add(more)));
            turns.extend(row.sizes.turns().into_iter().map(|more| before.saturating_add(more)));
            before = before.saturating_add(row.most);
        }
        turns.extend([before, before.saturating_add(1)]);
        turns
    }
}

impl<'a> Row<'a> {
    fn of(line: &Line<'a>) -> Self {
        let rule = line.rule;
        let default = rule.default.of(line.devices.len());
        Self {
            set: &rule.gpu_set.value,
            // As a plan has it.
            most: rule.at_most.of(line.devices.len()).max(default),
            default,
            sizes: Sizes::of(line),
        }
    }
}

impl Sizes {
    fn of(line: &Line<'_>) -> Self {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let there = number(line.devices.len());
        let known = |slot: &&Vec<u32>| slot.iter().all(|at| *at < there);
        match &line.slots {
            None => Self::UpTo(there),
            Some(slots) => Self::Of(slots.iter().filter(known).map(|slot| number(slot.len())).collect()),
        }
    }

    /// The numbers from which on others can be given.
    fn turns(&self) -> Vec<u32> {
        match self {
            Self::UpTo(most) => vec![most.saturating_add(1)],
            Self::Of(sizes) => sizes.iter().flat_map(|size| [*size, size.saturating_add(1)]).collect(),
        }
    }
}
