//! `deny`: takes devices, capabilities or features away.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::feature::Feature;

use crate::diag::Sink;
use crate::policy::rights::Denied;
use crate::policy::{Deny, Grant, diags};
use crate::source::Spanned;
use crate::syntax::Node;
use crate::syntax::cursor::Cursor;

use super::features::{self, Imex};
use super::names::Kind;
use super::{Context, definition, grants, references};

/// Every deny that could be read.
pub(super) fn lower(nodes: &[&Node], context: &mut Context<'_>) -> BTreeMap<String, Deny> {
    let mut denies = BTreeMap::new();
    for node in nodes {
        if let Some(deny) = deny(node, context) {
            denies.entry(deny.name.value.clone()).or_insert(deny);
        }
    }
    denies
}

/// Reports grants that give a tenant nothing because denies leave it no driver capability.
pub(super) fn report_emptied(
    grants: &BTreeMap<String, Grant>,
    denies: &BTreeMap<String, Deny>,
    sink: &mut Sink,
) {
    let denied = Denied::of(denies);
    for grant in grants.values() {
        for tenant in &grant.to {
            if denied.rights(grant, &tenant.value).capabilities.is_empty() {
                let takes = |deny: &&&Deny| !deny.capabilities.is_disjoint(&grant.capabilities);
                let by = denied.of_tenant(&tenant.value).iter().filter(takes).map(|deny| deny.name.span);
                let grant = (grant.name.value.as_str(), grant.capabilities_span);
                sink.push(diags::no_capability_left(grant, tenant, by));
            }
        }
    }
}

fn deny(node: &Node, context: &mut Context<'_>) -> Option<Deny> {
    let mut cursor = Cursor::open(node, context.sink);
    let name = definition(Kind::Deny, &mut cursor, context);
    let to = grants::to(&mut cursor, context);
    let sets: Vec<&Node> = cursor.children("gpus").collect();
    let capabilities = cursor.child("capabilities", context.sink);
    let features = cursor.child("features", context.sink);
    if let (Some(gpus), Some(other)) = (sets.first(), capabilities.or(features)) {
        let finding = diags::deny_of_both(&other.name.value, other.name.span, gpus.name.span);
        cursor.blame(context.sink, finding);
    }
    if sets.is_empty() && capabilities.or(features).is_none() {
        cursor.lacks("`gpus`, `capabilities` or `features`", "gpus my-gpu-set");
    }
    let mut sound = cursor.finish(context.sink);
    let gpu_sets = sets.into_iter().flat_map(|set| gpu_sets(set, &mut sound, context)).collect();
    let capabilities = capabilities.map(|node| grants::capability_words(node, context));
    let features = features.map(|node| features::lower(node, Imex::Whole, context));
    sound &=
        capabilities.as_ref().is_none_or(Option::is_some) && features.as_ref().is_none_or(Option::is_some);
    let features: Option<Spanned<BTreeSet<Feature>>> = features.flatten();
    let deny = Deny {
        name: name?,
        to,
        gpu_sets,
        capabilities: capabilities.flatten().unwrap_or_default(),
        features: features.map(|features| features.value).unwrap_or_default(),
    };
    sound.then_some(deny)
}

fn gpu_sets(node: &Node, sound: &mut bool, context: &mut Context<'_>) -> Vec<Spanned<String>> {
    let mut cursor = Cursor::open(node, context.sink);
    let gpu_sets = references(Kind::GpuSet, &mut cursor, "gpus my-gpu-set", context);
    *sound &= cursor.finish(context.sink);
    gpu_sets
}
