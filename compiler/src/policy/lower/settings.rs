//! The `policy` node.

use crate::policy::{Auditing, OnBypass, OnDenied, RequestIndices, Settings, diags};
use crate::source::Spanned;
use crate::syntax::cursor::{Cursor, one_of};
use crate::syntax::{Node, Value};

use super::Context;

/// The version of the language.
pub(super) const VERSION: u32 = 1;
/// The words of `on-denied`.
pub(super) const ON_DENIED: [(&str, OnDenied); 2] =
    [("refuse", OnDenied::Refuse), ("run-without-gpu", OnDenied::RunWithoutGpu)];
/// The words of `request-indices`.
pub(super) const REQUEST_INDICES: [(&str, RequestIndices); 3] =
    [("auto", RequestIndices::Auto), ("host", RequestIndices::Host), ("count", RequestIndices::Count)];

/// The words of `on-bypass`.
pub(super) const ON_BYPASS: [(&str, OnBypass); 3] =
    [("contain", OnBypass::Contain), ("refuse", OnBypass::Refuse), ("report", OnBypass::Report)];
/// The words of `audit`.
pub(super) const AUDIT: [(&str, Auditing); 2] =
    [("required", Auditing::Required), ("best-effort", Auditing::BestEffort)];

/// The settings of exactly one node; `broken`: there may be another one that could not be read.
pub(super) fn lower(nodes: &[&Node], broken: bool, context: &mut Context<'_>) -> Option<Settings> {
    let Some((first, others)) = nodes.split_first() else {
        if !broken {
            context.sink.push(diags::no_policy());
        }
        return None;
    };
    for other in others {
        context.sink.push(diags::second_policy(other, first));
    }
    settings(first, context)
}

fn settings(node: &Node, context: &mut Context<'_>) -> Option<Settings> {
    let mut cursor = Cursor::open(node, context.sink);
    version(&mut cursor, context);
    let topologies = cursor.children("topology").flat_map(|child| topology(child, context)).collect();
    let on_denied = word(&mut cursor, "on-denied", &ON_DENIED, context);
    let request_indices = word(&mut cursor, "request-indices", &REQUEST_INDICES, context);
    let on_bypass = word(&mut cursor, "on-bypass", &ON_BYPASS, context);
    let audit = word(&mut cursor, "audit", &AUDIT, context);
    let sound = cursor.finish(context.sink);
    sound.then_some(Settings {
        span: node.span,
        topologies,
        on_denied: on_denied.map(|word| word.value).unwrap_or_default(),
        request_indices: request_indices.map(|word| word.value).unwrap_or_default(),
        on_bypass: on_bypass.unwrap_or_else(|| Spanned::new(OnBypass::default(), node.span)),
        audit: audit.map(|word| word.value).unwrap_or_default(),
    })
}

fn version(cursor: &mut Cursor<'_>, context: &mut Context<'_>) {
    match cursor.property("version", context.sink).map(|property| &property.value) {
        None => cursor.lacks("its version", "policy version=1"),
        Some(value) if value.value == Value::Integer(VERSION.into()) => {}
        Some(value) => cursor.blame(context.sink, diags::unknown_version(value.span)),
    }
}

fn topology(node: &Node, context: &mut Context<'_>) -> Vec<Spanned<String>> {
    let mut cursor = Cursor::open(node, context.sink);
    let names = cursor.strings("a file", "topology \"hosts/*.json\"", context.sink);
    cursor.finish(context.sink);
    names
}

/// The one word of a child.
fn word<T: Copy>(
    outer: &mut Cursor<'_>,
    name: &'static str,
    words: &[(&str, T)],
    context: &mut Context<'_>,
) -> Option<Spanned<T>> {
    let mut cursor = Cursor::open(outer.child(name, context.sink)?, context.sink);
    let example = words.first().map_or_else(String::new, |(word, _)| format!("{name} {word}"));
    let written = cursor.required("its word", &example, context.sink);
    cursor.finish(context.sink);
    let written = written?;
    let value = outer.accept(one_of(&written, &format!("value of `{name}`"), words), context.sink)?;
    Some(Spanned::new(value, written.span))
}
