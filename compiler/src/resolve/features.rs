//! Features on one host: what it has for each that is granted, or why it cannot give it.

use std::collections::BTreeSet;

use gpupol_plan::feature::Feature;

use super::diags;
use crate::diag::Sink;
use crate::policy::Grant;
use crate::topology::{DeviceNode, Fact, FeatureFile, Topology};

/// A feature that a tenant may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedFeature<'a> {
    /// Which; never IMEX as a whole.
    pub feature: Feature,
    /// What the host has for it, or why it cannot be given there.
    pub parts: Result<FeatureParts<'a>, String>,
}

/// What a host has for a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureParts<'a> {
    /// Its nodes; at least one.
    pub nodes: Vec<&'a DeviceNode>,
    /// Files and directories beside them.
    pub files: &'a [FeatureFile],
}

/// What the host has for each of the features.
pub(super) fn all<'a>(features: &BTreeSet<Feature>, topology: &'a Topology) -> Vec<GrantedFeature<'a>> {
    let granted = |feature: &Feature| GrantedFeature { feature: *feature, parts: parts(*feature, topology) };
    features.iter().map(granted).collect()
}

/// Reports the features of a grant that the host cannot give, those for one reason together.
pub(super) fn report(rule: &Grant, topology: &Topology, name: &str, sink: &mut Sink) {
    let Some(features) = &rule.features else { return };
    let mut reported = BTreeSet::new();
    for granted in all(&features.value, topology) {
        let (feature, Err(why)) = (granted.feature, granted.parts) else { continue };
        if reported.insert((feature.whole(), why.clone())) {
            sink.push(diags::feature_lacking(rule, features.span, (feature, &why), name));
        }
    }
}

fn parts(feature: Feature, topology: &Topology) -> Result<FeatureParts<'_>, String> {
    let whole = feature.whole();
    let nodes = match topology.features.get(&whole) {
        Some(Fact::Known(nodes)) => nodes,
        Some(Fact::Absent) => return Err("the host does not have it".to_owned()),
        Some(Fact::Unknown(why)) => return Err(format!("whether the host has it is unknown ({why})")),
        None => return Err("whether the host has it is unknown (the topology does not say)".to_owned()),
    };
    let wanted = |node: &&DeviceNode| match feature {
        Feature::Imex(Some(channel)) => node.minor == channel,
        _ => true,
    };
    let nodes: Vec<&DeviceNode> = nodes.iter().filter(wanted).collect();
    if nodes.is_empty() {
        return Err(match feature {
            Feature::Imex(Some(_)) => "the host does not have this channel".to_owned(),
            _ => "the host does not have it".to_owned(),
        });
    }
    let files = topology.feature_files.get(&whole).map(Vec::as_slice).unwrap_or_default();
    Ok(FeatureParts { nodes, files })
}
