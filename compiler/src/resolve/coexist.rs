//! What one GPU cannot be for all who have it: lengths of time slices, compute modes, and what an MPS daemon can serve.

use std::collections::BTreeMap;

use super::{Device, Grant, diags};
use crate::diag::Sink;
use crate::policy::{self, Sharing, Timeslice};
use crate::source::Span;
use crate::topology::{ComputeMode, Fact};

/// Processes that one MPS daemon serves on a GPU of Volta or later; newer boards may serve more, and none fewer.
const MOST_CLIENTS: u32 = 48;

/// A line that gives a device, and the grant that it belongs to.
type Giver<'a> = (&'a policy::Grant, &'a policy::Line);

/// Two lines that want different lengths, with the GPUs of both.
type Pairs<'a> = BTreeMap<[Span; 2], (Giver<'a>, Giver<'a>, BTreeMap<u32, Device<'a>>)>;

/// Each GPU with the lines that say a length, by their places.
type Wishes<'a> = BTreeMap<u32, (Device<'a>, BTreeMap<Span, (Giver<'a>, Timeslice)>)>;

/// What is reported of one line, with the devices of which it is so.
type Faults<'a> = BTreeMap<(Span, Fault), (Giver<'a>, Vec<Device<'a>>)>;

/// What is wrong with a device for a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// It is a MIG device, which has no time slices of its own.
    SlicesOfMig,
    /// Its compute mode lets nobody compute.
    Prohibited,
    /// Its compute mode lets one process compute at a time, in words.
    OneProcess(&'static str),
    /// All clients together may use so much memory, of so much.
    Memory(u128, u64),
    /// More clients than a daemon serves.
    Clients(u32),
}

/// Reports all of it, each for all devices of a line together.
pub(super) fn report(grants: &[Grant], name: &str, sink: &mut Sink) {
    let mut faults: Faults = BTreeMap::new();
    let mut wishes = Wishes::new();
    for (grant, line) in grants.iter().flat_map(|grant| grant.lines.iter().map(move |line| (grant, line))) {
        let giver = (grant.rule, line.rule);
        for device in &line.devices {
            for fault in self::faults(&line.rule.sharing.value, device) {
                let (_, devices) = faults.entry((line.rule.span, fault)).or_insert((giver, Vec::new()));
                // The same line of another tenant.
                if devices.iter().all(|other| other.key() != device.key()) {
                    devices.push(*device);
                }
            }
            if let (Sharing::TimeSlicing { timeslice: Some(wish), .. }, None) =
                (&line.rule.sharing.value, device.mig)
            {
                let (_, wishes) = wishes.entry(device.gpu.index).or_insert((*device, BTreeMap::new()));
                wishes.insert(line.rule.span, (giver, *wish));
            }
        }
    }
    for ((_, fault), (giver, devices)) in &faults {
        sink.push(diags::cannot_be(giver.1, fault, devices, name));
    }
    for (first, second, devices) in pairs(&wishes).into_values() {
        let devices: Vec<Device> = devices.into_values().collect();
        sink.push(diags::timeslices(first, second, &devices, name));
    }
}

/// The first line of each GPU with each that wants something else.
fn pairs<'a>(wishes: &Wishes<'a>) -> Pairs<'a> {
    let mut pairs = Pairs::new();
    for (gpu, (device, wishes)) in wishes {
        let Some((place, (first, wish))) = wishes.first_key_value() else { continue };
        for (other_place, (other, _)) in wishes.iter().filter(|(_, (_, other))| other != wish) {
            let pair = pairs.entry([*place, *other_place]).or_insert((*first, *other, BTreeMap::new()));
            pair.2.insert(*gpu, *device);
        }
    }
    pairs
}

/// What is wrong with a device that is shared so.
fn faults(sharing: &Sharing, device: &Device) -> Vec<Fault> {
    let mut faults = Vec::new();
    let whole = device.mig.is_none();
    if let (Sharing::TimeSlicing { timeslice: Some(_), .. }, false) = (sharing, whole) {
        faults.push(Fault::SlicesOfMig);
    }
    // The mode of MPS has its own finding.
    if let (Fact::Known(mode), true, false) = (&device.gpu.compute_mode, whole, sharing.is_mps()) {
        match (mode, sharing) {
            (ComputeMode::Prohibited, _) => faults.push(Fault::Prohibited),
            (
                ComputeMode::ExclusiveProcess | ComputeMode::ExclusiveThread,
                Sharing::TimeSlicing { replicas: 2.., .. },
            ) => faults.push(Fault::OneProcess(mode.name())),
            _ => {}
        }
    }
    if let Sharing::Mps { clients, memory, .. } = sharing {
        if *clients > MOST_CLIENTS {
            faults.push(Fault::Clients(*clients));
        }
        let together = memory.map(|memory| u128::from(memory) * u128::from(*clients));
        if let (Some(together), Fact::Known(has)) = (together, &device.gpu.memory)
            && together > u128::from(*has)
        {
            faults.push(Fault::Memory(together, *has));
        }
    }
    faults
}
