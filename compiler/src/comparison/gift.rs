//! What two grants give on one host.
//!
//! Each property is compared by itself first. What a container gets for a request comes of all of them together, so it is asked at the
//! end, and said where no property has led to expect it: a gate never passes on what the properties alone seem to say.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Changes, Direction, Property};
use super::request::{self, Limit};
use crate::policy::{Amount, Place, Sharing};
use crate::resolve::{Device, Grant, Line};

/// What decides beside the grants what tenants get.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tenants {
    /// One of them is trusted, and has all devices of all lines at once, whatever it asks for.
    pub(super) trusted: bool,
    /// How many leases each has.
    pub(super) limits: [Limit; 2],
}

/// Adds in what they differ.
pub(super) fn compare(grants: [Option<&Grant<'_>>; 2], tenants: Tenants, host: &str, changes: &mut Changes) {
    let mut own = Changes::default();
    properties(grants, tenants.trusted, host, &mut own);
    if let ([Some(old), Some(new)], false) = (grants, tenants.trusted)
        && !have_same_lines(old, new)
    {
        request::unexpected([old, new], tenants.limits, &matched(old, new), host, &mut own);
    }
    changes.extend(own);
}

fn properties(grants: [Option<&Grant<'_>>; 2], trusted: bool, host: &str, changes: &mut Changes) {
    let [old, new] = grants.map(|grant| grant.filter(|grant| gives(grant)));
    match (old, new) {
        (Some(old), Some(new)) if are_same(old, new) => return,
        (Some(old), Some(new)) if !trusted => lines(old, new, host, changes),
        _ => {
            gained_and_lost([&devices(old), &devices(new)], [None, None], host, changes);
            if !trusted {
                whole(old, Direction::Loss, host, changes);
                whole(new, Direction::Gain, host, changes);
            }
        }
    }
    words(Property::Capabilities, [capabilities(old), capabilities(new)], host, changes);
    words(Property::Features, [features(old), features(new)], host, changes);
}

/// Whether they differ; said sooner than how, for of most containers one policy gives what the other does.
pub(super) fn differ(grants: [Option<&Grant<'_>>; 2], tenants: Tenants) -> bool {
    match grants.map(|grant| grant.filter(|grant| gives(grant))) {
        [None, None] => false,
        // Whoever has nothing lacks all of its devices.
        [Some(_), None] | [None, Some(_)] => true,
        [Some(_), Some(_)] => {
            let mut changes = Changes::default();
            compare(grants, tenants, "", &mut changes);
            !changes.is_empty()
        }
    }
}

/// Whether two grants are the same in all that is compared, and so have no difference.
fn are_same(old: &Grant<'_>, new: &Grant<'_>) -> bool {
    have_same_lines(old, new) && old.capabilities == new.capabilities && old.features == new.features
}

/// Whether each line of one is that of the other, and requests come to the same.
fn have_same_lines(old: &Grant<'_>, new: &Grant<'_>) -> bool {
    let line = |(one, other): (&Line<'_>, &Line<'_>)| {
        let said = |line: &Line<'_>| (line.rule.at_most, line.rule.default, line.rule.place);
        one.rule.gpu_set.value == other.rule.gpu_set.value
            && said(one) == said(other)
            && one.rule.sharing.value == other.rule.sharing.value
            && have_same(one, other)
    };
    old.lines.len() == new.lines.len() && old.lines.iter().zip(&new.lines).all(line)
}

/// Whether two lines have the same devices in the same order.
fn have_same(one: &Line<'_>, other: &Line<'_>) -> bool {
    one.devices.iter().map(Device::uuid).eq(other.devices.iter().map(Device::uuid))
}

/// Whether it gives anything at all.
fn gives(grant: &Grant<'_>) -> bool {
    !grant.capabilities.is_empty() && grant.devices().next().is_some()
}

type Devices<'a> = BTreeMap<&'a str, Device<'a>>;

fn devices<'a>(grant: Option<&Grant<'a>>) -> Devices<'a> {
    grant.into_iter().flat_map(Grant::devices).map(|device| (device.uuid(), device)).collect()
}

fn of_line<'a>(line: &Line<'a>) -> Devices<'a> {
    line.devices.iter().map(|device| (device.uuid(), *device)).collect()
}

