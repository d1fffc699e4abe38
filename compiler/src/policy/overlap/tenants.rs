//! Tenants that one container could be of.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::Sink;
use crate::policy::{Glob, Identity, Tenant, diags};
use crate::source::{Span, Spanned};

use super::MOST_PAIRS;
use super::search::{Pattern, TooComplex, witness};

/// One identity of one tenant, ready to be compared.
struct Candidate<'t> {
    tenant: &'t str,
    identity: &'t Spanned<Identity>,
    /// Nothing: whatever the namespace.
    namespace: Option<Pattern>,
    /// Nothing: whatever the pod's name.
    name: Option<Pattern>,
}

/// Reports the pairs of tenants of which one engine could know one container as either, up to a bound.
pub(in crate::policy) fn report(tenants: &BTreeMap<String, Tenant>, sink: &mut Sink) {
    let candidates = candidates(tenants);
    let mut reported: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (at, left) in candidates.iter().enumerate() {
        for right in candidates.iter().skip(at + 1).filter(|right| right.tenant != left.tenant) {
            let (left, right) = in_order(left, right);
            let pair = (left.tenant, right.tenant);
            match both(left, right) {
                Ok(Some(witness)) if reported.insert(pair) => {
                    let first = (left.tenant, left.identity.span);
                    let second = (right.tenant, right.identity.span);
                    sink.push(diags::tenants_overlap(first, second, witness));
                }
                Ok(_) => {}
                Err(TooComplex) => sink.push(diags::glob_too_complex(blamed(left, right))),
            }
            if reported.len() >= MOST_PAIRS {
                return;
            }
        }
    }
}

/// Where a pattern is that is too complex by itself, so that it is blamed once and not whatever it is compared with;
/// else the later of the two.
fn blamed(left: &Candidate<'_>, right: &Candidate<'_>) -> Span {
    let patterns = |candidate: &Candidate<'_>| {
        [&candidate.namespace, &candidate.name].into_iter().flatten().any(Pattern::is_too_complex)
    };
    if patterns(left) && !patterns(right) { left.identity.span } else { right.identity.span }
}

/// The one that stands first in the files first.
fn in_order<'c, 't>(
    left: &'c Candidate<'t>,
    right: &'c Candidate<'t>,
) -> (&'c Candidate<'t>, &'c Candidate<'t>) {
    let place = |candidate: &Candidate<'_>| -> Span { candidate.identity.span };
    if place(left) <= place(right) { (left, right) } else { (right, left) }
}

fn candidates<'t>(tenants: &'t BTreeMap<String, Tenant>) -> Vec<Candidate<'t>> {
    let mut candidates = Vec::new();
    for (tenant, identity) in tenants
        .iter()
        .flat_map(|(name, tenant)| tenant.identities.iter().map(move |identity| (name, identity)))
    {
        let (namespace, name) = match &identity.value {
            Identity::Kubernetes { namespace, name, .. } => (namespace.clone(), name.clone()),
            Identity::Docker { .. } | Identity::Podman => (None, None),
        };
        let pattern = |glob: Option<Glob>| glob.map(|glob| Pattern::new(&[glob]));
        candidates.push(Candidate { tenant, identity, namespace: pattern(namespace), name: pattern(name) });
    }
    candidates
}

/// A container that is both, in words.
fn both(left: &Candidate<'_>, right: &Candidate<'_>) -> Result<Option<String>, TooComplex> {
    match (&left.identity.value, &right.identity.value) {
        (Identity::Kubernetes { uid: first, .. }, Identity::Kubernetes { uid: second, .. }) => {
            if matches!((first, second), (Some(first), Some(second)) if first != second) {
                return Ok(None);
            }
            let uid = first.as_ref().or(second.as_ref());
            kubernetes(left, right, uid)
        }
        (Identity::Docker { daemon, runtime }, right) if left.identity.value == *right => {
            let runtime =
                runtime.as_ref().map_or("the default runtime".to_owned(), |name| format!("runtime `{name}`"));
            Ok(Some(format!("a Docker container of daemon `{daemon}` with {runtime}")))
        }
        (Identity::Podman, Identity::Podman) => Ok(Some("any Podman container".to_owned())),
        _ => Ok(None),
    }
}

fn kubernetes(
    left: &Candidate<'_>,
    right: &Candidate<'_>,
    uid: Option<&String>,
) -> Result<Option<String>, TooComplex> {
    let mut words = Vec::new();
    let parts = [("namespace", [&left.namespace, &right.namespace]), ("pod name", [&left.name, &right.name])];
    for (what, patterns) in parts {
        let patterns: Vec<&Pattern> = patterns.into_iter().flatten().collect();
        if patterns.is_empty() {
            continue;
        }
        let Some(value) = witness(&patterns, true)? else { return Ok(None) };
        words.push(format!("{what} `{value}`"));
    }
    words.extend(uid.map(|uid| format!("pod uid `{uid}`")));
    Ok(Some(format!("a Kubernetes container with {}", words.join(", "))))
}
