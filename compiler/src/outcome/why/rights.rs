//! What denies keep of the capabilities and features of a grant from a tenant.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;
use gpupol_plan::plan::Rule;
use gpupol_plan::request::{Capabilities, Request};

use super::{Barred, Case};
use crate::policy::Deny;
use crate::policy::rights::{Denied, Rights};
use crate::resolve::Grant;

/// Of all capabilities and features those that matter.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'r> {
    All,
    /// Those that are asked for.
    By(&'r Request),
}

/// What a deny keeps of grants.
struct Kept<'a> {
    deny: &'a Deny,
    capabilities: BTreeSet<Capability>,
    features: BTreeSet<Feature>,
}

impl Wanted<'_> {
    fn capability(self, capability: Capability) -> bool {
        match self {
            Self::All => true,
            Self::By(request) => match &request.capabilities {
                Capabilities::All => true,
                Capabilities::Named(asked) => asked.contains(&capability),
            },
        }
    }

    fn feature(self, feature: Feature) -> bool {
        match self {
            Self::All => true,
            Self::By(request) => request.features.iter().any(|asked| asked.covers(feature)),
        }
    }
}

impl<'a> Case<'a> {
    /// The denies that keep from a tenant what grants of it have and somebody wants, by their names.
    pub(super) fn kept_rights(&self, tenant: &str, rights: &Rights, wanted: Wanted<'_>) -> Vec<Barred> {
        let barred = |Kept { deny, capabilities, features }| Barred {
            deny: deny.name.value.clone(),
            rule: self.deny(deny),
            tenants: vec![tenant.to_owned()],
            devices: Vec::new(),
            capabilities,
            features,
        };
        let mut all: Vec<Barred> = self.kept(tenant, rights, wanted).into_iter().map(barred).collect();
        all.sort_by(|a, b| a.deny.cmp(&b.deny));
        all.dedup_by(|a, b| a.deny == b.deny);
        all
    }

    /// What leaves nothing of the capabilities that are asked for: denies of what the grant has, and the grant itself, if it
    /// lacks any.
    pub(super) fn no_capability(&self, grant: &Grant, request: &Request) -> Vec<Rule> {
        let denies = self.kept(grant.tenant, &Rights::of(grant.rule), Wanted::By(request));
        let denies = denies.into_iter().filter(|kept| !kept.capabilities.is_empty());
        let rule = grant.rule;
        let lacks = match &request.capabilities {
            Capabilities::All => rule.capabilities.is_empty(),
            Capabilities::Named(asked) => !asked.is_subset(&rule.capabilities),
        };
        let own = lacks.then(|| self.of(rule, rule.capabilities_span));
        denies.map(|kept| self.deny(kept.deny)).chain(own).collect()
    }

    /// What keeps from a container the first feature of its request that it may not have: denies, if the grant has it.
    pub(super) fn no_feature(&self, grant: &Grant, request: &Request) -> Vec<Rule> {
        let is_met = |asked: &Feature| grant.features.iter().any(|granted| asked.covers(granted.feature));
        let Some(missing) = request.features.iter().find(|asked| !is_met(asked)) else { return Vec::new() };
        let denies = self.kept(grant.tenant, &Rights::of(grant.rule), Wanted::By(request)).into_iter();
        let denies = denies.filter(|kept| kept.features.iter().any(|feature| missing.covers(*feature)));
        let denies: Vec<Rule> = denies.map(|kept| self.deny(kept.deny)).collect();
        if denies.is_empty() { vec![self.features_of(grant)] } else { denies }
    }

    /// Where a grant says which features it has; if nowhere, the grant.
    pub(super) fn features_of(&self, grant: &Grant) -> Rule {
        let rule = grant.rule;
        self.of(rule, rule.features.as_ref().map_or(rule.name.span, |features| features.span))
    }

    /// Every deny of capabilities or features that a tenant's grants have and somebody wants, with what it keeps.
    fn kept(&self, tenant: &str, rights: &Rights, wanted: Wanted<'_>) -> Vec<Kept<'a>> {
        let denied = Denied::of(&self.policy.denies);
        let capabilities = rights.capabilities.iter().copied().filter(|one| wanted.capability(*one));
        let features = rights.features.iter().copied().filter(|one| wanted.feature(*one));
        let of = |deny: &&'a Deny| Kept {
            deny,
            capabilities: capabilities.clone().filter(|one| deny.capabilities.contains(one)).collect(),
            features: features.clone().filter(|one| deny.takes(*one)).collect(),
        };
        let kept = denied.of_tenant(tenant).iter().map(of);
        kept.filter(|kept| !kept.capabilities.is_empty() || !kept.features.is_empty()).collect()
    }
}
