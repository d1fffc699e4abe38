//! What containers get for what they ask for, where nobody else holds anything: how many devices of which lines.
//!
//! Which of a line's devices that are is left to the comparison of the line: it depends on what others hold.

use std::collections::{BTreeMap, BTreeSet};

use super::amounts::{self, Turns};
use super::asked::{Asked, Manner, Wanted};
use super::change::{Change, Changes, Direction, Property};
use super::offer::Offer;
use crate::policy::classes::TooComplex;
use crate::resolve::{Device, Grant, Line};

/// How many leases a tenant has at most; none: any number.
pub(super) type Limit = Option<u32>;

/// Lines that stand for each other, by their places in the old and the new grant.
pub(super) type Pairs = [(Option<usize>, Option<usize>)];

/// More numbers than this of Docker's `--gpus` are not tried: each of them may name other devices.
const MOST_INDICES: u32 = 128;

/// Two grants on one host, of tenants with these limits.
#[derive(Clone, Copy)]
pub(super) struct Pair<'p> {
    pub(super) grants: [&'p Grant<'p>; 2],
    pub(super) offers: &'p [Offer; 2],
    pub(super) limits: [Limit; 2],
    pub(super) manner: Manner,
    pub(super) lines: &'p Pairs,
}

/// How many devices a container gets of each pair of lines; none: it is refused.
type Given = Option<BTreeMap<usize, usize>>;

/// Whether a container may get more for a request, and whether less.
#[derive(Clone, Copy, Default)]
struct May {
    gain: bool,
    lose: bool,
}

/// Adds the first request of which more or less comes than the changes that are known lead to expect; of lines that are not the same.
///
/// # Errors
///
/// If there are more requests than are tried.
pub(super) fn unexpected(pair: Pair<'_>, host: &str, changes: &mut Changes) -> Result<(), TooComplex> {
    // A limit is of all grants of a tenant, and said there.
    let [before, after] = pair.limits.map(|limit| limit.unwrap_or(u32::MAX));
    let expected = May {
        gain: changes.has(|change| change.direction.may_gain()) || before < after,
        lose: changes.has(|change| change.direction.may_lose()) || before > after,
    };
    if expected.gain && expected.lose {
        return Ok(());
    }
    if pair.manner == Manner::Slurm && pair.gives_alike() {
        return Ok(());
    }
    // What a line has left depends on what the others have taken, and so on what is free: that is more than is tried here.
    if pair.grants.into_iter().any(has_in_common) {
        let change = Change::new(Property::Request, Direction::Other);
        changes.push(change.to("lines have devices in common, and may be filled otherwise"), host);
        return Ok(());
    }
    for wanted in requests(pair)? {
        let [old, new] = given(pair, &wanted);
        let may = compared(&wanted, old.as_ref(), new.as_ref());
        if (may.gain && !expected.gain) || (may.lose && !expected.lose) {
            let [was, is] = [old, new].map(|given| words(given.as_ref(), pair));
            let asked = wanted.word(pair.manner);
            let change = Change::new(Property::Request, Direction::Other).from(format!("{asked} gets {was}"));
            changes.push(Change { asked: Some(wanted.into()), ..change.to(is) }, host);
            return Ok(());
        }
    }
    Ok(())
}

/// Takes those amounts out of the changes of a host's lines that come to the same for whatever is asked for: such as what a limit keeps
/// from every container, or another line has taken before.
///
/// # Errors
///
/// If there are more requests than are tried.
pub(super) fn without_unseen(pair: Pair<'_>, changes: &mut Changes) -> Result<(), TooComplex> {
    let is_meant = |change: &Change| {
        matches!(change.property, Property::Default | Property::AtMost | Property::LineOrder)
    };
    let asks = pair.manner != Manner::Slurm && !pair.grants.into_iter().any(has_in_common);
    if !asks || !changes.has(is_meant) {
        return Ok(());
    }
    let with = |wanted| {
        let given = given(pair, &wanted);
        (wanted, given)
    };
    let outcomes: Vec<(Wanted, [Given; 2])> = requests(pair)?.into_iter().map(with).collect();
    let refused_in_one = |(wanted, given): &(Wanted, [Given; 2])| {
        *wanted == Wanted::All && given[0].is_some() != given[1].is_some()
    };
    let by_itself = outcomes.iter().any(refused_in_one);
    let is_seen = |change: &Change| {
        let counts = |given: &[Given; 2], at: usize| {
            given
                .each_ref()
                .map(|given| given.as_ref().and_then(|given| given.get(&at)).copied().unwrap_or(0))
        };
        let differs =
            |(_, given): &(Wanted, [Given; 2])| pair.of(change).any(|at| change.is_amount(counts(given, at)));
        (change.property == Property::Default && by_itself) || outcomes.iter().any(differs)
    };
    changes.retain(|change| !is_meant(change) || is_seen(change));
    if by_itself {
        // Whoever says no number is refused in one of the policies: more is no gain then, and less no loss.
        changes.revise(|change| match change.property {
            Property::Default => Change { direction: Direction::Other, ..change },
            _ => change,
        });
    }
    Ok(())
}

