//! What a policy wants of tenants that are known where nobody can enforce it.

use std::collections::BTreeMap;

use crate::diag::Sink;
use crate::policy::{Clause, Engine, Grant, Identity, Tenant, diags};
use crate::source::Span;

/// Reports every identity of an engine that runs as its user, with the limit and the exclusive devices of its tenant.
pub(super) fn report(tenants: &BTreeMap<String, Tenant>, grants: &BTreeMap<String, Grant>, sink: &mut Sink) {
    for tenant in tenants.values() {
        for identity in tenant.identities.iter().filter(|identity| !identity.value.is_enforced()) {
            sink.push(diags::unenforced(identity, &wanted(tenant, &identity.value, grants)));
        }
    }
}

/// Each rule in words, and where it stands.
fn wanted(tenant: &Tenant, identity: &Identity, grants: &BTreeMap<String, Grant>) -> Vec<(String, Span)> {
    let limit = tenant.limit.iter().map(|limit| ("`limit`".to_owned(), limit.span));
    let exclusive =
        grants.values().filter(|grant| reaches(grant, tenant, identity.engine())).filter_map(|grant| {
            let line = grant.lines.iter().find(|line| line.sharing.value.is_exclusive())?;
            Some((format!("`sharing exclusive` of grant `{}`", grant.name.value), line.sharing.span))
        });
    limit.chain(exclusive).collect()
}

/// Whether a grant can apply to a tenant's container under an engine.
fn reaches(grant: &Grant, tenant: &Tenant, engine: Engine) -> bool {
    let holds = |clause: &Clause| match clause {
        Clause::Engine(engines) => engines.contains(&engine),
        Clause::Image(_) => engine == Engine::Kubernetes,
        Clause::Label { .. } => true,
    };
    grant.to.iter().any(|to| to.value == tenant.name.value)
        && grant.when.iter().all(|clause| holds(&clause.value))
}
