//! Why one container gets what it gets.

use std::collections::BTreeSet;

use gpupol_plan::identity;
use gpupol_plan::lookup::{self, Considered};
use gpupol_plan::plan::Rule;
use gpupol_plan::refusal::{Reason, Refusal};
use gpupol_plan::request::{Devices, Request};

use super::fate::Again;
use super::rights::Wanted;
use super::{Case, Guard, Known, Mismatch, Story, Tried, Verdict};
use crate::emit::identities;
use crate::outcome::Outcome;
use crate::policy::Tenant;
use crate::policy::rights::Rights;
use crate::resolve::{Grant, Key};
use crate::workload::Workload;

impl<'a> Case<'a> {
    /// Why a container gets what it gets while nobody else holds anything; `outcome` is what that is.
    #[must_use]
    pub fn story(&self, container: &Workload, outcome: Outcome) -> Story {
        let Workload { entry, config, observed } = container;
        let facts = identity::facts(entry, config, observed);
        let tenant = self.plans.whose(container).ok().flatten().map(|tenant| tenant.name);
        let considered = self.plans.considered(container);
        let grants: Vec<Tried> = considered.iter().filter_map(|one| self.tried(one)).collect();
        let applied = grants.iter().position(|tried| tried.verdict == Verdict::Applies);
        let grants = outranked(grants, applied);
        let named = self.refused_names(container, &outcome);
        let named = Some(&named).filter(|named| !named.is_empty());
        let of = tenant.as_deref().zip(named);
        let grant = applied.and_then(|at| self.grant(tenant.as_deref()?, &grants.get(at)?.grant));
        let request = self.plans.asked(container);
        let mut denies = of.map(|(tenant, named)| self.barred(Some(tenant), Some(named))).unwrap_or_default();
        if let (Some(grant), Some(request)) = (grant, &request) {
            denies.extend(self.kept_rights(grant.tenant, &Rights::of(grant.rule), Wanted::By(request)));
        }
        Story {
            who: identity::describe(&facts),
            identities: self.known(tenant.as_deref(), &facts),
            decided_by: self.decided_by(&outcome, grant.zip(request.as_ref())),
            reach: grant.map(|grant| self.reach(grant, named, &mut Again::of(self.policy, self.resolution))),
            denies,
            not_for: of.map(|(tenant, named)| self.not_for(tenant, named)).unwrap_or_default(),
            guard: self.guard(container, tenant.as_deref()),
            numbers: self.numbers(request.as_ref(), &outcome),
            tenant,
            grants,
            outcome,
        }
    }

    fn grant(&self, tenant: &str, name: &str) -> Option<&'a Grant<'a>> {
        let mut grants = self.resolution.grants.iter();
        grants.find(|grant| grant.tenant == tenant && grant.rule.name.value == name)
    }

    /// The identities of its tenant that know a container, or how all of its engine miss it.
    fn known(&self, tenant: Option<&str>, facts: &identity::Facts<'_>) -> Vec<Known> {
        let mut all = Vec::new();
        for owner in self.policy.tenants.values() {
            for written in &owner.identities {
                let mismatch = identity::mismatch(&identities::identity(&written.value), facts);
                let is_of_interest = match (tenant, &mismatch) {
                    (Some(tenant), None) => tenant == owner.name.value,
                    (None, Some(mismatch)) => mismatch.key != "engine",
                    // Of two tenants at once: the index is damaged.
                    (None, None) => true,
                    (Some(_), Some(_)) => false,
                };
                if is_of_interest {
                    let name = format!("tenant {}", owner.name.value);
                    all.push(Known {
                        tenant: owner.name.value.clone(),
                        identity: written.value.to_string(),
                        rule: self.rule(written.span, name),
                        mismatch: mismatch.map(|one| Mismatch { key: one.key, has: one.has }),
                    });
                }
            }
        }
        all
    }

    /// Nothing of a grant that the policy does not have, whose plan set this would not be.
    fn tried(&self, considered: &Considered) -> Option<Tried> {
        let Considered { grant, verdict, why } = considered;
        let written = self.policy.grants.get(&grant.name)?;
        let verdict = match *verdict {
            lookup::Verdict::Applies => Verdict::Applies,
            lookup::Verdict::OnlyByName => Verdict::OnlyByName,
            lookup::Verdict::AnotherIsNamed => Verdict::AnotherIsNamed,
            lookup::Verdict::Fails(position) => {
                let clause = self.of(written, written.when.get(position)?.span);
                Verdict::Fails { clause, position, why: why.clone().unwrap_or_default() }
            }
        };
        let rule = self.of(written, written.name.span);
        Some(Tried { grant: grant.name.clone(), rule, rank: grant.rank, verdict })
    }

