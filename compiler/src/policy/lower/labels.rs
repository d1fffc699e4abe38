//! Keys of labels, and the variables that carry them where there are no annotations.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use gpupol_plan::label;

use crate::diag::Sink;
use crate::policy::{Clause, Grant, diags};
use crate::source::Span;

/// Reports keys that differ and become one variable.
pub(super) fn collisions(grants: &BTreeMap<String, Grant>, sink: &mut Sink) {
    let mut places: BTreeMap<&str, Span> = BTreeMap::new();
    for clause in grants.values().flat_map(|grant| &grant.when) {
        if let Clause::Label { key, .. } = &clause.value {
            let place = places.entry(key).or_insert(clause.span);
            *place = clause.span.min(*place);
        }
    }
    let mut keys: Vec<(Span, &str)> = places.into_iter().map(|(key, span)| (span, key)).collect();
    keys.sort_unstable();
    let mut first: BTreeMap<String, (&str, Span)> = BTreeMap::new();
    for (span, key) in keys {
        match first.entry(label::variable(key)) {
            Entry::Occupied(other) => {
                let (known, place) = *other.get();
                sink.push(diags::labels_collide(key, span, known, place, other.key()));
            }
            Entry::Vacant(none) => _ = none.insert((key, span)),
        }
    }
}
