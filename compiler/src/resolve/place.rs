//! Where devices are: their rank, and the choices that satisfy a `place`.

use std::collections::BTreeMap;

use super::fabric::{Fabric, TooMany, Wish, numa};
use super::{Device, Key};
use crate::policy::{Line, Place};

/// More slots than this are not written into a plan.
pub(super) const MOST_SLOTS: usize = 4096;

/// So many groups are compared to find the best one: all groups of 8 of 16 devices are 12,870.
const MOST_COMPARED: usize = 16_384;

/// The most devices that a line can give together.
pub(super) fn most(devices: &[Device], slots: Option<&[Vec<u32>]>) -> usize {
    slots.map_or(devices.len(), |slots| slots.iter().map(Vec::len).max().unwrap_or(0))
}

/// What was found of so many of some devices, as far as it was looked for: many lines ask for the same.
#[derive(Default)]
pub(super) struct Known {
    /// The best group, by their places among these; none where there are too many to compare.
    best: BTreeMap<Asked, Option<Vec<u32>>>,
    slots: BTreeMap<Asked, Result<Slots, TooMany>>,
}

/// Groups of positions; none if any will do.
pub(super) type Slots = Option<Vec<Vec<u32>>>;

/// Whether they are to be near or, for slots, on one node; how many; of which.
type Asked = (bool, usize, Vec<Key>);

/// Orders devices that came by index: the first `at-most` of them are the best group for the line's preference.
pub(super) fn rank<'a>(
    fabric: &Fabric<'_>,
    devices: Vec<Device<'a>>,
    line: &Line,
    known: &mut Known,
) -> Vec<Device<'a>> {
    let order = |devices: Vec<Device<'a>>| match line.place {
        Place::Any | Place::Nvlink | Place::SameNuma => devices,
        Place::Packed => pack(fabric, devices),
        Place::Spread => spread(devices),
    };
    let wish = match line.place {
        Place::Any | Place::Nvlink | Place::SameNuma => return devices,
        Place::Packed => Wish::Near,
        Place::Spread => Wish::Far,
    };
    let size = usize::try_from(line.at_most.of(devices.len())).unwrap_or(usize::MAX);
    if size >= devices.len() || size <= 1 {
        return order(devices);
    }
    // Among more groups than are compared the order alone decides.
    let key = (wish == Wish::Near, size, devices.iter().map(Device::key).collect());
    let groups = || fabric.groups(&devices, size, wish, MOST_COMPARED).ok();
    let best = known.best.entry(key).or_insert_with(|| groups().and_then(|groups| groups.into_iter().next()));
    let Some(best) = best else { return order(devices) };
    let (first, rest): (Vec<_>, Vec<_>) =
        (0u32..).zip(devices).partition(|(position, _)| best.contains(position));
    let plain = |part: Vec<(u32, Device<'a>)>| part.into_iter().map(|(_, device)| device).collect();
    [order(plain(first)), order(plain(rest))].concat()
}

/// The groups of 1 to `at-most` devices that satisfy the line's `place`, by size, best first.
///
/// `None` when the condition excludes nothing, and for lines without one.
pub(super) fn slots(
    fabric: &Fabric<'_>,
    line: &Line,
    devices: &[Device],
    known: &mut Known,
) -> Result<Slots, TooMany> {
    let wish = match line.place {
        Place::Nvlink => Wish::Joined,
        Place::SameNuma => Wish::OneNode,
        Place::Any | Place::Packed | Place::Spread => return Ok(None),
    };
    let at_most = usize::try_from(line.at_most.of(devices.len())).unwrap_or(usize::MAX);
    if at_most <= 1 {
        return Ok(None);
    }
    let asked =
        (wish == Wish::OneNode, at_most.min(devices.len()), devices.iter().map(Device::key).collect());
    let slots = known.slots.entry(asked).or_insert_with(|| found(fabric, wish, at_most, devices));
    fabric.spend(slots.as_ref().map_or(0, |slots| slots.as_ref().map_or(0, Vec::len)))?;
    slots.clone()
}

fn found(fabric: &Fabric<'_>, wish: Wish, at_most: usize, devices: &[Device]) -> Result<Slots, TooMany> {
    // If all together fulfil the condition, so does each part of them.
    if fabric.groups(devices, devices.len(), wish, 1).is_ok_and(|groups| !groups.is_empty()) {
        return Ok(None);
    }
    let mut slots = Vec::new();
    for size in 1..=at_most.min(devices.len()) {
        let left = MOST_SLOTS.saturating_sub(slots.len());
        let groups = fabric.groups(devices, size, wish, left)?;
        if groups.is_empty() {
            break;
        }
        slots.extend(groups);
    }
    Ok(Some(slots))
}

/// A walk that goes on with the device nearest to the last one, so that neighbours stand side by side.
fn pack<'a>(fabric: &Fabric<'_>, mut left: Vec<Device<'a>>) -> Vec<Device<'a>> {
    let mut ranked: Vec<Device> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let distance = |device: &Device| {
            let near = |last: &Device| fabric.ties(last, device).cost(Wish::Near);
            (ranked.last().map(near), device.key())
        };
        let next = left.iter().enumerate().min_by_key(|(_, device)| distance(device));
        let at = next.map_or(0, |(at, _)| at);
        ranked.push(left.remove(at));
    }
    ranked
}

/// Takes one device of each NUMA node in turn.
fn spread(devices: Vec<Device>) -> Vec<Device> {
    let mut turns: BTreeMap<(usize, Vec<u32>), Device> = BTreeMap::new();
    let mut taken: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
    for device in devices {
        let node = numa(&device).to_vec();
        let turn = taken.entry(node.clone()).or_default();
        if turns.insert((*turn, node), device).is_none() {
            *turn += 1;
        }
    }
    turns.into_values().collect()
}
