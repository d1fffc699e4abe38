//! What denies leave of the capabilities and features of a grant.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;

use super::{Deny, Grant};

/// What one tenant has of a grant beside its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The ceiling of driver capabilities; without any the grant gives the tenant nothing.
    pub capabilities: BTreeSet<Capability>,
    /// The features that it may ask for.
    pub features: BTreeSet<Feature>,
}

/// What `denies` leave `tenant` of a grant.
pub fn of<'d>(grant: &Grant, tenant: &str, denies: impl Iterator<Item = &'d Deny>) -> Rights {
    let features = grant.features.iter().flat_map(|features| &features.value).copied().collect();
    let mut rights = Rights { capabilities: grant.capabilities.clone(), features };
    for deny in denies.filter(|deny| deny.names(tenant)) {
        rights.capabilities.retain(|capability| !deny.capabilities.contains(capability));
        rights.features.retain(|feature| !deny.takes(*feature));
    }
    rights
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
