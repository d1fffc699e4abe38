//! What is probably not meant: more than there is, everything denied, one device given in ways that exclude
//! each other.

use std::collections::{BTreeMap, BTreeSet};

use super::fabric::Fabric;
use super::{Device, Grant, Key, diags};
use crate::diag::Sink;
use crate::policy::{self, Amount, Deny, Line, Place, Sharing};
use crate::source::Span;
use crate::topology::{Fact, Vendor};

/// What denies leave one tenant of a line.
pub(super) struct Loss<'a, 'l> {
    pub(super) rule: &'a policy::Grant,
    pub(super) line: &'a Line,
    pub(super) tenant: &'l str,
    /// How many devices are left.
    pub(super) left: usize,
    /// The most of them that it can have together.
    pub(super) most: usize,
    pub(super) by: &'l [&'a Deny],
}

/// Whether what a line's `place` is judged by is known.
pub(super) fn place_facts(
    line: &Line,
    devices: &[Device],
    fabric: &Fabric,
    may_tell: impl Fn(usize) -> usize,
    name: &str,
    sink: &mut Sink,
) {
    match line.place {
        _ if line.at_most == Amount::Count(1) => {}
        Place::SameNuma => {
            let unknown = devices.iter().filter_map(|device| match &device.gpu.numa {
                Fact::Unknown(why) => Some((device.gpu, why)),
                Fact::Known(_) | Fact::Absent => None,
            });
            let told = may_tell(unknown.clone().count());
            for (gpu, why) in unknown.take(told) {
                sink.push(diags::unknown_fact(&line.gpu_set, gpu, "NUMA node", why, name));
            }
        }
        Place::Nvlink => {
            let unknown: Vec<_> = fabric.unknown_nvlinks(devices).into_iter().collect();
            let told = may_tell(unknown.len());
            for (why, pair) in unknown.into_iter().take(told) {
                sink.push(diags::unknown_nvlinks(&line.gpu_set, pair, why, name));
            }
        }
        Place::Any | Place::Packed | Place::Spread => {}
    }
}

/// Whether a line allows more together than the host has; an empty line has its own finding.
pub(super) fn amounts(
    rule: &policy::Grant,
    line: &Line,
    (devices, most): (usize, usize),
    name: &str,
    sink: &mut Sink,
) {
    if most > 0 && promise(line, devices) > most {
        sink.push(diags::too_few_devices(rule, line, devices, most, name));
    }
}

/// Whether denies left a tenant nothing of a line, or less than the line allows together.
pub(super) fn denied(loss: &Loss, before: usize, sink: &mut Sink) {
    if loss.by.is_empty() {
        return;
    }
    if loss.most == 0 {
        sink.push(diags::emptied(loss));
    } else if promise(loss.line, loss.left) > loss.most && promise(loss.line, before) <= before {
        sink.push(diags::too_few_after_deny(loss));
    }
}

/// How many devices together a line lets its tenants count on where it has `devices`: no limit is no promise, but what
/// it gives by default is.
pub(super) fn promise(line: &Line, devices: usize) -> usize {
    let amount = if line.at_most == Amount::All { line.default } else { line.at_most };
    usize::try_from(amount.of(devices)).unwrap_or(usize::MAX)
}

/// One `gpus` line and the grant that it belongs to.
pub(super) type Giver<'a> = (&'a policy::Grant, &'a Line);

/// The lines that give some device, in the order of their places.
type Givers<'a> = BTreeMap<Span, Giver<'a>>;

/// Whether a device is given in ways that cannot stand together, by grants that take leases.
pub(super) fn sharing<'g>(grants: impl Iterator<Item = &'g Grant<'g>>, name: &str, sink: &mut Sink) {
    let lines: Vec<(&'g Grant<'g>, &'g super::Line<'g>)> =
        grants.flat_map(|grant| grant.lines.iter().map(move |line| (grant, line))).collect();
    // Lines that are all exclusive stand in each other's way when they are used, and never by what they say.
    let said = lines.iter().filter(|(_, line)| !line.rule.sharing.value.is_exclusive());
    let shared: BTreeSet<u32> =
        said.flat_map(|(_, line)| &line.devices).map(|device| device.gpu.index).collect();
    let mut devices: BTreeMap<Key, (Device, Givers)> = BTreeMap::new();
    let mut gpus: BTreeMap<u32, Givers> = BTreeMap::new();
    for (grant, line) in lines {
        for device in line.devices.iter().filter(|device| shared.contains(&device.gpu.index)) {
            let giver = (grant.rule, line.rule);
            let (_, givers) = devices.entry(device.key()).or_insert_with(|| (*device, Givers::new()));
            givers.insert(line.rule.span, giver);
            gpus.entry(device.gpu.index).or_default().insert(line.rule.span, giver);
            if is_mps(line.rule) && device.mig.is_some() {
                sink.push(diags::mps_over_mig(line.rule, name));
            }
            if is_mps(line.rule) && device.gpu.vendor != Vendor::Nvidia {
                sink.push(diags::mps_of_another(line.rule, device.gpu.vendor, name));
            }
        }
    }
    exclusive_and_sliced(&devices, name, sink);
    mps_beside_others(&gpus, name, sink);
}

fn exclusive_and_sliced(devices: &BTreeMap<Key, (Device, Givers)>, name: &str, sink: &mut Sink) {
    let mut pairs: BTreeMap<[Span; 2], (Giver, Giver, Vec<Device>)> = BTreeMap::new();
    for (device, givers) in devices.values() {
        let exclusive = givers.values().find(|(_, line)| line.sharing.value.is_exclusive());
        let sliced = |line: &Line| matches!(line.sharing.value, Sharing::TimeSlicing { .. });
        for other in givers.values().filter(|(_, line)| sliced(line)) {
            let Some(first) = exclusive else { continue };
            let pair =
                pairs.entry([first.1.span, other.1.span]).or_insert_with(|| (*first, *other, Vec::new()));
            pair.2.push(*device);
        }
    }
    for (first, second, devices) in pairs.values() {
        sink.push(diags::exclusive_and_sliced(*first, *second, devices, name));
    }
}

/// Each line that gives GPUs through MPS with the first other line that gives them.
fn mps_beside_others(gpus: &BTreeMap<u32, Givers>, name: &str, sink: &mut Sink) {
    let mut pairs: BTreeMap<[Span; 2], (Giver, Giver, Vec<u32>)> = BTreeMap::new();
    for (gpu, givers) in gpus {
        for mps in givers.values().filter(|(_, line)| is_mps(line)) {
            let Some(other) = givers.values().find(|(_, other)| other.span != mps.1.span) else { continue };
            let pair = pairs.entry([mps.1.span, other.1.span]).or_insert_with(|| (*mps, *other, Vec::new()));
            pair.2.push(*gpu);
        }
    }
    for (mps, other, gpus) in pairs.values() {
        sink.push(diags::mps_beside(*mps, *other, gpus, name));
    }
}

fn is_mps(line: &Line) -> bool {
    line.sharing.value.is_mps()
}
