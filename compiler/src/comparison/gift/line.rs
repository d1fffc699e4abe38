//! What two lines give that stand for each other.

use std::collections::BTreeSet;

use super::{Devices, called, devices, gained_and_lost, in_order};
use crate::comparison::asked::Manner;
use crate::comparison::change::{self, Change, Changes, Direction, Property};
use crate::comparison::request::{Limit, Pairs};
use crate::policy::{Amount, Place, Sharing};
use crate::resolve::{Device, Grant, Line, Order};

/// Two lines, with all devices of their grants, and what decides beside them.
struct Two<'l, 'a> {
    lines: [&'l Line<'a>; 2],
    all: [&'l Devices<'a>; 2],
    limits: [Limit; 2],
    manner: Manner,
}

/// Adds in what the lines of two grants differ, pair by pair; of tenants with such limits, whose containers ask in such a manner.
pub(super) fn all(
    [old, new]: [&Grant<'_>; 2],
    pairs: &Pairs,
    (limits, manner): ([Limit; 2], Manner),
    host: &str,
    changes: &mut Changes,
) {
    let (had, has) = (devices(Some(old)), devices(Some(new)));
    let all = [&had, &has];
    let mut last = None;
    for (one, other) in pairs {
        match (one.and_then(|at| old.lines.get(at)), other.and_then(|at| new.lines.get(at))) {
            // One without devices is as good as none.
            (Some(one), Some(other)) if one.devices.is_empty() != other.devices.is_empty() => {
                gone(one, all, host, changes);
                come(other, all, host, changes);
            }
            (Some(one), Some(other)) => {
                both(&Two { lines: [one, other], all, limits, manner }, host, changes)
            }
            (Some(one), None) => gone(one, all, host, changes),
            (None, Some(other)) => come(other, all, host, changes),
            (None, None) => {}
        }
        if let (Some(_), Some(other)) = (one, other) {
            if last.is_some_and(|last| last > *other) && manner != Manner::Slurm {
                let sets = |grant: &Grant<'_>| -> Vec<String> {
                    grant.lines.iter().map(|line| line.rule.gpu_set.value.clone()).collect()
                };
                let change = Change::new(Property::LineOrder, Direction::Other);
                changes.push(Change { old: sets(old), new: sets(new), ..change }, host);
            }
            last = Some(*other);
        }
    }
}

/// Whether two lines have the same devices in the same order.
pub(super) fn have_same(one: &Line<'_>, other: &Line<'_>) -> bool {
    one.devices.iter().map(Device::uuid).eq(other.devices.iter().map(Device::uuid))
}

/// A line that is no more: its devices, but those that another line has still.
fn gone(line: &Line<'_>, [_, has]: [&Devices<'_>; 2], host: &str, changes: &mut Changes) {
    let mut own = of_line(line);
    own.retain(|uuid, _| !has.contains_key(uuid));
    gained_and_lost([&own, &Devices::new()], [Some(&line.rule.gpu_set.value), None], host, changes);
    alone(line, Direction::Loss).into_iter().for_each(|change| changes.push(change, host));
}

/// A line that was not there: its devices, but those that another line had already.
fn come(line: &Line<'_>, [had, _]: [&Devices<'_>; 2], host: &str, changes: &mut Changes) {
    let mut own = of_line(line);
    own.retain(|uuid, _| !had.contains_key(uuid));
    gained_and_lost([&Devices::new(), &own], [None, Some(&line.rule.gpu_set.value)], host, changes);
    alone(line, Direction::Gain).into_iter().for_each(|change| changes.push(change, host));
}

fn of_line<'a>(line: &Line<'a>) -> Devices<'a> {
    line.devices.iter().map(|device| (device.uuid(), *device)).collect()
}

