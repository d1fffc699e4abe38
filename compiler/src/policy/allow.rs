//! `allow-finding`, applied: what a policy knows of itself is counted and not said.

use super::{Allowance, Date, Policy, diags};
use crate::diag::{Finding, Sink};

/// Findings after what the policy allows has been taken out.
#[derive(Clone, Debug, PartialEq)]
pub struct Remaining {
    /// The others, and what there is to say of the allowances themselves.
    pub findings: Vec<Finding>,
    /// How many were taken out.
    pub allowed: usize,
}

/// Applies the allowances of a policy on a day; one without a finding is reported only after a `complete` check, for
/// another one may not have come to it.
#[must_use]
pub fn apply(policy: &Policy, mut findings: Vec<Finding>, today: Date, complete: bool) -> Remaining {
    let before = findings.len();
    let mut own = Vec::new();
    for allowance in policy.allowances.values() {
        own.extend(one(allowance, &mut findings, today, complete));
    }
    let allowed = before - findings.len();
    let mut sink = Sink::default();
    findings.into_iter().chain(own).for_each(|finding| sink.push(finding));
    Remaining { findings: sink.finish(), allowed }
}

fn one(allowance: &Allowance, findings: &mut Vec<Finding>, today: Date, complete: bool) -> Option<Finding> {
    if let Some(until) = allowance.until.as_ref().filter(|until| until.value < today) {
        return Some(diags::expired_allowance(allowance, until));
    }
    let before = findings.len();
    findings.retain(|finding| finding.code != allowance.code.value);
    (complete && findings.len() == before).then(|| diags::unused_allowance(allowance))
}