fn capabilities(grant: Option<&Grant<'_>>) -> BTreeSet<String> {
    grant.into_iter().flat_map(|grant| grant.capabilities.iter()).map(|one| one.name().to_owned()).collect()
}

fn features(grant: Option<&Grant<'_>>) -> BTreeSet<String> {
    let had = grant.into_iter().flat_map(|grant| &grant.features).filter(|feature| feature.parts.is_ok());
    had.map(|feature| feature.feature.to_string()).collect()
}

fn words(property: Property, [old, new]: [BTreeSet<String>; 2], host: &str, changes: &mut Changes) {
    let lost: Vec<String> = old.difference(&new).cloned().collect();
    let gained: Vec<String> = new.difference(&old).cloned().collect();
    if !gained.is_empty() {
        changes.push(Change { new: gained, ..Change::new(property, Direction::Gain) }, host);
    }
    if !lost.is_empty() {
        changes.push(Change { old: lost, ..Change::new(property, Direction::Loss) }, host);
    }
}

/// Devices that come and go, each under the name of the line that has them.
fn gained_and_lost(
    [old, new]: [&Devices<'_>; 2],
    sets: [Option<&str>; 2],
    host: &str,
    changes: &mut Changes,
) {
    let other = |one: &Devices<'_>, other: &Devices<'_>| -> [Vec<String>; 2] {
        let mut only: Vec<&Device<'_>> =
            one.iter().filter(|(uuid, _)| !other.contains_key(*uuid)).map(|(_, device)| device).collect();
        only.sort_by_key(|device| device.key());
        [
            only.iter().map(|device| called(device)).collect(),
            only.iter().map(|device| device.uuid().to_owned()).collect(),
        ]
    };
    let [lost_of, gained_of] = sets.map(|set| set.map(str::to_owned));
    let ([gained, comes], [lost, goes]) = (other(new, old), other(old, new));
    if !gained.is_empty() {
        let change = Change::new(Property::Devices, Direction::Gain);
        changes.push(Change { new: gained, uuids: comes, gpu_set: gained_of, ..change }, host);
    }
    if !lost.is_empty() {
        let change = Change::new(Property::Devices, Direction::Loss);
        changes.push(Change { old: lost, uuids: goes, gpu_set: lost_of, ..change }, host);
    }
}

/// `GPU 3 (NVIDIA L4)`
pub(super) fn called(device: &Device<'_>) -> String {
    let model = &device.gpu.model;
    match device.mig {
        Some(mig) => format!("MIG device {} ({} of {model})", device.index(), mig.profile),
        None => format!("GPU {} ({model})", device.index()),
    }
}

/// All lines of a grant that comes or goes.
fn whole(grant: Option<&Grant<'_>>, direction: Direction, host: &str, changes: &mut Changes) {
    for line in grant.into_iter().flat_map(|grant| &grant.lines) {
        changes.push(alone(line, direction), host);
    }
}

/// A line that comes or goes.
fn alone(line: &Line<'_>, direction: Direction) -> Change {
    let rule = line.rule;
    let words =
        format!("at-most={} default={}, {}", rule.at_most, rule.default, sharing(&rule.sharing.value));
    let amounts = [rule.at_most, rule.default].map(|amount| amount.of(line.devices.len()));
    let change = Change::new(Property::Line, direction).of_line(&rule.gpu_set.value);
    let change = Change { amounts: Some(amounts), ..change };
    if direction == Direction::Loss { change.from(words) } else { change.to(words) }
}

fn lines(old: &Grant<'_>, new: &Grant<'_>, host: &str, changes: &mut Changes) {
    let pairs = matched(old, new);
    let mut last = None;
    for (one, other) in &pairs {
        match (one.and_then(|at| old.lines.get(at)), other.and_then(|at| new.lines.get(at))) {
            (Some(one), Some(other)) => line(one, other, host, changes),
            (one, other) => {
                let nothing = Devices::new();
                let [before, after] = [one, other].map(|line| line.map(of_line));
                let (before, after) = (before.unwrap_or_else(|| nothing.clone()), after.unwrap_or(nothing));
                let sets = [one, other].map(|line| line.map(|line| line.rule.gpu_set.value.as_str()));
                gained_and_lost([&before, &after], sets, host, changes);
                one.into_iter().for_each(|line| changes.push(alone(line, Direction::Loss), host));
                other.into_iter().for_each(|line| changes.push(alone(line, Direction::Gain), host));
            }
        }
        if let (Some(_), Some(other)) = (one, other) {
            if last.is_some_and(|last| last > *other) {
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

/// Lines that stand for each other: those of one gpu-set, the others in their order.
fn matched(old: &Grant<'_>, new: &Grant<'_>) -> Vec<(Option<usize>, Option<usize>)> {
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

fn line(old: &Line<'_>, new: &Line<'_>, host: &str, changes: &mut Changes) {
    let set = new.rule.gpu_set.value.as_str();
    let mut push = |change: Change| changes.push(change.of_line(set), host);
    if old.rule.gpu_set.value != set {
        let change = Change::new(Property::GpuSet, Direction::Other);
        push(change.from(old.rule.gpu_set.value.as_str()).to(set));
    }
    // The words are of what is written, so the direction is, too; that devices are too few for it is said of them.
    let most = [old, new].map(|line| line.rule.at_most.of(line.devices.len()));
    let matters = together(old) != together(new) && !both_all(old, new);
    if let Some(direction) = Direction::of(&most[0], &most[1]).filter(|_| matters) {
        let change = Change::new(Property::AtMost, direction);
        push(change.from(old.rule.at_most.to_string()).to(new.rule.at_most.to_string()));
    }
    let defaults = [old, new].map(|line| line.rule.default.of(line.devices.len()));
    let same = old.rule.default == new.rule.default;
    if let Some(direction) = Direction::of(&defaults[0], &defaults[1]).filter(|_| !same) {
        // More than there is: who asks for `all` is refused.
        let possible = [(old, defaults[0]), (new, defaults[1])]
            .into_iter()
            .all(|(line, default)| usize::try_from(default).is_ok_and(|default| default <= together(line)));
        let change = Change::new(Property::Default, if possible { direction } else { Direction::Other });
        push(change.from(old.rule.default.to_string()).to(new.rule.default.to_string()));
    }
    place(old, new).into_iter().for_each(&mut push);
    shares(&old.rule.sharing.value, &new.rule.sharing.value).into_iter().for_each(&mut push);
    if !have_same(old, new) {
        let sets = [old, new].map(|line| Some(line.rule.gpu_set.value.as_str()));
        gained_and_lost([&of_line(old), &of_line(new)], sets, host, changes);
    }
}

/// The most that it gives at once, as far as that is said by a number.
fn together(line: &Line<'_>) -> usize {
    usize::try_from(line.rule.at_most.of(line.devices.len())).unwrap_or(usize::MAX).min(line.devices.len())
}

fn both_all(old: &Line<'_>, new: &Line<'_>) -> bool {
    (old.rule.at_most, new.rule.at_most) == (Amount::All, Amount::All)
        // What there is of it changes with the devices.
        || old.rule.at_most == new.rule.at_most
}

fn place(old: &Line<'_>, new: &Line<'_>) -> Option<Change> {
    if old.rule.place == new.rule.place {
        if have_same(old, new) {
            return None;
        }
        let order = |one: &Line<'_>, other: &Line<'_>| -> Vec<String> {
            let others: BTreeSet<&str> = other.devices.iter().map(Device::uuid).collect();
            one.devices
                .iter()
                .map(Device::uuid)
                .filter(|uuid| others.contains(uuid))
                .map(str::to_owned)
                .collect()
        };
        let (before, after) = (order(old, new), order(new, old));
        return (before != after).then(|| {
            let first = |line: &[String]| line.first().cloned().unwrap_or_default();
            Change::new(Property::Preference, Direction::Other).from(first(&before)).to(first(&after))
        });
    }
    let alone = together(old).max(together(new)) <= 1;
    if alone && singles(old) == singles(new) && (old.order == new.order || old.devices.len() <= 1) {
        return None;
    }
    let direction = match (groups(old), groups(new)) {
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

/// Which device it gives alone, best first.
fn singles<'a>(line: &Line<'a>) -> Vec<&'a str> {
    let device = |at: u32| Some(line.devices.get(usize::try_from(at).ok()?)?.uuid());
    match &line.slots {
        None => line.devices.iter().map(Device::uuid).collect(),
        Some(slots) => slots
            .iter()
            .filter_map(|slot| match slot.as_slice() {
                [one] => device(*one),
                _ => None,
            })
            .collect(),
    }
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
            let words = |slice: &Option<_>| slice.map_or("any", super::change::timeslice);
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