impl Pair<'_> {
    /// Whether the lines give those alike who name what they are to have.
    fn gives_alike(self) -> bool {
        let [old, new] = self.grants.map(|grant| &grant.lines);
        let alike = |one: &Line<'_>, other: &Line<'_>| {
            let most = [one, other].map(|line| line.rule.at_most.of(line.devices.len()));
            let devices =
                [one, other].map(|line| line.devices.iter().map(Device::uuid).collect::<BTreeSet<_>>());
            most[0] == most[1]
                && devices[0] == devices[1]
                && one.slots == other.slots
                && one.rule.sharing.value == other.rule.sharing.value
        };
        old.len() == new.len() && old.iter().zip(new).all(|(one, other)| alike(one, other))
    }

    /// The pairs of lines that a change is of.
    fn of(self, change: &Change) -> impl Iterator<Item = usize> {
        let [before, after] = self.grants;
        let is_of = move |(old, new): &(Option<usize>, Option<usize>)| {
            let lines = [old.and_then(|at| before.lines.get(at)), new.and_then(|at| after.lines.get(at))];
            let mut sets = lines.into_iter().flatten().map(|line| &line.rule.gpu_set.value);
            change.gpu_set.as_ref().is_none_or(|set| sets.any(|one| one == set))
        };
        (0..).zip(self.lines).filter(move |(_, lines)| is_of(lines)).map(|(at, _)| at)
    }
}

/// Each request at which one of two grants begins to answer in another way than to those before.
///
/// # Errors
///
/// If there are more than are tried.
pub(super) fn requests(pair: Pair<'_>) -> Result<Vec<Wanted>, TooComplex> {
    let [before, after] = pair.grants;
    let old = Turns::of(before, pair.limits[0]);
    let new = Turns::of(after, pair.limits[1]);
    let turns = amounts::requests([&old, &new], there(pair.grants));
    let words = turns.into_iter().map(|request| match request {
        amounts::Request::All => Wanted::All,
        amounts::Request::Count(None, count) if pair.manner == Manner::Docker => Wanted::Number(count),
        amounts::Request::Count(None, count) => Wanted::Count(count),
        amounts::Request::Count(Some(set), count) => Wanted::Of(set.to_owned(), count),
    });
    let words: Vec<Wanted> = words.filter(|wanted| wanted.is_of(pair.manner)).collect();
    if pair.manner != Manner::Docker {
        return Ok(words);
    }
    // Numbers beyond those that could name a device are no more than numbers.
    let indices = pair.grants.map(indices).into_iter().max().unwrap_or(0);
    let most = indices.min(amounts::most([&old, &new]));
    if most > MOST_INDICES {
        return Err(TooComplex);
    }
    Ok((1..=most).map(Wanted::Count).chain(words).collect())
}

/// So many numbers from 0 on are indices of a grant's devices.
fn indices(grant: &Grant<'_>) -> u32 {
    let known: BTreeSet<u32> =
        grant.devices().filter(|device| device.mig.is_none()).map(|device| device.gpu.index).collect();
    (0..).take_while(|index| known.contains(index)).map(|index| index + 1).last().unwrap_or(0)
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

/// What comes of a request in each policy; all that a grant has of capabilities is asked for.
fn given(pair: Pair<'_>, wanted: &Wanted) -> [Given; 2] {
    [0, 1].map(|side: usize| {
        let (grant, offer) = (pair.grants.get(side)?, pair.offers.get(side)?);
        let asked = Asked { capabilities: (*grant.capabilities).clone(), ..wanted.clone().into() };
        let mut counts = BTreeMap::new();
        for line in offer.outcome(&asked)?.devices.into_values() {
            let of_side = |(old, new): &(Option<usize>, Option<usize>)| {
                if side == 0 { *old == Some(line) } else { *new == Some(line) }
            };
            *counts.entry(pair.lines.iter().position(of_side)?).or_default() += 1;
        }
        (!counts.is_empty()).then_some(counts)
    })
}

fn compared(
    wanted: &Wanted,
    old: Option<&BTreeMap<usize, usize>>,
    new: Option<&BTreeMap<usize, usize>>,
) -> May {
    match (old, new) {
        (None, None) => May::default(),
        (None, Some(_)) => May { gain: true, lose: false },
        (Some(_), None) => May { gain: false, lose: true },
        (Some(old), Some(new)) if old == new => May::default(),
        // Whoever says no number has more if there is more of everything.
        (Some(old), Some(new)) if *wanted == Wanted::All => {
            let beyond = |one: &BTreeMap<usize, usize>, other: &BTreeMap<usize, usize>| {
                one.iter().any(|(line, count)| count > other.get(line).unwrap_or(&0))
            };
            May { gain: beyond(new, old), lose: beyond(old, new) }
        }
        (Some(_), Some(_)) => May { gain: true, lose: true },
    }
}

/// ``2 of big and 1 of l4``
fn words(given: Option<&BTreeMap<usize, usize>>, pair: Pair<'_>) -> String {
    let Some(given) = given else { return "nothing".to_owned() };
    let set = |at: usize| -> Option<&str> {
        let (old, new) = pair.lines.get(at)?;
        let [before, after] = pair.grants;
        let line = new.and_then(|at| after.lines.get(at)).or_else(|| before.lines.get((*old)?))?;
        Some(&line.rule.gpu_set.value)
    };
    let parts: Vec<String> =
        given.iter().map(|(at, count)| format!("{count} of {}", set(*at).unwrap_or_default())).collect();
    parts.join(" and ")
}
