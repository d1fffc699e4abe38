//! The description and the readers say the same: what the readers ask for, what they miss when it is not there, and
//! what they refuse twice.

use std::collections::BTreeSet;

use super::{form_of, schema};
use crate::diag::{Code, Finding, Severity, Sink};
use crate::policy::lower::{container, lower};
use crate::policy::schema::{Count, Form, Value, When};
use crate::source::{Source, SourceId, Sources, Span};
use crate::syntax::cursor::record::{self, Record};
use crate::syntax::{self, Document, Node};

/// Every form of every node, with everything in it.
const POLICY: &str = include_str!("tests/policy.kdl");
const WORKLOAD: &str = "container name tenant=k { label a=b; annotation c=d; env E=f; request gpus=1 }";

/// A node of the document and the form that describes it.
struct Met<'a> {
    path: String,
    node: &'a Node,
    form: &'a Form,
    siblings: Vec<&'a Form>,
    /// Positions of the node and those around it, from the top.
    at: Vec<usize>,
}

fn document(text: &str) -> Document {
    let sources = Sources::new(vec![Source::new("a.kdl", text)]);
    let (id, source): (SourceId, &Source) = sources.iter().next().unwrap();
    let mut sink = Sink::default();
    let document = syntax::parse(id, source, &mut sink);
    assert!(!sink.has_errors(), "{:#?}", sink.finish());
    document
}

fn errors(document: &Document) -> Vec<Finding> {
    let mut sink = Sink::default();
    lower(std::slice::from_ref(document), &mut sink);
    let mut findings = sink.finish();
    // A cgroup may be that of any pod, and both the forms of a tenant and those of a trust have all identities.
    let counts =
        |finding: &Finding| finding.severity == Severity::Error && finding.code != Code::TenantsOverlap;
    findings.retain(counts);
    findings
}

fn meet<'a>(nodes: &'a [Node], forms: &[&'a Form], above: (&str, &[usize]), met: &mut Vec<Met<'a>>) {
    for (at, node) in nodes.iter().enumerate() {
        let siblings: Vec<&Form> =
            forms.iter().copied().filter(|form| form.name == node.name.value).collect();
        let form = form_of(node, forms);
        let path = format!("{} {}", above.0, node.name.value);
        let form = form.unwrap_or_else(|| panic!("the schema lacks{path}: {node:?}"));
        let at = [above.1, &[at]].concat();
        let mut below: Vec<&Form> = form.children.iter().collect();
        below.extend(form.nests.then_some(form));
        meet(node.children(), &below, (&path, &at), met);
        met.push(Met { path, node, form, siblings, at });
    }
}

fn all(document: &Document, check: impl Fn(&Met)) -> usize {
    let schema = schema();
    let forms: Vec<&Form> = schema.policy.iter().collect();
    let mut met = Vec::new();
    meet(&document.nodes, &forms, ("", &[]), &mut met);
    met.iter().for_each(check);
    let unmet = |forms: &[Form]| {
        count(forms) - met.iter().map(|met| std::ptr::from_ref(met.form)).collect::<BTreeSet<_>>().len()
    };
    unmet(&schema.policy)
}

fn count(forms: &[Form]) -> usize {
    forms.iter().map(|form| 1 + count(&form.children)).sum()
}

fn keys<'f>(forms: impl Iterator<Item = &'f Form>) -> BTreeSet<&'static str> {
    forms.flat_map(|form| &form.properties).map(|property| property.key).collect()
}

fn children(form: &Form) -> BTreeSet<&'static str> {
    form.children.iter().map(|child| child.name).chain(form.nests.then_some(form.name)).collect()
}

fn record_of(records: &[Record], span: Span) -> &Record {
    records.iter().find(|record| record.span == span).unwrap()
}