    /// The devices that a container names, if it is refused for that.
    fn refused_names(&self, container: &Workload, outcome: &Outcome) -> BTreeSet<Key> {
        let is_refused =
            matches!(outcome, Outcome::Denied { refusal, .. } if refusal.reason == Reason::DeviceNotGranted);
        let request = self.plans.asked(container).filter(|_| is_refused);
        request.iter().flat_map(named).flat_map(|name| self.named(&name)).collect()
    }

    /// The rules behind what comes of choosing devices.
    fn decided_by(&self, outcome: &Outcome, applied: Option<(&Grant, &Request)>) -> Vec<Rule> {
        let Outcome::Denied { refusal, .. } = outcome else {
            return applied.iter().map(|(grant, _)| self.of(grant.rule, grant.rule.name.span)).collect();
        };
        if refusal.reason == Reason::Guard {
            return vec![self.on_bypass()];
        }
        applied.map(|(grant, request)| self.refused_by(refusal, grant, request)).unwrap_or_default()
    }

    fn refused_by(&self, refusal: &Refusal, grant: &Grant, request: &Request) -> Vec<Rule> {
        let rule = grant.rule;
        match refusal.reason {
            Reason::NoCapability => self.no_capability(grant, request),
            Reason::FeatureNotGranted => self.no_feature(grant, request),
            Reason::FeatureLacking => vec![self.features_of(grant)],
            Reason::Limit => {
                let tenant = self.policy.tenants.get(grant.tenant);
                let limit = |tenant: &Tenant| {
                    Some(self.rule(tenant.limit.as_ref()?.span, format!("tenant {}", grant.tenant)))
                };
                tenant.and_then(limit).into_iter().collect()
            }
            Reason::TooMany
            | Reason::DeviceNotGranted
            | Reason::NothingCountable
            | Reason::NoFreeDevice
            | Reason::Placement
            // What an image requires is not so of what the lines have.
            | Reason::Requirement => rule.lines.iter().map(|line| self.of(rule, line.span)).collect(),
            Reason::NotSupported => vec![self.of(rule, rule.name.span)],
            Reason::NoTenant
            | Reason::NoGrant
            | Reason::GrantNotApplicable
            | Reason::BadRequest
            | Reason::Guard
            | Reason::PlanSet => Vec::new(),
        }
    }

    /// What the guard makes of a container of this tenant, and by what of the policy.
    fn guard(&self, container: &Workload, tenant: Option<&str>) -> Option<Guard> {
        let guarded = self.plans.guard(container);
        let trust =
            tenant.and_then(|tenant| self.policy.tenants.get(tenant)).filter(|one| one.trust.is_some());
        let rule = match trust {
            Some(trusted) => self.rule(trusted.name.span, format!("trust {}", trusted.name.value)),
            None => self.on_bypass(),
        };
        (!guarded.trips.is_empty()).then_some(Guard { guarded, rule })
    }

    fn on_bypass(&self) -> Rule {
        self.rule(self.policy.settings.on_bypass.span, "policy".to_owned())
    }
}

/// Of those in whose way nothing is only the first is the container's.
fn outranked(mut grants: Vec<Tried>, applied: Option<usize>) -> Vec<Tried> {
    let by = applied.and_then(|at| Some(grants.get(at)?.grant.clone()));
    if let (Some(by), Some(at)) = (by, applied) {
        for tried in grants.iter_mut().skip(at + 1).filter(|tried| tried.verdict == Verdict::Applies) {
            tried.verdict = Verdict::Outranked { by: by.clone() };
        }
    }
    grants
}

/// The devices that a request names.
fn named(request: &Request) -> Vec<String> {
    match &request.devices {
        Devices::Named(names) => names.clone(),
        Devices::Indices(indices) => indices.iter().map(u32::to_string).collect(),
        Devices::Default | Devices::Count(_) | Devices::Lines(_) | Devices::Allocated(_) => Vec::new(),
    }
}
