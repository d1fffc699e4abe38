//! Whether two documents say the same, wherever it stands.

use super::{Annotation, Document, Node, Value};

pub(super) fn documents(one: &Document, other: &Document) -> bool {
    one.broken == other.broken && one.unread == other.unread && nodes(&one.nodes, &other.nodes)
}

fn nodes(one: &[Node], other: &[Node]) -> bool {
    pairwise(one, other, node)
}

/// Whether two nodes say the same.
pub(crate) fn node(one: &Node, other: &Node) -> bool {
    let blocks = match (&one.children, &other.children) {
        (Some(one), Some(other)) => nodes(one, other),
        (one, other) => one.is_none() && other.is_none(),
    };
    let arguments = pairwise(&one.arguments, &other.arguments, |one, other| {
        annotation(&one.annotation, &other.annotation) && value(&one.value.value, &other.value.value)
    });
    let properties = pairwise(&one.properties, &other.properties, |one, other| {
        one.key.value == other.key.value
            && annotation(&one.annotation, &other.annotation)
            && value(&one.value.value, &other.value.value)
    });
    let head = one.name.value == other.name.value && annotation(&one.annotation, &other.annotation);
    head && arguments && properties && blocks
}

fn annotation(one: &Option<Annotation>, other: &Option<Annotation>) -> bool {
    one.as_ref().map(|word| &word.value) == other.as_ref().map(|word| &word.value)
}

fn value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        // `#nan` is itself.
        (Value::Float(one), Value::Float(other)) => one.to_bits() == other.to_bits(),
        _ => one == other,
    }
}

fn pairwise<T>(one: &[T], other: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
}
