//! Asserts that tenants are kept apart, where those who start containers go around what keeps them so.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Finding, Sink};
use crate::policy::diags::{self, Starter};
use crate::policy::{Assert, Claim, Engine, Identity, Tenant};
use crate::source::{Span, Spanned};

/// Reports asserts of isolation that hold of containers, and not of the people who start them.
pub(super) fn report(tenants: &BTreeMap<String, Tenant>, asserts: &[Assert], sink: &mut Sink) {
    let by = |is: fn(&Identity) -> bool| Started::by(is, tenants);
    let (root, users, slurm) = (by(is_roots), by(is_users), by(is_slurms));
    for assert in asserts {
        if let Some((claimed, starters)) = root.chosen(&assert.claim) {
            sink.push(one_starter(claimed, &starters, tenants));
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
    fn chosen(&self, claim: &Claim) -> Option<(Claimed, Vec<Starter<'p>>)> {
        match claim {
            Claim::Isolated { tenants, .. } => {
                let (names, starters): (Vec<_>, Vec<_>) = self.among(tenants).unzip();
                let claimed = format!("asserted to be isolated from `{}`", names.first()?.value);
                Some(((names.get(1)?.span, claimed), starters))
            }
            Claim::Only { tenants, gpu_set } => {
                let mut starters: Vec<_> = self.among(tenants).map(|(_, starter)| starter).collect();
                starters.first()?;
                let others = self.others(tenants);
                let claimed = out_of_reach(others.first()?, gpu_set);
                // The first of each side are shown.
                starters.splice(1..1, others);
                Some((claimed, starters))
            }
            Claim::Never { .. } | Claim::AlwaysSatisfiable { .. } => None,
        }
    }

    /// Those of them whom a claim keeps away from something.
    fn kept_apart(&self, claim: &Claim) -> Option<(Claimed, Vec<Starter<'p>>)> {
        match claim {
            Claim::Isolated { tenants, .. } => {
                let (names, starters): (Vec<_>, Vec<_>) = self.among(tenants).unzip();
                Some(((names.first()?.span, "asserted to be isolated".to_owned()), starters))
            }
            Claim::Only { tenants, gpu_set } => {
                let others = self.others(tenants);
                Some((out_of_reach(others.first()?, gpu_set), others))
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

    fn others(&self, names: &[Spanned<String>]) -> Vec<Starter<'p>> {
        let names: BTreeSet<&str> = names.iter().map(|name| name.value.as_str()).collect();
        let others = self.0.iter().filter(|(tenant, _)| !names.contains(*tenant));
        others.map(|(tenant, span)| Starter { tenant, span: *span }).collect()
    }
}

fn out_of_reach(other: &Starter<'_>, gpu_set: &Spanned<String>) -> Claimed {
    (gpu_set.span, format!("asserted to be out of reach of `{}`", other.tenant))
}

/// Who can start the containers of all of these, all known by an engine of root's.
fn one_starter(claimed: Claimed, starters: &[Starter<'_>], tenants: &BTreeMap<String, Tenant>) -> Finding {
    let identities =
        |starter: &Starter<'_>| tenants.get(starter.tenant).into_iter().flat_map(|tenant| &tenant.identities);
    let daemons = |starter: &Starter<'_>| -> BTreeSet<&str> {
        identities(starter).filter_map(|identity| daemon(&identity.value)).collect()
    };
    let mut all = starters.iter().map(daemons);
    let first = all.next().unwrap_or_default();
    let common = all.fold(first, |common, own| common.intersection(&own).copied().collect());
    let Some(common) = common.first() else {
        let of_podman = |starter: &Starter<'_>| daemons(starter).is_empty();
        let engine = if starters.iter().any(of_podman) {
            "root's Podman or a Docker socket"
        } else {
            "a Docker socket"
        };
        let who = format!("whoever may use {engine} is root on the host, and so");
        return diags::one_starter(claimed, &who, starters);
    };
    let mut starters = starters.to_vec();
    for starter in &mut starters {
        // A tenant may have several daemons, and this one is the matter.
        let known = identities(starter).find(|identity| daemon(&identity.value) == Some(common));
        starter.span = known.map_or(starter.span, |identity| identity.span);
    }
    diags::one_starter(claimed, &format!("whoever may use the socket of Docker daemon `{common}`"), &starters)
}

fn daemon(identity: &Identity) -> Option<&str> {
    match identity {
        Identity::Docker { daemon, .. } => Some(daemon),
        _ => None,
    }
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
