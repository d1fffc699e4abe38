//! Keys of labels, and the variables that carry them where there are no annotations.

use std::collections::BTreeMap;

use gpupol_plan::label;

use crate::diag::Sink;
use crate::policy::{Clause, Grant, diags};
use crate::source::Span;

/// Reports keys that differ and become one variable.
pub(super) fn collisions(grants: &BTreeMap<String, Grant>, sink: &mut Sink) {
    let mut keys: Vec<(Span, &str)> = grants
        .values()
        .flat_map(|grant| &grant.when)
        .filter_map(|clause| match &clause.value {
            Clause::Label { key, .. } => Some((clause.span, key.as_str())),
            Clause::Image(_) | Clause::Engine(_) => None,
        })
        .collect();
    keys.sort_unstable();
    let mut first: BTreeMap<String, Vec<(&str, Span)>> = BTreeMap::new();
    for (span, key) in keys {
        let variable = label::variable(key);
        let known = first.entry(variable.clone()).or_default();
        if known.iter().any(|(other, _)| *other == key) {
            continue;
        }
        if let Some((other, place)) = known.first() {
            sink.push(diags::labels_collide(key, span, other, *place, &variable));
        }
        known.push((key, span));
    }
}
