//! Features: what who asks for one gets beside devices.

use std::collections::BTreeSet;

use gpupol_plan::edit::{Bind, Edit, MountOption};
use gpupol_plan::plan;

use super::device_nodes;
use crate::resolve::{FeatureParts, Grant};
use crate::source::Sources;
use crate::topology::FeatureFile;

/// The features of a grant, ascending, each with the place that grants it.
pub(super) fn granted(grant: &Grant, sources: &Sources) -> Vec<plan::GrantedFeature> {
    let Some(written) = &grant.rule.features else { return Vec::new() };
    let rule = super::rule(written.span, grant.rule, sources);
    let granted = grant.features.iter().map(|granted| plan::GrantedFeature {
        feature: granted.feature,
        rule: rule.clone(),
        lacking: granted.parts.as_ref().err().cloned(),
        edits: granted.parts.as_ref().map(edits).unwrap_or_default(),
    });
    granted.collect()
}

fn edits(parts: &FeatureParts) -> Vec<Edit> {
    let nodes = parts.nodes.iter().map(|node| device_nodes::of_feature(node));
    nodes.chain(parts.files.iter().map(bind)).collect()
}

fn bind(file: &FeatureFile) -> Edit {
    Edit::Bind(Bind {
        capabilities: BTreeSet::new(),
        compat32: false,
        optional: false,
        listening: None,
        host_path: file.host_path.clone().unwrap_or_else(|| file.path.clone()),
        container_path: file.path.clone(),
        options: [MountOption::Ro, MountOption::Nosuid, MountOption::Nodev, MountOption::Noexec].into(),
    })
}
