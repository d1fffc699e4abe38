//! `test`: containers, and what must become of them.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::feature::Feature;
use gpupol_plan::refusal::Reason;

use crate::policy::{Container, Expect, Expected, Outcome, Test, Who, diags};
use crate::source::{Span, Spanned};
use crate::syntax::Node;
use crate::syntax::cursor::{Cursor, one_of};

use super::names::Kind;
use super::{Context, containers, definition, sharing, word_lists};

/// Every test that could be read, in the order of their places.
pub(super) fn lower(nodes: &[&Node], context: &mut Context<'_>) -> Vec<Test> {
    nodes.iter().filter_map(|node| test(node, context)).collect()
}

fn test(node: &Node, context: &mut Context<'_>) -> Option<Test> {
    let mut cursor = Cursor::open(node, context.sink);
    let name = definition(Kind::Test, &mut cursor, context);
    let on = cursor.string_property("on", context.sink).into_iter().collect();
    let container_nodes: Vec<&Node> = cursor.children("container").collect();
    let expect_nodes: Vec<&Node> = cursor.children("expect").collect();
    if container_nodes.is_empty() {
        cursor.lacks("a container", "container tenant=my-tenant { request gpus=1 }");
    }
    if expect_nodes.is_empty() {
        cursor.lacks("an expectation", "expect gpus=1");
    }
    let containers: Vec<Container> =
        container_nodes.iter().filter_map(|node| container(node, context)).collect();
    let expectations: Vec<Expect> = expect_nodes.iter().filter_map(|node| expect(node, context)).collect();
    let mut sound = cursor.finish(context.sink);
    sound &= names_once(&containers, context);
    if !containers.is_empty() && containers.len() == container_nodes.len() {
        sound &= matched(&containers, &expectations, context);
    }
    let complete = containers.len() == container_nodes.len() && expectations.len() == expect_nodes.len();
    let test = Test { name: name?, on, containers, expectations };
    (sound && complete).then_some(test)
}

fn container(node: &Node, context: &mut Context<'_>) -> Option<Container> {
    let container = containers::lower(node, context.sink)?;
    if let Who::Tenant(tenant) = &container.who.value {
        let name = Spanned::new(tenant.clone(), container.who.span);
        context.names.resolve(Kind::Tenant, &name, context.sink);
    }
    Some(container)
}

fn names_once(containers: &[Container], context: &mut Context<'_>) -> bool {
    let mut first: BTreeMap<&str, Span> = BTreeMap::new();
    let mut sound = true;
    for name in containers.iter().filter_map(|container| container.name.as_ref()) {
        if let Some(span) = first.insert(&name.value, name.span) {
            context.sink.push(diags::twice("container", name, span));
            sound = false;
        }
    }
    sound
}

/// Whether every expectation has a container of its own; an unnamed one takes the next that has none.
fn matched(containers: &[Container], expectations: &[Expect], context: &mut Context<'_>) -> bool {
    let names: Vec<&str> =
        containers.iter().filter_map(|container| Some(container.name.as_ref()?.value.as_str())).collect();
    let mut taken: BTreeMap<&str, Span> = BTreeMap::new();
    let mut sound = true;
    for name in expectations.iter().filter_map(|expect| expect.container.as_ref()) {
        if !names.contains(&name.value.as_str()) {
            context.sink.push(diags::unresolved("container", name, names.iter().copied()));
            sound = false;
        } else if let Some(first) = taken.insert(&name.value, name.span) {
            context.sink.push(diags::twice("expectation of", name, first));
            sound = false;
        }
    }
    let free = containers.len().saturating_sub(taken.len());
    let unnamed = expectations.iter().filter(|expect| expect.container.is_none());
    if let (true, Some(surplus)) = (sound, unnamed.clone().nth(free)) {
        context.sink.push(diags::surplus_expectation(surplus.span));
        return false;
    }
    sound
}

fn expect(node: &Node, context: &mut Context<'_>) -> Option<Expect> {
    let mut cursor = Cursor::open(node, context.sink);
    let mut words = Vec::new();
    while let Some(argument) = cursor.argument() {
        words.extend(cursor.as_string(&argument.value, context.sink));
    }
    let denied = words.iter().position(|word| word.value == "denied").map(|at| words.remove(at));
    let container = words.first().cloned();
    if let Some(surplus) = words.get(1) {
        let finding = diags::surplus_word(surplus);
        cursor.blame(context.sink, finding);
    }
    let outcome = match &denied {
        Some(denied) => denied_outcome(&mut cursor, denied, context),
        None => granted_outcome(&mut cursor, context),
    };
    cursor.finish(context.sink).then_some(Expect { span: node.span, container, outcome })
}

/// `gds,imex/0`, or `none`.
fn given_features(
    cursor: &mut Cursor<'_>,
    list: &Spanned<String>,
    context: &mut Context<'_>,
) -> Spanned<BTreeSet<Feature>> {
    let features = word_lists::features(cursor, list, context.sink);
    if features.contains(&Feature::Imex(None)) {
        let finding = diags::bad_value(list.span, "of which channel?", "`imex` is given channel by channel");
        cursor.blame(context.sink, finding.help("`features=\"imex/0\"`"));
    }
    Spanned::new(features, list.span)
}

fn denied_outcome(cursor: &mut Cursor<'_>, denied: &Spanned<String>, context: &mut Context<'_>) -> Outcome {
    for key in ["grant", "gpus", "sharing", "devices", "capabilities", "features"] {
        if let Some(property) = cursor.property(key, context.sink) {
            let message = format!("a container that is denied has no `{key}`");
            let finding = diags::contradiction(property.key.span, "nothing of this", message);
            cursor.blame(context.sink, finding.and(denied.span, "denied here").help("remove one of the two"));
        }
    }
    let reason = cursor.string_property("reason", context.sink);
    if let Some(reason) = &reason {
        let known = Reason::ALL.map(|reason| (reason.slug(), ()));
        cursor.accept(one_of(reason, "reason of a refusal", &known), context.sink);
    }
    Outcome::Denied { reason }
}

fn granted_outcome(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Outcome {
    let grant = cursor.string_property("grant", context.sink);
    if let Some(grant) = &grant {
        context.names.resolve(Kind::Grant, grant, context.sink);
    }
    let gpus = cursor.number_property("gpus", 0, context.sink);
    let sharing = cursor.string_property("sharing", context.sink);
    if let Some(sharing) = &sharing {
        cursor.accept(one_of(sharing, "form of sharing", &sharing::FORMS), context.sink);
    }
    let devices = cursor.string_property("devices", context.sink);
    let capabilities = cursor.string_property("capabilities", context.sink);
    let capabilities = capabilities.map(|list| word_lists::capabilities(cursor, &list, context.sink));
    let features = cursor.string_property("features", context.sink);
    let features = features.map(|list| given_features(cursor, &list, context));
    if cursor.node().properties.is_empty() {
        cursor.lacks("anything that is expected", "expect gpus=1");
    }
    Outcome::Granted(Box::new(Expected { grant, gpus, sharing, devices, capabilities, features }))
}
