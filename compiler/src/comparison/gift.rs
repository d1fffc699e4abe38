//! What two grants give on one host.
//!
//! Each property is compared by itself first. What a container gets for a request comes of all of them together, so it is asked at the
//! end, and said where no property has led to expect it: a gate never passes on what the properties alone seem to say.

use std::collections::{BTreeMap, BTreeSet};

use super::asked::Manner;
use super::change::{Change, Changes, Direction, Property};
use super::offer;
use super::request::{self, Limit, Pair};
use crate::policy::RequestIndices;
use crate::policy::classes::TooComplex;
use crate::resolve::{Device, Grant, Line};

mod line;

pub(super) use line::matched;

/// What decides beside the grants what tenants get, in the old and in the new policy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tenants {
    /// Whether they are trusted, and have all devices of all lines at once, whatever they ask for.
    pub(super) trusted: [bool; 2],
    /// How many leases each has.
    pub(super) limits: [Limit; 2],
    /// What numbers in NVIDIA's variable mean.
    pub(super) indices: [RequestIndices; 2],
}

/// Adds in what they differ for containers that ask in this manner.
///
/// # Errors
///
/// If there are more requests than are tried.
pub(super) fn compare(
    grants: [Option<&Grant<'_>>; 2],
    tenants: Tenants,
    manner: Manner,
    host: &str,
    changes: &mut Changes,
) -> Result<(), TooComplex> {
    let [old, new] = grants.map(|grant| grant.filter(|grant| gives(grant)));
    let trusted = tenants.trusted != [false, false];
    let mut own = Changes::default();
    match (old, new) {
        (Some(old), Some(new)) if !trusted => {
            let pairs = matched(old, new);
            let limits = tenants.limits;
            line::all([old, new], &pairs, (limits, manner), host, &mut own);
            rights([Some(old), Some(new)], host, &mut own);
            if !have_same_lines(old, new) {
                let offers = &offer::both([Some(old), Some(new)], tenants, manner);
                let pair = Pair { grants: [old, new], offers, limits, manner, lines: &pairs };
                request::without_unseen(pair, &mut own)?;
                request::unexpected(pair, host, &mut own)?;
            }
        }
        _ => {
            let [before, after] = [old, new].map(devices);
            gained_and_lost([&before, &after], [None, None], host, &mut own);
            if !trusted {
                whole(old, Direction::Loss, host, &mut own);
                whole(new, Direction::Gain, host, &mut own);
            }
            rights([old, new], host, &mut own);
        }
    }
    changes.extend(own);
    Ok(())
}

/// Capabilities and features.
fn rights(grants: [Option<&Grant<'_>>; 2], host: &str, changes: &mut Changes) {
    words(Property::Capabilities, grants.map(capabilities), host, changes);
    words(Property::Features, grants.map(features), host, changes);
}

/// Whether one of them gives something and the other nothing: then they differ, and for all alike.
pub(super) fn is_whole(grants: [Option<&Grant<'_>>; 2]) -> bool {
    let [old, new] = grants.map(|grant| grant.is_some_and(gives));
    old != new
}

/// Whether each line of one is that of the other, and requests come to the same.
fn have_same_lines(old: &Grant<'_>, new: &Grant<'_>) -> bool {
    let line = |(one, other): (&Line<'_>, &Line<'_>)| {
        let said = |line: &Line<'_>| (line.rule.at_most, line.rule.default, line.rule.place);
        one.rule.gpu_set.value == other.rule.gpu_set.value
            && said(one) == said(other)
            && one.rule.sharing.value == other.rule.sharing.value
            && line::have_same(one, other)
    };
    old.lines.len() == new.lines.len() && old.lines.iter().zip(&new.lines).all(line)
}

/// Whether it gives anything at all.
fn gives(grant: &Grant<'_>) -> bool {
    !grant.capabilities.is_empty() && grant.devices().next().is_some()
}

type Devices<'a> = BTreeMap<&'a str, Device<'a>>;

fn devices<'a>(grant: Option<&Grant<'a>>) -> Devices<'a> {
    grant.into_iter().flat_map(Grant::devices).map(|device| (device.uuid(), device)).collect()
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
    let other = |one: &Devices<'_>, other: &Devices<'_>| -> (Vec<String>, Vec<String>) {
        let only = in_order(one).filter(|device| !other.contains_key(device.uuid()));
        only.map(|device| (called(device), device.uuid().to_owned())).unzip()
    };
    let [lost_of, gained_of] = sets.map(|set| set.map(str::to_owned));
    let ((gained, comes), (lost, goes)) = (other(new, old), other(old, new));
    if !gained.is_empty() {
        let change = Change::new(Property::Devices, Direction::Gain);
        changes.push(Change { new: gained, uuids: comes, gpu_set: gained_of, ..change }, host);
    }
    if !lost.is_empty() {
        let change = Change::new(Property::Devices, Direction::Loss);
        changes.push(Change { old: lost, uuids: goes, gpu_set: lost_of, ..change }, host);
    }
}

fn in_order<'d, 'a>(devices: &'d Devices<'a>) -> impl Iterator<Item = &'d Device<'a>> {
    let mut devices: Vec<&Device<'a>> = devices.values().collect();
    devices.sort_by_key(|device| device.key());
    devices.into_iter()
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
        line::alone(line, direction).into_iter().for_each(|change| changes.push(change, host));
    }
}
