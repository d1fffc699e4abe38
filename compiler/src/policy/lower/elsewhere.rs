//! Names that are not known where they stand, and are known elsewhere in the language: where that is.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Code, Finding, Sink};
use crate::policy::schema::{Form, Schema, When};
use crate::source::Span;
use crate::syntax::Node;

/// How many places are listed.
const LISTED: usize = 5;

/// A name that nobody knows where it stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unknown<'n> {
    /// A node, and the one around it.
    Node { name: &'n str, within: Option<&'n str> },
    /// A property of a node.
    Property { key: &'n str, of: &'n str },
}

/// Says where unknown names belong, if nothing like them is known where they stand.
pub(super) fn explain<'n>(nodes: impl Iterator<Item = &'n Node>, schema: &Schema, sink: &mut Sink) {
    let unknown = |finding: &Finding| {
        matches!(finding.code, Code::UnknownNode | Code::UnknownProperty) && finding.fix.is_none()
    };
    let place = |finding: &Finding| finding.labels.first().map(|label| label.span);
    let places: BTreeSet<Span> = sink.errors().filter(|finding| unknown(finding)).filter_map(place).collect();
    if places.is_empty() {
        return;
    }
    let mut names = BTreeMap::new();
    nodes.for_each(|node| look(node, None, &places, &mut names));
    let mut forms = Vec::new();
    schema.policy.iter().chain(&schema.workload).for_each(|form| add(form, &mut forms));
    // The same mistake is often made many times.
    let mut said: BTreeMap<Unknown<'_>, Option<String>> = BTreeMap::new();
    sink.amend(|finding| {
        let name = place(finding).filter(|_| unknown(finding)).and_then(|place| names.get(&place));
        let help =
            name.and_then(|name| said.entry(*name).or_insert_with(|| help(name, &forms, schema)).clone());
        if help.is_some() {
            finding.help = help;
        }
    });
}

/// The guard bounds how deep nodes stand.
fn look<'n>(
    node: &'n Node,
    within: Option<&'n str>,
    places: &BTreeSet<Span>,
    names: &mut BTreeMap<Span, Unknown<'n>>,
) {
    let name = node.name.value.as_str();
    if places.contains(&node.name.span) {
        names.insert(node.name.span, Unknown::Node { name, within });
    }
    for key in node.properties.iter().map(|property| &property.key) {
        if places.contains(&key.span) {
            names.insert(key.span, Unknown::Property { key: &key.value, of: name });
        }
    }
    node.children().iter().for_each(|child| look(child, Some(name), places, names));
}

fn help(unknown: &Unknown<'_>, forms: &[&Form], schema: &Schema) -> Option<String> {
    let any =
        |name: &str, holds: &dyn Fn(&Form) -> bool| forms.iter().any(|form| form.name == name && holds(form));
    match *unknown {
        Unknown::Property { key, of } if any(of, &|form| has_child(form, key)) => {
            Some(format!("`{key}` is a node of its own in `{of}`"))
        }
        Unknown::Property { key, .. } => {
            let homes = homes(forms, |form| has_property(form, key));
            homes.map(|homes| format!("`{key}=` belongs to {homes}"))
        }
        Unknown::Node { name, within: Some(within) } if any(within, &|form| has_property(form, name)) => {
            Some(format!("`{name}=` is a property of `{within}`"))
        }
        Unknown::Node { name, .. } => {
            let top = |forms: &[Form]| forms.iter().any(|form| form.name == name);
            let policy = top(&schema.policy).then(|| "a policy, beside its other nodes".to_owned());
            let workload = top(&schema.workload).then(|| "a workload, given by `--workload`".to_owned());
            let homes = homes(forms, |form| has_child(form, name));
            let all: Vec<String> = [homes, policy, workload].into_iter().flatten().collect();
            (!all.is_empty()).then(|| format!("`{name}` belongs into {}", all.join(", or into ")))
        }
    }
}

fn add<'f>(form: &'f Form, forms: &mut Vec<&'f Form>) {
    forms.push(form);
    form.children.iter().for_each(|child| add(child, forms));
}

fn has_child(form: &Form, name: &str) -> bool {
    form.children.iter().any(|child| child.name == name)
}

fn has_property(form: &Form, key: &str) -> bool {
    form.properties.iter().any(|property| property.key == key)
}

/// The nodes of which it is true; of one with several forms those forms, unless it is true of all.
fn homes(forms: &[&Form], holds: impl Fn(&Form) -> bool) -> Option<String> {
    let exact: BTreeSet<(&str, String)> =
        forms.iter().filter(|form| holds(form)).map(|form| (form.name, words(form))).collect();
    let whole = |name: &str| forms.iter().filter(|form| form.name == name).all(|form| holds(form));
    let named = |(name, words): (&str, String)| if whole(name) { name.to_owned() } else { words };
    let homes: BTreeSet<String> = exact.into_iter().map(named).collect();
    let more = homes.len() > LISTED;
    let listed: Vec<String> = homes.into_iter().take(LISTED).map(|home| format!("`{home}`")).collect();
    let (last, others) = listed.split_last()?;
    Some(match (others, more) {
        ([], _) => last.clone(),
        (others, true) => format!("{}, {last}, …", others.join(", ")),
        (others, false) => format!("{} or {last}", others.join(", ")),
    })
}

/// A form as one would write it.
fn words(form: &Form) -> String {
    match form.when {
        None => form.name.to_owned(),
        Some(When::Argument { argument }) => format!("{} {argument}", form.name),
        Some(When::Property { property, value }) => {
            format!("{} {property}={}", form.name, value.unwrap_or("…"))
        }
    }
}