#[test]
fn the_readers_ask_for_what_the_schema_lists() {
    let document = document(POLICY);
    record::take();
    assert_eq!(errors(&document), []);
    let records = record::take();
    let unmet = all(&document, |met| {
        let record = record_of(&records, met.node.span);
        let (own, any) = (keys([met.form].into_iter()), keys(met.siblings.iter().copied()));
        assert!(own.is_subset(&record.properties), "{}: {own:?} {:?}", met.path, record.properties);
        // A reader also looks for what another form has, to say that the two exclude each other.
        assert!(record.properties.is_subset(&any), "{}: {any:?} {:?}", met.path, record.properties);
        assert_eq!(children(met.form), record.children, "{}", met.path);
        assert_eq!(met.form.pairs.is_some(), record.free_properties, "{}", met.path);
    });
    assert_eq!(unmet, 0, "tests/policy.kdl does not have every form");
}

#[test]
fn a_workload_is_read_by_the_same_forms() {
    let document = document(WORKLOAD);
    let mut sink = Sink::default();
    assert!(container(&document, &mut sink).is_some(), "{:?}", sink.finish());
    let forms = schema().workload;
    let mut met = Vec::new();
    meet(&document.nodes, &forms.iter().collect::<Vec<_>>(), ("", &[]), &mut met);
    assert_eq!(met.len(), 5);
}

/// The document after a change of the node at a place.
fn changed(document: &Document, at: &[usize], change: impl Fn(&mut Node)) -> Document {
    let mut document = document.clone();
    let (first, rest) = at.split_first().unwrap();
    let mut node = &mut document.nodes[*first];
    for at in rest {
        node = &mut node.children.as_mut().unwrap()[*at];
    }
    change(node);
    document
}

#[test]
fn what_is_required_is_missed() {
    let document = document(POLICY);
    all(&document, |met| {
        for property in &met.form.properties {
            if met.node.properties.iter().all(|own| own.key.value != property.key) {
                continue;
            }
            let without = changed(&document, &met.at, |node| {
                change(&mut node.properties, |all| all.retain(|own| own.key.value != property.key));
            });
            assert_eq!(!errors(&without).is_empty(), property.required, "{} {}=", met.path, property.key);
        }
        for argument in met.form.arguments.iter().filter(|argument| is_plain(&argument.value)) {
            let required = matches!(argument.count, Count::One | Count::AtLeastOne);
            // A node that says nothing is refused even if each thing that it could say may be absent.
            if met.node.arguments.is_empty() || (!required && met.node.properties.is_empty()) {
                continue;
            }
            let without = changed(&document, &met.at, |node| node.arguments = Box::default());
            assert_eq!(!errors(&without).is_empty(), required, "{}: arguments", met.path);
        }
    });
}

/// Whether nothing else of the document names it.
fn is_plain(value: &Value) -> bool {
    !matches!(value, Value::Definition { .. } | Value::Reference { to: "container" })
}

/// Values of that description, and values that are not.
fn samples(value: &Value) -> (Vec<syntax::Value>, Vec<syntax::Value>) {
    let text = |text: &str| syntax::Value::String(text.into());
    let integer = |number: u32| syntax::Value::Integer(number.into());
    let texts = |words: &[&str]| words.iter().map(|word| text(word)).collect::<Vec<_>>();
    match value {
        Value::Text | Value::Glob => (texts(&["a"]), vec![integer(1), text("")]),
        Value::Definition { .. } => (Vec::new(), vec![integer(1), text("")]),
        Value::Reference { .. } => (Vec::new(), vec![integer(1), text(""), text("nobody")]),
        Value::Exactly { integer: number } => (vec![integer(*number)], vec![integer(number + 1), text("a")]),
        Value::Integer { least } => {
            let below = least.and_then(|least| least.checked_sub(1)).map(integer);
            (vec![integer(least.unwrap_or(0))], below.into_iter().chain([text("a")]).collect())
        }
        Value::Flag => (vec![syntax::Value::Bool(true)], texts(&["true"])),
        Value::Word { words } => (texts(words), vec![integer(1), text("nonsense")]),
        Value::WordList { words } => (texts(&[&words.join(",")]), vec![integer(1)]),
        Value::IntegerOrWord { least, words } => {
            ([vec![integer(*least)], texts(words)].concat(), texts(&["nonsense"]))
        }
        Value::Amount { units } => {
            let right: Vec<String> = units.iter().map(|unit| format!("1{unit}")).collect();
            (right.iter().map(|amount| text(amount)).collect(), vec![integer(1), text("1"), text("1 mile")])
        }
        Value::Version => (texts(&["9.0"]), vec![integer(9), text("new")]),
        Value::Exact { example } => (texts(&[example]), vec![integer(1), text("nonsense")]),
    }
}

