//! What is not known where it stands, and is known elsewhere in the language: where that is.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Code, Finding, Sink};
use crate::policy::schema::{Count, Form, Schema, Value, When};
use crate::source::Span;
use crate::syntax::{self, Node};

/// How many places are listed.
const LISTED: usize = 5;

/// What nobody knows where it stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unknown<'n> {
    /// A node, and the one around it.
    Node { name: &'n str, within: Option<&'n str> },
    /// A property of a node.
    Property { key: &'n str, of: &'n str },
    /// An argument of a node; nothing if it is no string.
    Argument { word: Option<&'n str>, of: &'n str },
}

/// Says where unknown things belong, if nothing like them is known where they stand.
pub(super) fn explain<'n>(nodes: impl Iterator<Item = &'n Node>, schema: &Schema, sink: &mut Sink) {
    let unknown = |finding: &Finding| {
        let code = matches!(
            finding.code,
            Code::UnknownNode | Code::UnknownProperty | Code::UnexpectedArgument | Code::UnexpectedChildren
        );
        code && finding.fix.is_none()
    };
    let place = |finding: &Finding| finding.labels.first().map(|label| label.span);
    let places: BTreeSet<Span> = sink.errors().filter(|finding| unknown(finding)).filter_map(place).collect();
    if places.is_empty() {
        return;
    }
    let mut found = BTreeMap::new();
    nodes.for_each(|node| look(node, None, &places, &mut found));
    let mut forms = Vec::new();
    schema.policy.iter().chain(&schema.workload).for_each(|form| add(form, &mut forms));
    let language = Language { forms, schema };
    // The same mistake is often made many times.
    let mut said: BTreeMap<Unknown<'_>, Option<String>> = BTreeMap::new();
    sink.amend(|finding| {
        let what = place(finding).filter(|_| unknown(finding)).and_then(|place| found.get(&place));
        let help = what.and_then(|what| said.entry(*what).or_insert_with(|| language.help(what)).clone());
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
    found: &mut BTreeMap<Span, Unknown<'n>>,
) {
    let name = node.name.value.as_str();
    let mut take = |span: Span, what: Unknown<'n>| {
        if places.contains(&span) {
            found.insert(span, what);
        }
    };
    take(node.name.span, Unknown::Node { name, within });
    for key in node.properties.iter().map(|property| &property.key) {
        take(key.span, Unknown::Property { key: &key.value, of: name });
    }
    for value in node.arguments.iter().map(|argument| &argument.value) {
        let word = if let syntax::Value::String(word) = &value.value { Some(word.as_str()) } else { None };
        take(value.span, Unknown::Argument { word, of: name });
    }
    node.children().iter().for_each(|child| look(child, Some(name), places, found));
}

/// The language, and every form in it.
struct Language<'f> {
    forms: Vec<&'f Form>,
    schema: &'f Schema,
}

impl Language<'_> {
    fn help(&self, unknown: &Unknown<'_>) -> Option<String> {
        match *unknown {
            Unknown::Property { key, of } => self.property(key, of),
            Unknown::Node { name, within } => self.node(name, within),
            Unknown::Argument { word, of } => self.argument(word, of),
        }
    }

    /// The forms of a node.
    fn of(&self, name: &str) -> impl Iterator<Item = &Form> {
        self.forms.iter().copied().filter(move |form| form.name == name)
    }

    fn property(&self, key: &str, of: &str) -> Option<String> {
        if self.of(of).any(|form| has_child(form, key)) {
            return Some(format!("`{key}` is a node of its own in `{of}`"));
        }
        // What stands in the node itself is nearer than all else.
        let inside: Vec<&Form> = self.of(of).flat_map(|form| &form.children).collect();
        let homes =
            [&inside, &self.forms].into_iter().find_map(|forms| homes(forms, |form| has_property(form, key)));
        homes.map(|homes| format!("`{key}=` belongs to {homes}"))
    }

    fn node(&self, name: &str, within: Option<&str>) -> Option<String> {
        if let Some(within) = within
            && self.of(within).any(|form| has_property(form, name))
        {
            return Some(format!("`{name}=` is a property of `{within}`"));
        }
        let top = |forms: &[Form]| forms.iter().any(|form| form.name == name);
        let policy = top(&self.schema.policy).then(|| "a policy, beside its other nodes".to_owned());
        let workload = top(&self.schema.workload).then(|| "a workload, given by `--workload`".to_owned());
        let around = homes(&self.forms, |form| has_child(form, name));
        let all: Vec<String> = [around, policy, workload].into_iter().flatten().collect();
        if !all.is_empty() {
            return Some(format!("`{name}` belongs in {}", all.join(", or in ")));
        }
        let is_word =
            |form: &&&Form| matches!(form.when, Some(When::Argument { argument }) if argument == name);
        if let Some(form) = self.forms.iter().find(is_word) {
            return Some(format!("`{}`", words(form)));
        }
        let mut below = Vec::new();
        self.of(within?).for_each(|form| add(form, &mut below));
        homes(&below, |form| has_property(form, name)).map(|homes| format!("`{name}=` belongs to {homes}"))
    }

    fn argument(&self, word: Option<&str>, of: &str) -> Option<String> {
        if let Some(word) = word.filter(|word| self.of(of).any(|form| has_child(form, word))) {
            return Some(format!("`{word}` stands in the block of `{of}`: `{of} … {{ {word} … }}`"));
        }
        if let Some(word) = word.filter(|word| self.of(of).any(|form| is_one_of_many(form, word))) {
            return Some(format!("`{of} {word}`, on a line of its own"));
        }
        if self.of(of).any(|form| !form.arguments.is_empty()) {
            return None;
        }
        let mut keys: Vec<String> = Vec::new();
        for property in self.of(of).flat_map(|form| &form.properties) {
            let key = format!("`{of} {}=…`", property.key);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        (!keys.is_empty()).then(|| keys.join(" or "))
    }
}

fn add<'f>(form: &'f Form, forms: &mut Vec<&'f Form>) {
    forms.push(form);
    form.children.iter().for_each(|child| add(child, forms));
}

fn has_child(form: &Form, name: &str) -> bool {
    form.children.iter().any(|child| child.name == name)
}

/// Whether a node may stand several times, each time with one such word.
fn is_one_of_many(form: &Form, word: &str) -> bool {
    let many = matches!(form.count, Count::Any | Count::AtLeastOne);
    many && form.arguments.first().is_some_and(|first| match &first.value {
        Value::Reference { .. } => first.count == Count::One,
        Value::Word { words } => words.contains(&word),
        _ => false,
    })
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
