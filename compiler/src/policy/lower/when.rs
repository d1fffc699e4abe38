//! `when`: for which of a tenant's workloads a grant is.

use std::collections::BTreeMap;

use crate::policy::{Clause, Engine, Glob, diags};
use crate::source::{Span, Spanned};
use crate::syntax::Node;
use crate::syntax::cursor::Cursor;

use super::{Context, engines};

/// Reads one condition.
type Reader = fn(&mut Cursor<'_>, &mut Context<'_>) -> Vec<Spanned<Clause>>;

const READERS: [(&str, Reader); 3] = [("label", labels), ("image", image), ("engine", engine)];

/// All conditions, kind by kind; none if one of them could not be read.
pub(super) fn lower(node: &Node, context: &mut Context<'_>) -> Option<Vec<Spanned<Clause>>> {
    let mut cursor = Cursor::open(node, context.sink);
    if node.children().is_empty() {
        cursor.lacks("a condition", "when { label stage=train }");
    }
    let mut sound = true;
    let mut clauses = Vec::with_capacity(node.children().len());
    for (name, reader) in READERS {
        for child in cursor.children(name) {
            let mut inner = Cursor::open(child, context.sink);
            clauses.extend(reader(&mut inner, context));
            sound &= inner.finish(context.sink);
        }
    }
    sound &= cursor.finish(context.sink);
    sound.then_some(clauses)
}

/// One clause for each key of the line; its values are alternatives.
fn labels(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Vec<Spanned<Clause>> {
    let mut keys: Vec<(String, Span, Vec<Glob>)> = Vec::with_capacity(cursor.node().properties.len());
    for (key, value) in cursor.pairs("a key and a value", "label stage=train", context.sink) {
        let span = Span::new(key.span.source, key.span.start()..value.span.end());
        let glob = Glob(value.value);
        match keys.iter_mut().find(|(known, _, _)| *known == key.value) {
            Some((_, _, values)) => values.push(glob),
            None => keys.push((key.value, span, vec![glob])),
        }
    }
    keys.into_iter().map(|(key, span, values)| Spanned::new(Clause::Label { key, values }, span)).collect()
}

fn image(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Vec<Spanned<Clause>> {
    let images = cursor.strings("an image", "image \"registry.example.org/team/**\"", context.sink);
    let globs = images.into_iter().map(|image| Glob(image.value)).collect();
    vec![Spanned::new(Clause::Image(globs), cursor.node().span)]
}

fn engine(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Vec<Spanned<Clause>> {
    let mut engines: BTreeMap<Engine, Span> = BTreeMap::new();
    for word in cursor.strings("an engine", "engine kubernetes", context.sink) {
        let engine = cursor.accept(engines::engine(&word), context.sink);
        if let Some(first) = engine.and_then(|engine| engines.insert(engine, word.span)) {
            cursor.blame(context.sink, diags::twice_in_list("engine", &word, first));
        }
    }
    vec![Spanned::new(Clause::Engine(engines.into_keys().collect()), cursor.node().span)]
}
