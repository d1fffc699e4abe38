//! What a grant requires of the driver. It gives no GPU whose driver does not meet it.

use std::collections::BTreeSet;

use gpupol_plan::requirement::version::compare;

use super::diags;
use crate::diag::Sink;
use crate::policy::{Grant, HostFact, Require};
use crate::topology::{Driver, Fact, Topology, Vendor};

/// Those of `vendors`, whose GPUs the grant speaks of, whose driver is known to be as it requires; of others that is
/// reported.
pub(super) fn met(
    rule: &Grant,
    vendors: &BTreeSet<Vendor>,
    topology: &Topology,
    name: &str,
    sink: &mut Sink,
) -> BTreeSet<Vendor> {
    let Some(require) = &rule.require else { return vendors.clone() };
    let mut met = BTreeSet::new();
    for vendor in vendors {
        let unmet =
            diags::Unmet { rule, span: require.span, vendor: *vendor, alone: vendors.len() == 1, name };
        let failed = require.value.iter().find_map(|one| match verdict(one, topology.driver(*vendor)) {
            Verdict::Met => None,
            Verdict::Unmet(has) => Some(unmet.by(one, has)),
            Verdict::Unknown(why) => Some(unmet.unknown(one, why)),
        });
        match failed {
            Some(finding) => sink.push(finding),
            None => _ = met.insert(*vendor),
        }
    }
    met
}

enum Verdict<'t> {
    Met,
    /// The driver has this, or none.
    Unmet(Option<&'t str>),
    Unknown(&'t str),
}

fn verdict<'t>(require: &Require, driver: &'t Driver) -> Verdict<'t> {
    let fact = match require.fact {
        HostFact::Cuda => &driver.cuda,
        HostFact::Driver => &driver.version,
    };
    match fact {
        Fact::Absent => Verdict::Unmet(None),
        Fact::Unknown(why) => Verdict::Unknown(why),
        Fact::Known(has) => match compare(has, &require.version) {
            Some(ordering) if require.comparator.holds(ordering) => Verdict::Met,
            Some(_) => Verdict::Unmet(Some(has)),
            None => Verdict::Unknown("what the topology says is not numbers between dots"),
        },
    }
}
