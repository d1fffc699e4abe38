//! Asserts, decided on one host: who reaches what is read off the resolution, what can be had is asked of its plan set.

use std::collections::BTreeSet;

use super::Reader;
use crate::diag::Finding;
use crate::policy::{Assert, Claim, Policy};
use crate::resolve::Resolution;

mod amounts;
mod diags;
mod grounds;
mod reach;

pub use diags::undecided;
pub use grounds::{Ground, grounds};

/// What came of an assert on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One for each way in which it does not hold; none: it holds.
    pub findings: Vec<Finding>,
    /// Who is trusted, left out, and has the same devices: one for each.
    pub notes: Vec<Finding>,
    /// Of the tenants, the gpu-set or the grant that it is about those that have no device on the host, in words.
    pub absent: BTreeSet<String>,
    /// Whether anything of what it is about has a device there; else that it holds says nothing.
    pub decided: bool,
}

/// What an assert is judged by.
struct Case<'a> {
    policy: &'a Policy,
    resolution: &'a Resolution<'a>,
    plans: &'a Reader<'a>,
    /// What the user calls the topology.
    host: &'a str,
}

/// Judges an assert on one host; `plans` is the plan set of the resolution, `host` names the topology in findings.
#[must_use]
pub fn judge(
    assert: &Assert,
    policy: &Policy,
    resolution: &Resolution,
    plans: &Reader,
    host: &str,
) -> Verdict {
    let case = Case { policy, resolution, plans, host };
    let subjects = case.subjects(&assert.claim);
    let absent: BTreeSet<String> =
        subjects.iter().filter(|(_, present)| !present).map(|(name, _)| name.clone()).collect();
    let findings = match &assert.claim {
        Claim::Isolated { tenants, level } => case.isolated(tenants, *level),
        Claim::Only { tenants, gpu_set } => case.only(tenants, gpu_set),
        Claim::Never { capabilities, tenants } => case.never(capabilities, tenants),
        Claim::AlwaysSatisfiable { grant } => case.always_satisfiable(grant),
    };
    let notes = case.left_out(assert);
    Verdict { findings, notes, decided: absent.len() < subjects.len(), absent }
}

impl Case<'_> {
    /// What a claim is about, and whether it has a device on the host.
    fn subjects(&self, claim: &Claim) -> Vec<(String, bool)> {
        match claim {
            Claim::Isolated { tenants, .. } | Claim::Never { tenants, .. } => tenants
                .iter()
                .map(|tenant| (format!("tenant `{}`", tenant.value), self.reaches_any(&tenant.value)))
                .collect(),
            Claim::Only { gpu_set, .. } => {
                let extent = self.resolution.extents.get(gpu_set.value.as_str());
                let present = extent.is_some_and(|extent| !extent.widest.is_empty());
                vec![(format!("gpu-set `{}`", gpu_set.value), present)]
            }
            Claim::AlwaysSatisfiable { grant } => {
                vec![(format!("grant `{}`", grant.value), self.has_devices_of(&grant.value))]
            }
        }
    }
}
