//! Device nodes and device rules.

use super::row::{ALL_DEVICES, GPU_NODE, GPU_RULE};
use super::{Number, Surroundings, Trip};
use crate::config::{Config, DeviceRule, LinuxDevice};

/// Which numbers a rule is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Covers {
    /// None of the major.
    Nothing,
    /// Some of the major.
    Some,
    /// All of the major, and of no other.
    Major,
    /// All of every major.
    Everything,
}

pub(super) fn trips(config: &Config, surroundings: &Surroundings, own: &[Number]) -> Vec<Trip> {
    let is_own = |device: &LinuxDevice| device.number().is_some_and(|number| own.contains(&number));
    let node = |device: &&LinuxDevice| is_gpu(device, surroundings) && !is_own(device);
    let node = config.linux.devices.iter().find(node).map(|device| {
        let what = format!("device node `{}`, {}:{}", device.path, device.major, device.minor);
        Trip { row: &GPU_NODE, what }
    });
    let rules = &config.linux.resources.devices;
    let rule = surroundings.majors.iter().find_map(|major| rule(rules, *major, own));
    node.into_iter().chain(rule).collect()
}

fn is_gpu(device: &LinuxDevice, surroundings: &Surroundings) -> bool {
    device.is_character()
        && u32::try_from(device.major).is_ok_and(|major| surroundings.majors.contains(&major))
}

/// Whether the rules, of which the last that is about a number decides, let any number of a major be opened.
/// Without any rule some runtimes allow everything.
fn rule(rules: &[DeviceRule], major: u32, own: &[Number]) -> Option<Trip> {
    let mut opened = Some(&ALL_DEVICES);
    for rule in rules {
        match (covers(rule, major), rule.allow) {
            (Covers::Nothing, _) | (Covers::Some, false) => {}
            (Covers::Some, true) if is_own(rule, own) => {}
            (Covers::Everything, true) => opened = Some(&ALL_DEVICES),
            (Covers::Major | Covers::Some, true) => opened = opened.or(Some(&GPU_RULE)),
            (Covers::Major | Covers::Everything, false) => opened = None,
        }
    }
    let row = opened?;
    let what = if *row == ALL_DEVICES {
        "device rules that allow everything".to_owned()
    } else {
        format!("a device rule that allows major number {major}")
    };
    Some(Trip { row, what })
}

/// Whether the rules let a number be opened for reading and writing.
#[must_use]
pub fn lets_open(rules: &[DeviceRule], (major, minor): Number) -> bool {
    let is = |wanted: u32, number: Option<i64>| {
        number.is_none_or(|number| number < 0 || number == i64::from(wanted))
    };
    let about =
        |rule: &&DeviceRule| is(major, rule.major) && is(minor, rule.minor) && rule.is_of_characters();
    rules.iter().filter(about).fold(true, |opened, rule| {
        let access = rule.access.as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
        let [reads, writes] = ['r', 'w'].map(|letter| access.contains(letter));
        if rule.allow { opened || (reads && writes) } else { opened && !reads && !writes }
    })
}

/// The numbers of all nodes.
pub(super) fn numbers(config: &Config) -> Vec<Number> {
    config.linux.devices.iter().filter_map(LinuxDevice::number).collect()
}

/// Whether a rule is about one number, and that is the plan's.
fn is_own(rule: &DeviceRule, own: &[Number]) -> bool {
    let number = |number: Option<i64>| u32::try_from(number?).ok();
    number(rule.major).zip(number(rule.minor)).is_some_and(|number| own.contains(&number))
}

fn covers(rule: &DeviceRule, major: u32) -> Covers {
    let access = rule.access.as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
    // To make a node is not to open it, and denying only one of reading and writing leaves the other.
    let of_opening = |letter| access.contains(letter);
    let matters =
        if rule.allow { of_opening('r') || of_opening('w') } else { of_opening('r') && of_opening('w') };
    let any = |number: Option<i64>| number.is_none_or(|number| number < 0);
    match () {
        () if !matters || !rule.is_of_characters() => Covers::Nothing,
        () if any(rule.major) && any(rule.minor) => Covers::Everything,
        () if !any(rule.major) && rule.major != Some(major.into()) => Covers::Nothing,
        () if any(rule.minor) => Covers::Major,
        () => Covers::Some,
    }
}
