//! All that is compared of what a grant gives on one host, as a key.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;

use crate::policy::{Amount, Place, Sharing};
use crate::resolve::{Device, Grant, Line, Order};

/// Grants of which this is the same give the same, and differ in the same from any other.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Same<'a> {
    capabilities: &'a BTreeSet<Capability>,
    /// Each with whether the host has it.
    features: Vec<(Feature, bool)>,
    lines: Vec<OfLine<'a>>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct OfLine<'a> {
    amounts: [Amount; 2],
    place: Place,
    sharing: &'a Sharing,
    order: Order,
    set: &'a str,
    devices: Vec<&'a str>,
    slots: Option<&'a [Vec<u32>]>,
}

impl<'a> Same<'a> {
    pub(super) fn of(grant: &'a Grant<'a>) -> Self {
        Self {
            capabilities: &grant.capabilities,
            features: grant.features.iter().map(|one| (one.feature, one.parts.is_ok())).collect(),
            lines: grant.lines.iter().map(OfLine::of).collect(),
        }
    }
}

impl<'a> OfLine<'a> {
    fn of(line: &'a Line<'a>) -> Self {
        let rule = line.rule;
        Self {
            amounts: [rule.at_most, rule.default],
            place: rule.place,
            sharing: &rule.sharing.value,
            order: line.order,
            set: &rule.gpu_set.value,
            devices: line.devices.iter().map(Device::uuid).collect(),
            slots: line.slots.as_deref(),
        }
    }
}
