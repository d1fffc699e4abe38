//! From nodes as written to a policy as meant.
//!
//! All files are one policy and their order means nothing: names are collected first, then every definition is read on
//! its own. A definition that could not be read still defines its name, so that one fault is one finding.

use std::borrow::Cow;

use gpupol_plan::automaton::Automaton;

use crate::diag::Sink;
use crate::policy::{Container, Policy, automaton, diags, overlap};
use crate::source::Spanned;
use crate::syntax::cursor::{Cursor, unknown_node};
use crate::syntax::{Document, Node};

mod allowances;
mod asserts;
mod containers;
mod denies;
mod elsewhere;
mod engines;
mod features;
mod gpu_sets;
mod grants;
mod identities;
mod isolation;
mod labels;
mod layouts;
mod limits;
mod mig_profiles;
mod names;
mod plans;
mod policy_tests;
mod quantities;
mod require;
mod run_on;
mod schema;
mod selectors;
mod settings;
mod sharing;
mod tenants;
mod unenforced;
mod versions;
mod when;
mod word_lists;

use names::{Kind, Names};
pub use schema::schema;

/// The top-level nodes that this version reads.
const KNOWN: [&str; 10] =
    ["policy", "tenant", "trust", "gpu-set", "grant", "deny", "layout", "test", "assert", "allow-finding"];

/// What reading a definition needs: the names of all others, and where findings go.
struct Context<'s> {
    names: Names<'s>,
    sink: &'s mut Sink,
}

/// The policy that all `documents` are together; none if there are errors, which are all in `sink` then.
pub fn lower(documents: &[Document], sink: &mut Sink) -> Option<Policy> {
    part(documents, sink).filter(|_| !sink.has_errors())
}

/// What could be read of the policy that all `documents` are together; none if its settings could not. A definition with
/// an error is left out of it, so it says nothing of what anybody gets: it is for findings about the rest.
pub fn part(documents: &[Document], sink: &mut Sink) -> Option<Policy> {
    let schema = schema();
    let separated = run_on::separate(documents, &schema.policy, sink);
    let mut documents: Vec<&Document> = separated.iter().map(Cow::as_ref).collect();
    documents.sort_by_key(|document| document.source);
    let names = Names::collect(&documents, sink);
    let nodes: Vec<&Node> = documents.iter().flat_map(|document| &document.nodes).collect();
    unknown_nodes(&nodes, sink);
    let policy_broken = documents
        .iter()
        .any(|document| document.unread || document.broken.iter().any(|broken| broken.keyword == "policy"));
    let mut context = Context { names, sink };
    let settings = settings::lower(&named(&nodes, "policy"), policy_broken, &mut context);
    let tenants = tenants::lower(&named(&nodes, "tenant"), &named(&nodes, "trust"), &mut context);
    let gpu_sets = gpu_sets::lower(&named(&nodes, "gpu-set"), &mut context);
    let mut grants = grants::lower(&named(&nodes, "grant"), &gpu_sets, &mut context);
    let denies = denies::lower(&named(&nodes, "deny"), &mut context);
    let layouts = layouts::lower(&named(&nodes, "layout"), &gpu_sets, &mut context);
    let tests = policy_tests::lower(&named(&nodes, "test"), &mut context);
    let asserts = asserts::lower(&named(&nodes, "assert"), &mut context);
    let allowances = allowances::lower(&named(&nodes, "allow-finding"), &mut context);
    context.names.unused(&nodes, context.sink);
    elsewhere::explain(nodes.iter().copied(), &schema, sink);
    plans::bound(&mut grants, sink);
    limits::report(&tenants, &grants, sink);
    unenforced::report(&tenants, &grants, sink);
    overlap::tenants::report(&tenants, sink);
    overlap::selectors::report(&gpu_sets, sink);
    overlap::grants::report(&tenants, &grants, sink);
    denies::report_emptied(&grants, &denies, sink);
    if !sink.has_errors() {
        overlap::denies::report(&denies, sink);
    }
    if let Some(settings) = &settings {
        isolation::report(settings, &tenants, &grants, &gpu_sets, &asserts, sink);
    }
    // Of a policy with errors nothing is written, and its patterns may be what is wrong with it.
    let automaton = if sink.has_errors() { Automaton::default() } else { automaton::of(&tenants, sink) };
    overlap::everybody::report(&tenants, sink);
    Some(Policy {
        settings: settings?,
        tenants,
        gpu_sets,
        grants,
        denies,
        layouts,
        tests,
        asserts,
        allowances,
        automaton,
    })
}

