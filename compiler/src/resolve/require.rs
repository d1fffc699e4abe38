//! What a grant requires of the driver. It gives no GPU whose driver does not meet it.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::requirement::version::compare;

use super::diags;
use crate::diag::{Code, Sink};
use crate::policy::{Grant, HostFact, Require};
use crate::topology::{Driver, Fact, Topology, Vendor};

/// How the drivers of a host stand to what a grant requires.
#[derive(Debug, Default)]
pub(super) struct Met<'a> {
    /// The vendors whose drivers are so.
    pub(super) vendors: BTreeSet<Vendor>,
    /// The others, each with the first thing that is not.
    pub(super) unmet: BTreeMap<Vendor, Unmet<'a>>,
}

/// Something that a grant requires, and the driver is not known to be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmet<'a> {
    /// What is required.
    pub required: &'a Require,
    /// What there is instead.
    pub found: Found<'a>,
}

/// What a driver has instead of what is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// There is no such version.
    Nothing,
    /// This version.
    Other(&'a str),
    /// Nobody knows, for this reason.
    Unknown(&'a str),
}

/// Those of `vendors`, whose GPUs the grant speaks of, whose driver is known to be as it requires; of others that is
/// reported.
pub(super) fn met<'a>(
    rule: &'a Grant,
    vendors: BTreeSet<Vendor>,
    topology: &'a Topology,
    name: &str,
    sink: &mut Sink,
) -> Met<'a> {
    let mut met = Met::default();
    let Some(require) = &rule.require else { return Met { vendors, ..met } };
    let alone = vendors.len() == 1;
    for vendor in vendors {
        let report = diags::Unmet { rule, span: require.span, vendor, alone, name };
        let driver = topology.driver(vendor);
        let mut failed = require
            .value
            .iter()
            .filter_map(|one| Some(Unmet { required: one, found: missing(one, driver)? }));
        match failed.next() {
            Some(one) => {
                // That a fact is unknown is to be said of each host.
                if matches!(one.found, Found::Unknown(_)) || sink.wants(Code::RequirementUnmet, require.span)
                {
                    sink.push(report.of(&one));
                }
                met.unmet.insert(vendor, one);
            }
            None => _ = met.vendors.insert(vendor),
        }
    }
    met
}

/// What there is instead of what is required; nothing if it is so.
fn missing<'t>(require: &Require, driver: &'t Driver) -> Option<Found<'t>> {
    let fact = match require.fact {
        HostFact::Cuda => &driver.cuda,
        HostFact::Driver => &driver.version,
    };
    match fact {
        Fact::Absent => Some(Found::Nothing),
        Fact::Unknown(why) => Some(Found::Unknown(why)),
        Fact::Known(has) => match compare(has, &require.version) {
            Some(ordering) if require.comparator.holds(ordering) => None,
            Some(_) => Some(Found::Other(has)),
            None => Some(Found::Unknown("what the topology says is not numbers between dots")),
        },
    }
}
