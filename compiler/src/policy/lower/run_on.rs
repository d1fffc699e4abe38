//! Two nodes on one line without a `;` between them, which KDL reads as one with more arguments: `to a gpus s`.
//!
//! The second is known by its name: a bare word that may begin a node there, with something after it. If it cannot be
//! what it is read as, that is said once, and the two are read as two. If it can, as in a list of patterns, the node
//! is read as KDL reads it, and a warning asks which is meant.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::diag::Sink;
use crate::policy::diags;
use crate::policy::schema::{Count, Form, Value};
use crate::source::{Span, Spanned};
use crate::syntax::{self, Argument, Document, Node};

use super::schema::form_of;

/// How often one line is taken apart: what is left of it is copied each time.
const MOST_ON_A_LINE: usize = 16;

/// The documents with such nodes taken apart; each is reported.
pub(super) fn separate<'d>(
    documents: &'d [Document],
    forms: &[Form],
    sink: &mut Sink,
) -> Vec<Cow<'d, Document>> {
    let mut keywords = Keywords::default();
    forms.iter().for_each(|form| keywords.add(form));
    let mut defined = None;
    let mut separated = Vec::with_capacity(documents.len());
    for document in documents {
        if !document.nodes.iter().any(|node| is_suspicious(node, &keywords)) {
            separated.push(Cow::Borrowed(document));
            continue;
        }
        let defined = defined.get_or_insert_with(|| Defined::of(documents));
        let nodes = apart(document.nodes.clone(), &forms.iter().collect::<Vec<_>>(), defined, sink);
        separated.push(Cow::Owned(Document { nodes, broken: document.broken.clone(), ..*document }));
    }
    separated
}

/// Names that a reference can mean.
struct Defined<'d> {
    names: BTreeSet<&'d str>,
    /// Anything may be defined where nothing could be read.
    unread: bool,
}

impl<'d> Defined<'d> {
    fn of(documents: &'d [Document]) -> Self {
        let nodes = documents.iter().flat_map(|document| &document.nodes);
        let broken = documents.iter().flat_map(|document| &document.broken);
        let mut names: BTreeSet<&str> = broken.filter_map(|broken| broken.name.as_deref()).collect();
        for node in nodes {
            let containers = node.children().iter().filter(|child| child.name.value == "container");
            let first = containers.chain([node]).filter_map(|node| node.arguments.first());
            names.extend(first.filter_map(|argument| match &argument.value.value {
                syntax::Value::String(name) => Some(name.as_str()),
                _ => None,
            }));
        }
        Self { names, unread: documents.iter().any(|document| document.unread) }
    }
}