/// The container of a workload file: exactly one `container` node. Names of tenants are not resolved, for they stand in
/// the policy; none if there are errors.
pub fn container(document: &Document, sink: &mut Sink) -> Option<Container> {
    let schema = schema();
    let separated = run_on::separate(std::slice::from_ref(document), &schema.workload, sink);
    let document = separated.first()?;
    let container = only_container(document, sink);
    elsewhere::explain(document.nodes.iter(), &schema, sink);
    container.filter(|_| !sink.has_errors())
}

fn only_container(document: &Document, sink: &mut Sink) -> Option<Container> {
    for node in document.nodes.iter().filter(|node| node.name.value != "container") {
        sink.push(unknown_node(&node.name, "in a workload", ["container"].into_iter()));
    }
    let mut containers = document.nodes.iter().filter(|node| node.name.value == "container");
    let first = containers.next();
    if let (Some(first), Some(second)) = (first, containers.next()) {
        sink.push(diags::second_container(second.name.span, first.name.span));
    }
    if first.is_none() && !sink.has_errors() {
        sink.push(diags::no_container());
    }
    containers::lower(first?, sink)
}

fn named<'n>(nodes: &[&'n Node], name: &str) -> Vec<&'n Node> {
    nodes.iter().filter(|node| node.name.value == name).copied().collect()
}

fn unknown_nodes(nodes: &[&Node], sink: &mut Sink) {
    for node in nodes {
        if !KNOWN.contains(&node.name.value.as_str()) {
            sink.push(unknown_node(&node.name, "in a policy", KNOWN.into_iter()));
        }
    }
}

/// The name that a definition gives itself.
fn definition(kind: Kind, cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Spanned<String>> {
    let word = &cursor.node().name.value;
    let name = cursor.required("its name", format_args!("{word} my-{word}"), context.sink)?;
    if !names::is_valid(kind, &name.value) {
        let bad = if kind == Kind::Test { diags::bad_sentence } else { diags::bad_name };
        cursor.blame(context.sink, bad(kind.word(), &name));
    }
    Some(name)
}

/// Names of `kind` after each other; each defined, none twice. What fails is left out.
fn references(
    kind: Kind,
    cursor: &mut Cursor<'_>,
    example: &str,
    context: &mut Context<'_>,
) -> Vec<Spanned<String>> {
    if cursor.node().arguments.is_empty() {
        context.names.unsaid(kind);
    }
    let names = cursor.strings(format_args!("the name of a {}", kind.word()), example, context.sink);
    sound_ones(kind, names, cursor, context)
}

/// Names of `kind`, each defined, none twice; nothing if there is another among them.
fn bound(
    kind: Kind,
    names: Vec<Spanned<String>>,
    cursor: &mut Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<Spanned<String>>> {
    let all = names.len();
    Some(sound_ones(kind, names, cursor, context)).filter(|sound| sound.len() == all)
}

fn sound_ones(
    kind: Kind,
    names: Vec<Spanned<String>>,
    cursor: &mut Cursor<'_>,
    context: &mut Context<'_>,
) -> Vec<Spanned<String>> {
    let mut references: Vec<Spanned<String>> = Vec::with_capacity(names.len());
    for name in names {
        match references.iter().find(|other| other.value == name.value) {
            Some(first) => cursor.blame(context.sink, diags::twice_in_list(kind.word(), &name, first.span)),
            None if context.names.resolve(kind, &name, context.sink) => references.push(name),
            None => {}
        }
    }
    references
}
