//! Under which engines a grant can apply.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::Sink;
use crate::policy::{Clause, Engine, Grant, Tenant, diags};
use crate::source::Span;

/// The engines under which a container can be of a tenant.
pub(super) fn of_tenant(tenant: &Tenant) -> BTreeSet<Engine> {
    tenant.identities.iter().map(|identity| identity.value.engine()).collect()
}

/// The engines that a grant's conditions leave. None, and reported, if they leave none, or none of its tenants.
pub(super) fn of_grant(
    grant: &Grant,
    tenants: &BTreeMap<String, Tenant>,
    sink: &mut Sink,
) -> Option<BTreeSet<Engine>> {
    let mut left: BTreeSet<Engine> = Engine::ALL.into();
    let mut before: Option<Span> = None;
    for clause in &grant.when {
        let Some(said) = of_clause(&clause.value) else { continue };
        left = left.intersection(&said).copied().collect();
        if let (true, Some(first)) = (left.is_empty(), before) {
            sink.push(diags::no_engine(first, clause.span));
            return None;
        }
        before = Some(clause.span);
    }
    let known: Option<Vec<_>> = grant.to.iter().map(|name| tenants.get(&name.value).map(of_tenant)).collect();
    let unreached = known.is_some_and(|known| known.iter().all(|known| known.is_disjoint(&left)));
    if let (true, Some(clause), Some(tenant)) = (unreached, before, grant.to.first()) {
        sink.push(diags::unreached_engine(tenant, clause, &left));
        return None;
    }
    Some(left)
}

/// The engines under which a condition can hold; none if under any.
fn of_clause(clause: &Clause) -> Option<BTreeSet<Engine>> {
    match clause {
        Clause::Engine(engines) => Some(engines.clone()),
        Clause::Image(_) => Some([Engine::Kubernetes].into()),
        Clause::Label { .. } => None,
    }
}