/// Names of nodes, by their lengths: every word of a policy is looked for.
#[derive(Default)]
struct Keywords(Vec<Vec<&'static str>>);

impl Keywords {
    fn add(&mut self, form: &Form) {
        if self.0.len() <= form.name.len() {
            self.0.resize(form.name.len() + 1, Vec::new());
        }
        if let Some(names) = self.0.get_mut(form.name.len()).filter(|names| !names.contains(&form.name)) {
            names.push(form.name);
        }
        form.children.iter().for_each(|child| self.add(child));
    }

    fn has(&self, word: &str) -> bool {
        self.0.get(word.len()).is_some_and(|names| names.contains(&word))
    }
}

/// Whether any word of a node begins another somewhere in the language: most policies have none.
fn is_suspicious(node: &Node, keywords: &Keywords) -> bool {
    let starts = |argument: &Argument| word(argument).is_some_and(|word| keywords.has(word));
    node.arguments.iter().any(starts) || node.children().iter().any(|child| is_suspicious(child, keywords))
}

/// The guard bounds how deep nodes stand.
fn apart(nodes: Vec<Node>, forms: &[&Form], defined: &Defined<'_>, sink: &mut Sink) -> Vec<Node> {
    let mut all = Vec::with_capacity(nodes.len());
    for mut node in nodes {
        for _ in 0..MOST_ON_A_LINE {
            let Some((first, rest)) = second(&node, forms, defined).and_then(|at| split(&node, at)) else {
                break;
            };
            if form_of(&node, forms).is_some_and(|form| is_free_text(&node, form)) {
                sink.push(diags::perhaps_run_on(&first, &rest));
                break;
            }
            sink.push(diags::run_on(&first, &rest));
            all.push(first);
            node = rest;
        }
        if let (Some(form), Some(children)) = (form_of(&node, forms), node.children.take()) {
            let mut below: Vec<&Form> = form.children.iter().collect();
            below.extend(form.nests.then_some(form));
            node.children = Some(apart(children.into_vec(), &below, defined, sink).into_boxed_slice());
        }
        all.push(node);
    }
    all
}

/// Whether all that a node has may be what it is read as, being texts of which nobody knows better.
fn is_free_text(node: &Node, form: &Form) -> bool {
    let is_text = |(at, argument): (usize, &Argument)| {
        let free = matches!(slot(form, at), Some(Value::Text | Value::Glob));
        free && matches!(argument.value.value, syntax::Value::String(_)) && argument.annotation.is_none()
    };
    node.properties.is_empty() && node.children.is_none() && node.arguments.iter().enumerate().all(is_text)
}

/// Which argument of a node begins another one.
fn second(node: &Node, forms: &[&Form], defined: &Defined<'_>) -> Option<usize> {
    let form = form_of(node, forms)?;
    let follows = |argument: &Argument| {
        let before = |span: Span| span.start() < argument.value.span.start();
        node.arguments.iter().any(|other| before(other.value.span))
            || node.properties.iter().any(|property| before(property.key.span))
    };
    node.arguments.iter().enumerate().position(|(at, argument)| {
        let word = word(argument).filter(|word| forms.iter().any(|form| form.name == *word));
        word.is_some_and(|word| {
            follows(argument) && holds(node, argument) && !is_value(word, slot(form, at), defined)
        })
    })
}

/// Whether a node that begins with this argument has anything in it: hardly a node has not.
fn holds(node: &Node, argument: &Argument) -> bool {
    let after = |span: Span| span.start() > argument.value.span.start();
    node.children.is_some()
        || node.arguments.iter().any(|other| after(other.value.span))
        || node.properties.iter().any(|property| after(property.key.span))
}

/// What an argument at this place is read as; nothing if there is one too many.
fn slot(form: &Form, at: usize) -> Option<&Value> {
    let list =
        form.arguments.iter().position(|argument| matches!(argument.count, Count::AtLeastOne | Count::Any));
    let at = list.map_or(at, |list| at.min(list));
    form.arguments.get(at).map(|argument| &argument.value)
}

fn is_value(word: &str, slot: Option<&Value>, defined: &Defined<'_>) -> bool {
    match slot {
        Some(Value::Word { words } | Value::IntegerOrWord { words, .. }) => words.contains(&word),
        Some(Value::Reference { .. }) => defined.unread || defined.names.contains(word),
        _ => false,
    }
}

/// An argument that is a word without quotes.
fn word(argument: &Argument) -> Option<&str> {
    match &argument.value.value {
        syntax::Value::String(text)
            if argument.annotation.is_none()
                && text.len() == argument.value.span.end() - argument.value.span.start() =>
        {
            Some(text)
        }
        _ => None,
    }
}

/// The node up to that argument, and the one that begins with it.
fn split(node: &Node, at: usize) -> Option<(Node, Node)> {
    let begin = node.arguments.get(at)?;
    let name = Spanned::new(word(begin)?.into(), begin.value.span);
    let place = name.span.start();
    let (before, after): (Vec<_>, Vec<_>) =
        node.properties.iter().cloned().partition(|property| property.key.span.start() < place);
    let rest = Node {
        span: node.span.from(place),
        annotation: None,
        name,
        arguments: node.arguments.iter().skip(at + 1).cloned().collect(),
        properties: after.into(),
        children: node.children.clone(),
    };
    let arguments: Box<[Argument]> = node.arguments.iter().take(at).cloned().collect();
    let mut first = Node { arguments, properties: before.into(), children: None, ..node.clone() };
    let ends = first.arguments.iter().map(|argument| argument.value.span.end());
    let ends = ends.chain(first.properties.iter().map(|property| property.value.span.end()));
    first.span = first.span.to(ends.max()?);
    Some((first, rest))
}
