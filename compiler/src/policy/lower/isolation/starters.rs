//! Asserts that tenants are kept apart, where those who start containers go around what keeps them so.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::Sink;
use crate::policy::diags::{self, Starter, Starters};
use crate::policy::{Assert, Claim, Engine, Identity, Tenant};
use crate::source::{Span, Spanned};

mod daemons;

use daemons::Daemons;

/// Reports asserts of isolation that hold of containers, and not of the people who start them.
pub(super) fn report(tenants: &BTreeMap<String, Tenant>, asserts: &[Assert], sink: &mut Sink) {
    let by = |is: fn(&Identity) -> bool| Started::by(is, tenants);
    let (root, users, slurm) = (by(is_roots), by(is_users), by(is_slurms));
    let mut daemons = Daemons::of(tenants, &root.0);
    for assert in asserts {
        if let Some((claimed, mut starters)) = root.chosen(&assert.claim) {
            let who = daemons.who(&assert.claim, &mut starters);
            sink.push(diags::one_starter(claimed, &who, &starters));
        }
        if let Some((claimed, starters)) = users.kept_apart(&assert.claim) {
            sink.push(diags::opened_by_users(claimed, &starters));
        }
        if let Some((claimed, starters)) = slurm.kept_apart(&assert.claim) {
            sink.push(diags::opened_by_slurm(claimed, &starters));
        }
    }
}

/// Where an assert claims something of a tenant, and what.
type Claimed = (Span, String);

/// The tenants whose containers are started in one way, and the first identity of each that says so. Whom the guard lets
/// pass is not among them: asserts leave those out.
struct Started<'p>(BTreeMap<&'p str, Span>);

impl<'p> Started<'p> {
    fn by(is: fn(&Identity) -> bool, tenants: &'p BTreeMap<String, Tenant>) -> Self {
        let started = |tenant: &'p Tenant| {
            let identity = tenant.identities.iter().find(|identity| is(&identity.value))?;
            Some((tenant.name.value.as_str(), identity.span))
        };
        Self(tenants.values().filter(|tenant| tenant.trust.is_none()).filter_map(started).collect())
    }

    /// Those of them among whom their starters choose, though a claim keeps them apart.
    fn chosen(&self, claim: &Claim) -> Option<(Claimed, Starters<'p>)> {
        match claim {
            Claim::Isolated { tenants, .. } => {
                let (first, second) = (self.among(tenants).next()?, self.among(tenants).nth(1)?);
                let claimed = format!("asserted to be isolated from `{}`", first.1.tenant);
                Some(((second.0.span, claimed), self.all_among(tenants)))
            }
            Claim::Only { tenants, gpu_set } => {
                let own = self.all_among(tenants).first;
                let (first, own) = own.split_first()?;
                let others = self.others(tenants).first;
                let claimed = out_of_reach(others.first()?, gpu_set);
                // The first of each side are shown.
                let all = std::iter::once(first).chain(&others).chain(own);
                Some((claimed, Starters::of(all.copied(), self.0.len())))
            }
            Claim::Never { .. } | Claim::AlwaysSatisfiable { .. } => None,
        }
    }

    /// Those of them whom a claim keeps away from something.
    fn kept_apart(&self, claim: &Claim) -> Option<(Claimed, Starters<'p>)> {
        match claim {
            Claim::Isolated { tenants, .. } => {
                let (name, _) = self.among(tenants).next()?;
                Some(((name.span, "asserted to be isolated".to_owned()), self.all_among(tenants)))
            }
            Claim::Only { tenants, gpu_set } => {
                let others = self.others(tenants);
                Some((out_of_reach(others.first.first()?, gpu_set), others))
            }
            Claim::Never { .. } | Claim::AlwaysSatisfiable { .. } => None,
        }
    }

    fn among<'n>(
        &self,
        names: &'n [Spanned<String>],
    ) -> impl Iterator<Item = (&'n Spanned<String>, Starter<'p>)> {
        names.iter().filter_map(|name| {
            let (tenant, span) = self.0.get_key_value(name.value.as_str())?;
            Some((name, Starter { tenant, span: *span }))
        })
    }

    fn all_among(&self, names: &[Spanned<String>]) -> Starters<'p> {
        Starters::of(self.among(names).map(|(_, starter)| starter), self.among(names).count())
    }

    fn others(&self, names: &[Spanned<String>]) -> Starters<'p> {
        let excluded: BTreeSet<&str> = names.iter().map(|name| name.value.as_str()).collect();
        let others = self.0.iter().filter(|(tenant, _)| !excluded.contains(*tenant));
        let others = others.map(|(tenant, span)| Starter { tenant, span: *span });
        Starters::of(others, self.0.len() - self.among(names).count())
    }
}

fn out_of_reach(other: &Starter<'_>, gpu_set: &Spanned<String>) -> Claimed {
    (gpu_set.span, format!("asserted to be out of reach of `{}`", other.tenant))
}

/// Whoever calls such an engine is root on the host, and starts whose containers they like.
fn is_roots(identity: &Identity) -> bool {
    matches!(identity, Identity::Docker { .. } | Identity::Podman { user: None })
}

/// A user's own engine: the nodes' modes decide which devices it opens.
fn is_users(identity: &Identity) -> bool {
    matches!(identity, Identity::Podman { user: Some(_) })
}

/// The step's user calls the hook, and could leave it out: Slurm's device cgroup decides.
fn is_slurms(identity: &Identity) -> bool {
    identity.engine() == Engine::Slurm
}