/// A line that comes or goes; one without devices gives nothing, and what it keeps from others is seen by what comes of requests.
pub(super) fn alone(line: &Line<'_>, direction: Direction) -> Option<Change> {
    if line.devices.is_empty() {
        return None;
    }
    let rule = line.rule;
    let words =
        format!("at-most={} default={}, {}", rule.at_most, rule.default, sharing(&rule.sharing.value));
    let amounts = [rule.at_most, rule.default].map(|amount| amount.of(line.devices.len()));
    let change = Change::new(Property::Line, direction).of_line(&rule.gpu_set.value);
    let change = Change { amounts: Some(amounts), ..change };
    Some(if direction == Direction::Loss { change.from(words) } else { change.to(words) })
}

/// Lines that stand for each other: those of one gpu-set, the others in their order.
pub(in crate::comparison) fn matched(
    old: &Grant<'_>,
    new: &Grant<'_>,
) -> Vec<(Option<usize>, Option<usize>)> {
    let mut free: Vec<usize> = (0..new.lines.len()).collect();
    let mut pairs: Vec<(Option<usize>, Option<usize>)> = Vec::new();
    for (at, line) in old.lines.iter().enumerate() {
        let same = |other: &usize| {
            new.lines.get(*other).is_some_and(|other| other.rule.gpu_set.value == line.rule.gpu_set.value)
        };
        let found = free.iter().position(same).map(|place| free.remove(place));
        pairs.push((Some(at), found));
    }
    let mut rest = free.into_iter();
    for pair in pairs.iter_mut().filter(|(_, other)| other.is_none()) {
        pair.1 = rest.next();
    }
    pairs.extend(rest.map(|other| (None, Some(other))));
    pairs
}

fn both(two: &Two<'_, '_>, host: &str, changes: &mut Changes) {
    let [old, new] = two.lines;
    let set = new.rule.gpu_set.value.as_str();
    let mut push = |change: Change| changes.push(change.of_line(set), host);
    let asks = two.manner != Manner::Slurm;
    if two.lines.iter().all(|line| line.devices.is_empty()) {
        // Nothing of them is ever given; what they keep from others is said by their defaults.
        default(two).filter(|_| asks).into_iter().for_each(&mut push);
        return;
    }
    if old.rule.gpu_set.value != set && asks {
        let change = Change::new(Property::GpuSet, Direction::Other);
        push(change.from(old.rule.gpu_set.value.as_str()).to(set));
    }
    at_most(two).into_iter().for_each(&mut push);
    default(two).filter(|_| asks).into_iter().for_each(&mut push);
    place(two).into_iter().for_each(&mut push);
    shares(&old.rule.sharing.value, &new.rule.sharing.value).into_iter().for_each(&mut push);
    if !have_same(old, new) {
        moved(two, host, changes);
    }
}

fn at_most(two: &Two<'_, '_>) -> Option<Change> {
    let [old, new] = two.lines;
    // The words are of what is written, so the direction is, too; that devices are too few for it is said of them.
    let most = [old, new].map(|line| line.rule.at_most.of(line.devices.len()));
    let [before, after] = two.together();
    let matters = before != after && !both_all(old, new);
    let direction = Direction::of(&most[0], &most[1]).filter(|_| matters)?;
    let change = Change::new(Property::AtMost, direction);
    Some(change.from(old.rule.at_most.to_string()).to(new.rule.at_most.to_string()))
}

fn default(two: &Two<'_, '_>) -> Option<Change> {
    let [old, new] = two.lines;
    let defaults = [old, new].map(|line| line.rule.default.of(line.devices.len()));
    let same = old.rule.default == new.rule.default;
    let direction = Direction::of(&defaults[0], &defaults[1]).filter(|_| !same)?;
    // More than there is: who asks for `all` is refused.
    let possible = two
        .together()
        .into_iter()
        .zip(defaults)
        .all(|(most, default)| usize::try_from(default).is_ok_and(|default| default <= most));
    let change = Change::new(Property::Default, if possible { direction } else { Direction::Other });
    Some(change.from(old.rule.default.to_string()).to(new.rule.default.to_string()))
}