/// Whether a value, and not what it means beside others, is refused.
fn is_refused(document: &Document) -> bool {
    let value = [Code::BadValue, Code::BadUnit, Code::UnknownWord, Code::UnresolvedName, Code::PolicyNode];
    errors(document).iter().any(|finding| value.contains(&finding.code))
}

#[test]
fn values_are_what_the_schema_says() {
    let document = document(POLICY);
    let judge = |met: &Met, value: &Value, set: &dyn Fn(&mut Node, &syntax::Value)| {
        let (right, wrong) = samples(value);
        for (samples, refused) in [(right, false), (wrong, true)] {
            for sample in samples {
                let document = changed(&document, &met.at, |node| set(node, &sample));
                assert_eq!(is_refused(&document), refused, "{}: {sample:?}", met.path);
            }
        }
    };
    all(&document, |met| {
        // A word or a property that tells forms apart would make it another form.
        let tells =
            |key: &str| matches!(met.form.when, Some(When::Property { property, .. }) if property == key);
        for property in met.form.properties.iter().filter(|property| !tells(property.key)) {
            let at = met.node.properties.iter().position(|own| own.key.value == property.key);
            let Some(at) = at else { continue };
            judge(met, &property.value, &|node, value| node.properties[at].value.value = value.clone());
        }
        if let (None, [argument], [_, ..]) =
            (met.form.when, met.form.arguments.as_slice(), &*met.node.arguments)
        {
            judge(met, &argument.value, &|node, value| node.arguments[0].value.value = value.clone());
        }
    });
}

fn change<T>(all: &mut Box<[T]>, change: impl FnOnce(&mut Vec<T>)) {
    let mut list = std::mem::take(all).into_vec();
    change(&mut list);
    *all = list.into();
}

#[test]
fn arguments_are_as_many_as_the_schema_says() {
    let document = document(POLICY);
    all(&document, |met| {
        let [argument] = met.form.arguments.as_slice() else { return };
        let Some(last) = met.node.arguments.last().cloned() else { return };
        let more =
            changed(&document, &met.at, |node| change(&mut node.arguments, |all| all.push(last.clone())));
        let refused = errors(&more).iter().any(|finding| finding.message.contains("takes no argument"));
        let one = matches!(argument.count, Count::One | Count::AtMostOne);
        // `expect` says it in words of its own.
        assert!(refused == one || met.form.name == "expect", "{}", met.path);
    });
}

#[test]
fn children_are_as_many_as_the_schema_says() {
    let document = document(POLICY);
    all(&document, |met| {
        for name in children(met.form) {
            let own = |child: &&Form| child.name == name;
            let count = met.form.children.iter().find(own).map_or(Count::Any, |child| child.count);
            if !met.node.children().iter().any(|child| child.name.value == name) {
                continue;
            }
            let without = changed(&document, &met.at, |node| {
                let children = node.children.as_mut().unwrap();
                change(children, |all| all.retain(|child| child.name.value != name));
            });
            let missed = errors(&without).iter().any(|finding| finding.message.contains("without"));
            let required = matches!(count, Count::One | Count::AtLeastOne);
            assert!(!required || missed, "{} {name}: required", met.path);
            let twice = changed(&document, &met.at, |node| {
                let children = node.children.as_mut().unwrap();
                let again = children.iter().find(|child| child.name.value == name).unwrap().clone();
                change(children, |all| all.push(again));
            });
            let refused =
                errors(&twice).iter().any(|finding| finding.message.contains("stands twice in one"));
            let once = matches!(count, Count::One | Count::AtMostOne);
            assert_eq!(refused, once, "{} {name}: how often", met.path);
        }
    });
}
