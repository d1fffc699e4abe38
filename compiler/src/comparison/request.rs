//! What containers get for what they ask for, where nobody else holds anything: how many devices of which lines.
//!
//! Which of a line's devices that are is left to the comparison of the line: it depends on what others hold.

use std::collections::{BTreeMap, BTreeSet};

use super::amounts::{self, Amounts, Given, Request};
use super::change::{Change, Changes, Direction, Property};
use crate::resolve::Grant;

/// How many leases a tenant has at most; none: any number.
pub(super) type Limit = Option<u32>;

/// Lines that stand for each other, by their places in the old and the new grant.
pub(super) type Pairs = [(Option<usize>, Option<usize>)];

/// Whether a container may get more for a request, and whether less.
#[derive(Clone, Copy, Default)]
struct May {
    gain: bool,
    lose: bool,
}

/// Adds the first request of which more or less comes than the changes that are known lead to expect; of lines that are not the same.
pub(super) fn unexpected(
    grants: [&Grant<'_>; 2],
    limits: [Limit; 2],
    pairs: &Pairs,
    host: &str,
    changes: &mut Changes,
) {
    // A limit is of all grants of a tenant, and said there.
    let [before, after] = limits.map(|limit| limit.unwrap_or(u32::MAX));
    let expected = May {
        gain: changes.any(Direction::may_gain) || before < after,
        lose: changes.any(Direction::may_lose) || before > after,
    };
    if expected.gain && expected.lose {
        return;
    }
    // What a line has left depends on what the others have taken, and so on what is free: that is more than is tried here.
    if grants.into_iter().any(has_in_common) {
        let change = Change::new(Property::Request, Direction::Other);
        changes.push(change.to("lines have devices in common, and are filled otherwise"), host);
        return;
    }
    let [before, after] = grants;
    let old = Amounts::of(before, limits[0], pairs.iter().map(|(old, _)| *old));
    let new = Amounts::of(after, limits[1], pairs.iter().map(|(_, new)| *new));
    for request in amounts::requests([&old, &new], there(grants)) {
        let [old, new] = [&old, &new].map(|amounts| amounts.given(request));
        let may = compared(request, &old, &new);
        if (may.gain && !expected.gain) || (may.lose && !expected.lose) {
            let [was, is] = [&old, &new].map(|given| words(given, grants, pairs));
            let change = Change::new(Property::Request, Direction::Other);
            changes.push(change.from(format!("gpus={} gets {was}", request.word())).to(is), host);
            return;
        }
    }
}

/// Whether a device is of two lines.
fn has_in_common(grant: &Grant<'_>) -> bool {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    grant.lines.iter().flat_map(|line| &line.devices).any(|device| !seen.insert(device.uuid()))
}

/// How many devices there are of any of the lines.
fn there(grants: [&Grant<'_>; 2]) -> u32 {
    let devices: BTreeSet<&str> =
        grants.iter().flat_map(|grant| grant.devices()).map(|device| device.uuid()).collect();
    u32::try_from(devices.len()).unwrap_or(u32::MAX)
}

fn compared(request: Request<'_>, old: &Given, new: &Given) -> May {
    match (old, new) {
        (None, None) => May::default(),
        (None, Some(_)) => May { gain: true, lose: false },
        (Some(_), None) => May { gain: false, lose: true },
        (Some(old), Some(new)) if old == new => May::default(),
        // Whoever says no number has more if there is more of everything.
        (Some(old), Some(new)) if request == Request::All => {
            let beyond = |one: &BTreeMap<usize, u32>, other: &BTreeMap<usize, u32>| {
                one.iter().any(|(line, count)| count > other.get(line).unwrap_or(&0))
            };
            May { gain: beyond(new, old), lose: beyond(old, new) }
        }
        (Some(_), Some(_)) => May { gain: true, lose: true },
    }
}

impl Request<'_> {
    fn word(self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Count(None, count) => count.to_string(),
            Self::Count(Some(set), count) => format!("{set}={count}"),
        }
    }
}

/// ``2 of big and 1 of l4``
fn words(given: &Given, grants: [&Grant<'_>; 2], pairs: &Pairs) -> String {
    let Some(given) = given else { return "nothing".to_owned() };
    let set = |pair: usize| -> Option<&str> {
        let (old, new) = pairs.get(pair)?;
        let [before, after] = grants;
        let line = new.and_then(|at| after.lines.get(at)).or_else(|| before.lines.get((*old)?))?;
        Some(&line.rule.gpu_set.value)
    };
    let parts: Vec<String> =
        given.iter().map(|(pair, count)| format!("{count} of {}", set(*pair).unwrap_or_default())).collect();
    parts.join(" and ")
}
