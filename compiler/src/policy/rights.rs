//! What denies leave of the capabilities and features of a grant.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;

use super::{Deny, Grant};

/// What one tenant has of a grant beside its devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// The ceiling of driver capabilities; without any the grant gives the tenant nothing.
    pub capabilities: BTreeSet<Capability>,
    /// The features that it may ask for.
    pub features: BTreeSet<Feature>,
}

impl Rights {
    /// What a grant says, whatever denies leave of it.
    #[must_use]
    pub fn of(grant: &Grant) -> Self {
        let mut rights = Self::default();
        rights.add(grant);
        rights
    }

    /// Adds what another grant says.
    pub fn add(&mut self, grant: &Grant) {
        self.capabilities.extend(&grant.capabilities);
        self.features.extend(grant.features.iter().flat_map(|features| &features.value));
    }
}

/// The denies of capabilities and features, by the tenants that they name.
#[derive(Clone, Debug)]
pub struct Denied<'d>(BTreeMap<&'d str, Vec<&'d Deny>>);

impl<'d> Denied<'d> {
    /// Those of a policy.
    pub fn of(denies: &'d BTreeMap<String, Deny>) -> Self {
        let mut by_tenant: BTreeMap<&str, Vec<&Deny>> = BTreeMap::new();
        for deny in denies.values().filter(|deny| deny.gpu_sets.is_empty()) {
            for tenant in &deny.to {
                by_tenant.entry(&tenant.value).or_default().push(deny);
            }
        }
        Self(by_tenant)
    }

    /// Those that name a tenant.
    pub fn of_tenant(&self, tenant: &str) -> &[&'d Deny] {
        self.0.get(tenant).map(Vec::as_slice).unwrap_or_default()
    }

    /// What is left to a tenant of a grant.
    pub fn rights(&self, grant: &Grant, tenant: &str) -> Rights {
        let mut rights = Rights::of(grant);
        for deny in self.of_tenant(tenant) {
            rights.capabilities.retain(|capability| !deny.capabilities.contains(capability));
            rights.features.retain(|feature| !deny.takes(*feature));
        }
        rights
    }
}

impl Deny {
    /// Whether it is about this tenant.
    #[must_use]
    pub fn names(&self, tenant: &str) -> bool {
        self.to.iter().any(|name| name.value == tenant)
    }

    /// Whether it takes this feature away.
    #[must_use]
    pub fn takes(&self, feature: Feature) -> bool {
        self.features.iter().any(|denied| denied.covers(feature))
    }
}