/// Devices that come and go. Those that another line had before, or has now, are neither gained nor lost with this one: whoever could
/// have them still can, perhaps in another way.
fn moved(two: &Two<'_, '_>, host: &str, changes: &mut Changes) {
    let [old, new] = two.lines.map(of_line);
    let [had, has] = two.all;
    let sets = two.lines.map(|line| line.rule.gpu_set.value.as_str());
    let (lost, still) = parted(&old, &new, has);
    let (gained, already) = parted(&new, &old, had);
    gained_and_lost([&lost, &gained], sets.map(Some), host, changes);
    let [before, after] = sets;
    for (set, devices, word) in
        [(before, still, "another line has still"), (after, already, "another line had")]
    {
        let uuids: Vec<String> = devices.keys().map(|uuid| (*uuid).to_owned()).collect();
        let names = in_order(&devices).map(|device| format!("{}, which {word}", called(device))).collect();
        if !uuids.is_empty() {
            let change = Change::new(Property::Devices, Direction::Other).of_line(set);
            changes.push(Change { new: names, uuids, ..change }, host);
        }
    }
}

/// Those of one line that the other has not: which all those of the other grant have not, and which they have.
fn parted<'a>(one: &Devices<'a>, other: &Devices<'_>, others: &Devices<'_>) -> (Devices<'a>, Devices<'a>) {
    let own =
        one.iter().filter(|(uuid, _)| !other.contains_key(*uuid)).map(|(uuid, device)| (*uuid, *device));
    own.partition(|(uuid, _)| !others.contains_key(uuid))
}

impl Two<'_, '_> {
    /// The most that each gives at once, as far as that is said by numbers. What a limit of one policy alone keeps is said of the tenant.
    fn together(&self) -> [usize; 2] {
        let limits = self.limits.map(|limit| limit.unwrap_or(u32::MAX)).into_iter();
        let limit = if self.manner == Manner::Slurm { limits.min() } else { limits.max() };
        self.lines.map(|line| together(line, limit))
    }
}

fn together(line: &Line<'_>, limit: Limit) -> usize {
    let most = line.rule.at_most.of(line.devices.len()).min(limit.unwrap_or(u32::MAX));
    let groups = line.slots.iter().flatten().map(Vec::len).max().unwrap_or(line.devices.len());
    usize::try_from(most).unwrap_or(usize::MAX).min(groups)
}

fn both_all(old: &Line<'_>, new: &Line<'_>) -> bool {
    (old.rule.at_most, new.rule.at_most) == (Amount::All, Amount::All)
        // What there is of it changes with the devices.
        || old.rule.at_most == new.rule.at_most
}

fn place(two: &Two<'_, '_>) -> Option<Change> {
    let [old, new] = two.lines;
    let [before, after] = [in_common(old, new), in_common(new, old)];
    let asks = two.manner != Manner::Slurm;
    if old.rule.place == new.rule.place {
        return (before != after && asks).then(|| {
            let first = |line: &[&str]| line.first().map(|uuid| (*uuid).to_owned()).unwrap_or_default();
            Change::new(Property::Preference, Direction::Other).from(first(&before)).to(first(&after))
        });
    }
    // Where a limit of either forbids two at once, none of them loses or gains any group.
    let limit = two.limits.iter().flatten().min().copied();
    let alone = two.lines.iter().all(|line| together(line, limit) <= 1);
    // Who has what Slurm allocated takes no device before another.
    let in_same_order = (order(old) == order(new) && before == after) || !asks;
    let (slots, others) = (groups(old), groups(new));
    let is_same =
        if alone { singles(old, new) == singles(new, old) } else { slots.is_none() && others.is_none() };
    if is_same && in_same_order {
        return None;
    }
    let direction = match (slots, others) {
        _ if alone => Direction::Other,
        (None, None) => Direction::Other,
        (None, Some(_)) => Direction::Loss,
        (Some(_), None) => Direction::Gain,
        (Some(before), Some(after)) if before.is_subset(&after) && before != after => Direction::Gain,
        (Some(before), Some(after)) if after.is_subset(&before) && before != after => Direction::Loss,
        (Some(_), Some(_)) => Direction::Other,
    };
    Some(Change::new(Property::Place, direction).from(word(old.rule.place)).to(word(new.rule.place)))
}

