//! `features`: what containers may have beside devices.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::feature::{Feature, channel};

use crate::diag::Finding;
use crate::policy::diags;
use crate::source::{Span, Spanned};
use crate::syntax::Node;
use crate::syntax::cursor::{Cursor, one_of};

use super::Context;

pub(super) const EXAMPLE: &str = "features gds";
/// A plan lists each channel, and NVLink domains are given a few.
const MOST_CHANNELS: usize = 256;

/// Whether `imex` may stand without `channels=`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Imex {
    /// Each channel that is given must be named.
    Named,
    /// Without `channels=` it is every one.
    Whole,
}

/// What one `features` node says.
pub(super) fn lower(
    node: &Node,
    imex: Imex,
    context: &mut Context<'_>,
) -> Option<Spanned<BTreeSet<Feature>>> {
    let mut cursor = Cursor::open(node, context.sink);
    let mut words: BTreeMap<Feature, Span> = BTreeMap::new();
    let known = Feature::ALL.map(|feature| (feature.word(), feature));
    for word in cursor.strings("a feature", EXAMPLE, context.sink) {
        let feature = cursor.accept(one_of(&word, "feature", &known), context.sink);
        if let Some(first) = feature.and_then(|feature| words.insert(feature, word.span)) {
            cursor.blame(context.sink, diags::twice("feature", &word, first));
        }
    }
    let whole = words.contains_key(&Feature::Imex(None));
    let channels = cursor.string_property("channels", context.sink);
    if let (Some(channels), false) = (&channels, whole) {
        let finding = diags::contradiction(channels.span, "of no feature", "only `imex` has channels");
        cursor.blame(context.sink, finding.help("add `imex`, or remove `channels=`"));
    }
    if whole && imex == Imex::Named && node.properties.is_empty() {
        cursor.lacks("the channels of `imex`", "features imex channels=\"0\"");
    }
    let mut features: BTreeSet<Feature> = words.into_keys().collect();
    if let Some(listed) = &channels {
        features.remove(&Feature::Imex(None));
        features.extend(cursor.accept(self::channels(listed), context.sink).into_iter().flatten());
    }
    cursor.finish(context.sink).then_some(Spanned::new(features, node.span))
}

/// `0,2-5`
fn channels(listed: &Spanned<String>) -> Result<BTreeSet<Feature>, Finding> {
    let mut channels = BTreeSet::new();
    for part in listed.value.split(',') {
        let range = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (channel(range.0), channel(range.1)) else {
            return Err(diags::no_channels(part, listed.span));
        };
        if first > last {
            return Err(diags::no_channels(part, listed.span));
        }
        let room = MOST_CHANNELS.saturating_add(1).saturating_sub(channels.len());
        channels.extend((first..=last).take(room).map(|number| Feature::Imex(Some(number))));
        if channels.len() > MOST_CHANNELS {
            return Err(diags::too_many_channels(MOST_CHANNELS, listed.span));
        }
    }
    Ok(channels)
}
