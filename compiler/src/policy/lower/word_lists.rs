//! Words after commas, as `NVIDIA_DRIVER_CAPABILITIES` has them.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;

use crate::diag::Sink;
use crate::policy::diags;
use crate::source::Spanned;
use crate::syntax::cursor::{Cursor, suggestion};

/// What of `gds,imex/0` is known; the rest is reported.
pub(super) fn features(
    cursor: &mut Cursor<'_>,
    list: &Spanned<String>,
    sink: &mut Sink,
) -> BTreeSet<Feature> {
    let mut features = BTreeSet::new();
    for name in list.value.split(',').filter(|_| list.value != "none") {
        match Feature::from_name(name) {
            Some(feature) => _ = features.insert(feature),
            None => {
                let known = Feature::ALL.iter().map(|feature| feature.word());
                let finding = diags::unknown_feature(name, list.span);
                cursor.blame(sink, finding.maybe_help(suggestion(name, known)));
            }
        }
    }
    features
}

/// `compute,utility`
pub(super) fn capabilities(
    cursor: &mut Cursor<'_>,
    list: &Spanned<String>,
    sink: &mut Sink,
) -> Spanned<BTreeSet<Capability>> {
    let mut capabilities = BTreeSet::new();
    for word in list.value.split(',') {
        match Capability::from_name(word) {
            Some(capability) => {
                capabilities.insert(capability);
            }
            None => {
                let known = Capability::ALL.iter().map(|capability| capability.name());
                let finding = diags::unknown_capability(word, list.span);
                cursor.blame(sink, finding.maybe_help(suggestion(word, known)));
            }
        }
    }
    Spanned::new(capabilities, list.span)
}
