//! What containers get for what they ask for, where nobody else holds anything: how many devices of which lines.
//!
//! Which of a line's devices that are is left to the comparison of the line: it depends on what others hold.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Changes, Direction, Property};
use crate::resolve::{Device, Grant, Line};

/// How many leases a tenant has at most; none: any number.
pub(super) type Limit = Option<u32>;

/// Lines that stand for each other, by their places in the old and the new grant.
pub(super) type Pairs = [(Option<usize>, Option<usize>)];

/// What a container asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Request {
    /// `all`
    All,
    /// So many, of whatever lines.
    Count(u32),
    /// So many of a line.
    Of(String, u32),
}

/// How many devices it gets of each pair of lines; none: it is refused.
type Given = Option<BTreeMap<usize, u32>>;

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
    for request in requests(grants) {
        let [old, new] = [0, 1].map(|side| {
            let limit = limits.get(side).copied().flatten();
            given(grants.get(side)?, &request, limit, |line| pair(pairs, side, line))
        });
        let may = compared(&request, &old, &new);
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

/// Each request of which another answer could come: `all`, numbers up to what there is, and those of each line.
fn requests(grants: [&Grant<'_>; 2]) -> Vec<Request> {
    let devices: BTreeSet<&str> =
        grants.iter().flat_map(|grant| grant.devices()).map(|device| device.uuid()).collect();
    let there = u32::try_from(devices.len()).unwrap_or(u32::MAX);
    let most = |is: &dyn Fn(&Line<'_>) -> bool| {
        let of = |grant: &Grant<'_>| {
            grant.lines.iter().filter(|line| is(line)).map(at_most).fold(0, u32::saturating_add)
        };
        1..=grants.into_iter().map(of).max().unwrap_or(0).min(there)
    };
    let sets: BTreeSet<&str> =
        grants.iter().flat_map(|grant| &grant.lines).map(|line| line.rule.gpu_set.value.as_str()).collect();
    let of = sets.into_iter().flat_map(|set| {
        most(&|line| line.rule.gpu_set.value == set).map(|count| Request::Of(set.to_owned(), count))
    });
    [Request::All].into_iter().chain(most(&|_| true).map(Request::Count)).chain(of).collect()
}

/// As a plan has it.
fn at_most(line: &Line<'_>) -> u32 {
    let rule = line.rule;
    rule.at_most.of(line.devices.len()).max(rule.default.of(line.devices.len()))
}

fn pair(pairs: &Pairs, side: usize, line: usize) -> Option<usize> {
    pairs.iter().position(|(old, new)| *(if side == 0 { old } else { new }) == Some(line))
}

fn compared(request: &Request, old: &Given, new: &Given) -> May {
    match (old, new) {
        (None, None) => May::default(),
        (None, Some(_)) => May { gain: true, lose: false },
        (Some(_), None) => May { gain: false, lose: true },
        (Some(old), Some(new)) if old == new => May::default(),
        // Whoever says no number has more if there is more of everything.
        (Some(old), Some(new)) if *request == Request::All => {
            let beyond = |one: &BTreeMap<usize, u32>, other: &BTreeMap<usize, u32>| {
                one.iter().any(|(line, count)| count > other.get(line).unwrap_or(&0))
            };
            May { gain: beyond(new, old), lose: beyond(old, new) }
        }
        (Some(_), Some(_)) => May { gain: true, lose: true },
    }
}

impl Request {
    fn word(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Count(count) => count.to_string(),
            Self::Of(set, count) => format!("{set}={count}"),
        }
    }

    /// How many of each line of a grant it comes to; none if the grant does not give so many.
    fn counts(&self, grant: &Grant<'_>) -> Option<Vec<u32>> {
        let default = |line: &Line<'_>| line.rule.default.of(line.devices.len());
        let mut left = match self {
            Self::All => {
                let counts: Vec<u32> = grant.lines.iter().map(default).collect();
                return counts.iter().any(|count| *count > 0).then_some(counts);
            }
            Self::Count(count) | Self::Of(_, count) => *count,
        };
        let is_meant = |line: &Line<'_>| match self {
            Self::All | Self::Count(_) => default(line) > 0,
            Self::Of(set, _) => line.rule.gpu_set.value == *set,
        };
        let mut counts = Vec::new();
        for line in &grant.lines {
            let of_line = if is_meant(line) { left.min(at_most(line)) } else { 0 };
            left -= of_line;
            counts.push(of_line);
        }
        (left == 0).then_some(counts)
    }
}

fn given(grant: &Grant<'_>, request: &Request, limit: Limit, pair: impl Fn(usize) -> Option<usize>) -> Given {
    let counts = request.counts(grant)?;
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    let mut given = BTreeMap::new();
    for (at, (line, count)) in grant.lines.iter().zip(counts).enumerate() {
        let picked = pick(line, usize::try_from(count).ok()?, &taken)?;
        taken.extend(picked);
        if count > 0 {
            given.insert(pair(at)?, count);
        }
    }
    let within = limit.is_none_or(|limit| usize::try_from(limit).is_ok_and(|limit| taken.len() <= limit));
    within.then_some(given)
}

fn pick<'a>(line: &Line<'a>, count: usize, taken: &BTreeSet<&str>) -> Option<Vec<&'a str>> {
    let free = |uuid: &&str| !taken.contains(uuid);
    match &line.slots {
        _ if count == 0 => Some(Vec::new()),
        None => {
            let picked: Vec<&str> = line.devices.iter().map(Device::uuid).filter(free).take(count).collect();
            (picked.len() == count).then_some(picked)
        }
        Some(slots) => slots.iter().filter(|slot| slot.len() == count).find_map(|slot| {
            let device = |at: &u32| Some(line.devices.get(usize::try_from(*at).ok()?)?.uuid());
            let picked: Option<Vec<&str>> = slot.iter().map(device).collect();
            picked.filter(|picked| picked.iter().all(free))
        }),
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