/// The devices of a line that the other has too, best first.
fn in_common<'a>(line: &Line<'a>, other: &Line<'_>) -> Vec<&'a str> {
    let others: BTreeSet<&str> = other.devices.iter().map(Device::uuid).collect();
    line.devices.iter().map(Device::uuid).filter(|uuid| others.contains(uuid)).collect()
}

/// In which order free devices are taken: what is exclusive is free only while nobody has it.
fn order(line: &Line<'_>) -> Order {
    match line.rule.sharing.value {
        Sharing::Exclusive { .. } => Order::Ranked,
        Sharing::TimeSlicing { .. } | Sharing::Mps { .. } if line.devices.len() > 1 => line.order,
        Sharing::TimeSlicing { .. } | Sharing::Mps { .. } => Order::Ranked,
    }
}

/// Which device it gives alone, best first, of those that the other has too.
fn singles<'a>(line: &Line<'a>, other: &Line<'_>) -> Vec<&'a str> {
    let both = in_common(line, other);
    let device = |at: u32| Some(line.devices.get(usize::try_from(at).ok()?)?.uuid());
    let Some(slots) = &line.slots else { return both };
    let single = slots.iter().filter_map(|slot| match slot.as_slice() {
        [one] => device(*one),
        _ => None,
    });
    single.filter(|uuid| both.contains(uuid)).collect()
}

/// The devices that it gives together; none: any.
fn groups<'a>(line: &Line<'a>) -> Option<BTreeSet<BTreeSet<&'a str>>> {
    let device = |at: &u32| Some(line.devices.get(usize::try_from(*at).ok()?)?.uuid());
    line.slots
        .as_ref()
        .map(|slots| slots.iter().map(|slot| slot.iter().filter_map(device).collect()).collect())
}

fn word(place: Place) -> &'static str {
    match place {
        Place::Any => "any",
        Place::Nvlink => "nvlink",
        Place::SameNuma => "same-numa",
        Place::Packed => "packed",
        Place::Spread => "spread",
    }
}

/// `exclusive`, `time-slicing replicas=8`
fn sharing(sharing: &Sharing) -> String {
    match sharing {
        Sharing::Exclusive { .. } => "exclusive".to_owned(),
        Sharing::TimeSlicing { replicas, .. } => format!("time-slicing replicas={replicas}"),
        Sharing::Mps { clients, .. } => format!("mps clients={clients}"),
    }
}

fn shares(old: &Sharing, new: &Sharing) -> Vec<Change> {
    let graded = |property, before: Option<u64>, after: Option<u64>| {
        // No bound is the highest.
        let direction = Direction::of(&before.unwrap_or(u64::MAX), &after.unwrap_or(u64::MAX))?;
        let words = |bound: Option<u64>| bound.map_or_else(|| "any".to_owned(), |bound| bound.to_string());
        Some(Change::new(property, direction).from(words(before)).to(words(after)))
    };
    let memory = graded(Property::Memory, old.memory(), new.memory());
    let changes = match (old, new) {
        (Sharing::Exclusive { .. }, Sharing::Exclusive { .. }) => [None, None],
        (
            Sharing::TimeSlicing { replicas: before, timeslice: was, .. },
            Sharing::TimeSlicing { replicas: after, timeslice: is, .. },
        ) => {
            let slice = (was != is).then(|| Change::new(Property::Timeslice, Direction::Other));
            let words = |slice: &Option<_>| slice.map_or("any", change::timeslice);
            let slice = slice.map(|change| change.from(words(was)).to(words(is)));
            [graded(Property::Shares, Some(u64::from(*before)), Some(u64::from(*after))), slice]
        }
        (
            Sharing::Mps { clients: before, threads: was, .. },
            Sharing::Mps { clients: after, threads: is, .. },
        ) => [
            graded(Property::Shares, Some(u64::from(*before)), Some(u64::from(*after))),
            graded(Property::Threads, was.map(u64::from), is.map(u64::from)),
        ],
        _ => {
            [Some(Change::new(Property::Sharing, Direction::Other).from(sharing(old)).to(sharing(new))), None]
        }
    };
    changes.into_iter().flatten().chain(memory).collect()
}
