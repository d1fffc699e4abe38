//! What is said in nodes that could not be read whole: any of it may be the use of a name.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::Sink;
use crate::source::{SourceId, Span};
use crate::syntax::{Node, Value};

/// Every string in those of the top-level `nodes` that an error points into, their own names among them.
pub(super) fn strings<'n>(nodes: &[&'n Node], sink: &Sink) -> BTreeSet<&'n str> {
    if !sink.has_errors() {
        return BTreeSet::new();
    }
    let places: BTreeMap<(SourceId, usize), &'n Node> =
        nodes.iter().map(|node| ((node.span.source, node.span.start()), *node)).collect();
    let around = |span: &Span| {
        let before = places.range(..=(span.source, span.start())).next_back();
        before.map(|(_, node)| *node).filter(|node| {
            node.span.source == span.source && span.start() < node.span.end().max(node.span.start() + 1)
        })
    };
    let labels = sink.errors().flat_map(|finding| &finding.labels);
    let faulty: BTreeMap<Span, &Node> =
        labels.filter_map(|label| around(&label.span)).map(|node| (node.span, node)).collect();
    let mut said = BTreeSet::new();
    faulty.into_values().for_each(|node| add(node, &mut said));
    said
}

/// The guard bounds how deep nodes stand.
fn add<'n>(node: &'n Node, said: &mut BTreeSet<&'n str>) {
    let arguments = node.arguments.iter().map(|argument| &argument.value.value);
    let properties = node.properties.iter().map(|property| &property.value.value);
    for value in arguments.chain(properties) {
        if let Value::String(text) = value {
            // Also `from="a,b"`: whoever mistook the form of a list named what stands in it.
            said.extend(text.split([',', ' ']).chain([text.as_str()]));
        }
    }
    for child in node.children() {
        // `to { a }`: a name that is written like a node.
        said.insert(&child.name.value);
        add(child, said);
    }
}
