//! What a container gets by a grant on a host on which nobody else holds anything: the hook's own chooser says.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::capability::Capability;
use gpupol_plan::choose::{Leases, choose};
use gpupol_plan::feature::Feature;
use gpupol_plan::plan::Plan;

use super::asked::{Asked, Manner};
use super::gift::Tenants;
use crate::emit::offer;
use crate::policy::RequestIndices;
use crate::resolve::Grant;

/// A grant as it is offered to the containers of one kind of engines.
pub(super) struct Offer {
    plan: Option<Plan>,
    manner: Manner,
    indices: RequestIndices,
}

/// What comes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The devices by UUID, each with the position of the line that gives it.
    pub(super) devices: BTreeMap<String, usize>,
    pub(super) capabilities: BTreeSet<Capability>,
    pub(super) features: BTreeSet<Feature>,
}

/// Each of the two grants, offered to the tenant of its side.
pub(super) fn both(grants: [Option<&Grant<'_>>; 2], tenants: Tenants, manner: Manner) -> [Offer; 2] {
    let Tenants { trusted, limits, indices } = tenants;
    let [old, new] = grants;
    let of = |grant: Option<&Grant<'_>>, limit, trusted, indices| Offer {
        plan: grant.map(|grant| offer(grant, limit, trusted)),
        manner,
        indices,
    };
    [of(old, limits[0], trusted[0], indices[0]), of(new, limits[1], trusted[1], indices[1])]
}

impl Offer {
    /// What comes of it; none if it is refused.
    pub(super) fn outcome(&self, asked: &Asked) -> Option<Outcome> {
        let request = asked.request(self.manner, self.indices);
        let choice = choose(self.plan.as_ref()?, &request, &Leases::new()).ok()?;
        let device = |given: &gpupol_plan::choose::Given<'_>| {
            Some((given.device.uuid.clone(), usize::try_from(given.line.rule.line).ok()?))
        };
        Some(Outcome {
            devices: choice.given.iter().filter_map(device).collect(),
            capabilities: choice.capabilities,
            features: choice.features.iter().map(|granted| granted.feature).collect(),
        })
    }
}
