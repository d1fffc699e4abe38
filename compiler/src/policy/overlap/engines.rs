//! Under which engines a grant can apply.

use std::collections::BTreeMap;

use crate::diag::Sink;
use crate::policy::{Clause, Engine, Grant, Tenant, diags};
use crate::source::{Span, Spanned};

/// A set of engines: a bit for each, for every grant has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Engines(u8);

impl Engines {
    pub(super) const ALL: Self = Self(u8::MAX >> (u8::BITS as usize - Engine::ALL.len()));
    const NONE: Self = Self(0);

    /// Those in both.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn with(self, engine: Engine) -> Self {
        Self(self.0 | 1 << engine as u8)
    }

    /// Whether it is one of them.
    pub(super) fn has(self, engine: Engine) -> bool {
        self.0 & 1 << engine as u8 != 0
    }

    /// In the order of [`Engine::ALL`].
    pub(super) fn iter(self) -> impl Iterator<Item = Engine> {
        Engine::ALL.into_iter().filter(move |engine| self.has(*engine))
    }

    /// The first of them.
    pub(super) fn first(self) -> Option<Engine> {
        self.iter().next()
    }
}

impl FromIterator<Engine> for Engines {
    fn from_iter<I: IntoIterator<Item = Engine>>(engines: I) -> Self {
        engines.into_iter().fold(Self::NONE, Self::with)
    }
}

/// The engines under which a container can be of a tenant.
pub(super) fn of_tenant(tenant: &Tenant) -> Engines {
    tenant.identities.iter().map(|identity| identity.value.engine()).collect()
}

/// The engines that conditions leave.
pub(super) fn of_conditions(when: &[Spanned<Clause>]) -> Engines {
    when.iter().filter_map(|clause| of_clause(&clause.value)).fold(Engines::ALL, Engines::and)
}

/// The engines that a grant's conditions leave. None, and reported, if they leave none, or none of its tenants.
pub(super) fn of_grant(
    grant: &Grant,
    tenants: &BTreeMap<String, Tenant>,
    sink: &mut Sink,
) -> Option<Engines> {
    let mut left = Engines::ALL;
    let mut before: Option<Span> = None;
    for clause in &grant.when {
        let Some(said) = of_clause(&clause.value) else { continue };
        left = left.and(said);
        if let (Engines::NONE, Some(first)) = (left, before) {
            sink.push(diags::no_engine(first, clause.span));
            return None;
        }
        before = Some(clause.span);
    }
    let Some(clause) = before else { return Some(left) };
    let unreached = |name: &str| tenants.get(name).map(|tenant| of_tenant(tenant).and(left) == Engines::NONE);
    // A tenant that could not be read may be known under any engine.
    let unreached = grant.to.iter().all(|name| unreached(&name.value) == Some(true));
    if let (true, Some(tenant)) = (unreached, grant.to.first()) {
        let left: Vec<Engine> = left.iter().collect();
        sink.push(diags::unreached_engine(tenant, clause, &left));
        return None;
    }
    Some(left)
}

/// The engines under which a condition can hold; none if under any.
fn of_clause(clause: &Clause) -> Option<Engines> {
    match clause {
        Clause::Engine(engines) => Some(engines.iter().copied().collect()),
        Clause::Image(_) => Some(Engines::NONE.with(Engine::Kubernetes)),
        Clause::Label { .. } => None,
    }
}
