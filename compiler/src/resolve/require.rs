//! What a grant requires of the host. One that the host does not meet gives nothing there.

use gpupol_plan::requirement::version::compare;

use super::diags;
use crate::diag::Sink;
use crate::policy::{Grant, HostFact, Require};
use crate::topology::{Fact, Topology};

/// Whether the host is known to have what the grant requires; if not, that is reported.
pub(super) fn is_met(rule: &Grant, topology: &Topology, name: &str, sink: &mut Sink) -> bool {
    let Some(require) = &rule.require else { return true };
    for one in &require.value {
        match verdict(one, topology) {
            Verdict::Met => continue,
            Verdict::Unmet(has) => sink.push(diags::requirement_unmet(rule, require.span, (one, has), name)),
            Verdict::Unknown(why) => {
                sink.push(diags::unknown_to_requirement(rule, require.span, (one, why), name));
            }
        }
        return false;
    }
    true
}

enum Verdict<'t> {
    Met,
    /// The host has this, or none.
    Unmet(Option<&'t str>),
    Unknown(&'t str),
}

fn verdict<'t>(require: &Require, topology: &'t Topology) -> Verdict<'t> {
    let fact = match require.fact {
        HostFact::Cuda => &topology.driver.cuda,
        HostFact::Driver => &topology.driver.version,
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
