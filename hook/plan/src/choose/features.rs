//! Which features of a plan a container gets: exactly those that it asks for.

use std::collections::BTreeSet;

use crate::feature::Feature;
use crate::plan::{GrantedFeature, Plan};
use crate::refusal::{Reason, Refusal};

/// The features that a request names, all of them or none.
pub(super) fn choose<'p>(
    plan: &'p Plan,
    asked: &BTreeSet<Feature>,
) -> Result<Vec<&'p GrantedFeature>, Refusal> {
    let covered = |granted: &&GrantedFeature| asked.iter().any(|asked| asked.covers(granted.feature));
    let given: Vec<&GrantedFeature> = plan.features.iter().filter(covered).collect();
    let is_met = |asked: &&Feature| given.iter().any(|granted| asked.covers(granted.feature));
    if let Some(missing) = asked.iter().find(|asked| !is_met(asked)) {
        return Err(not_granted(plan, *missing));
    }
    match given.iter().find_map(|granted| Some((granted, granted.lacking.as_ref()?))) {
        Some((granted, why)) => {
            let message = format!("feature `{}` cannot be given on this host: {why}", granted.feature);
            Err(Refusal::new(Reason::FeatureLacking, message))
        }
        None => Ok(given),
    }
}

fn not_granted(plan: &Plan, feature: Feature) -> Refusal {
    let names: Vec<String> = plan.features.iter().map(|granted| granted.feature.to_string()).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let message = format!("feature `{feature}` is not among those of grant `{}`: {names}", plan.grant);
    Refusal::new(Reason::FeatureNotGranted, message)
}
