//! `sarif`: version 2.1.0, as code scanning reads it. All rules are declared in every run, also in one without results,
//! so that what was mended is closed.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Item, Mending, Place, Report};
use crate::cli::render::{self, Each};
use crate::diag::{Code, Rule, Severity};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// In the order in which its keys are written, as the run is.
#[derive(Serialize)]
struct Document<R> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    runs: [R; 1],
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<R> {
    column_kind: &'static str,
    invocations: [Value; 1],
    properties: Value,
    results: R,
    tool: Value,
}

/// The document, of which a result is made when it is written.
pub(super) fn document(report: &Report<'_>) -> impl Serialize {
    let run = Run {
        column_kind: "unicodeCodePoints",
        invocations: [invocation(report)],
        properties: json!({ "suppressed": report.tally.allowed, "omitted": report.omitted }),
        results: Each(|| report.items().map(|item| result(&item))),
        tool: json!({ "driver": {
            "name": env!("CARGO_PKG_NAME"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": Code::ALL.iter().copied().map(rule).collect::<Vec<_>>(),
        } }),
    };
    Document { schema: SCHEMA, runs: [run], version: "2.1.0" }
}

fn rule(code: Code) -> Value {
    let rule = Rule::of(code);
    json!({
        "id": code.id(),
        "name": code.slug(),
        "shortDescription": { "text": rule.summary() },
        "fullDescription": { "text": rule.why() },
        "help": { "text": rule.fix(), "markdown": rule.page() },
        "defaultConfiguration": { "level": code.severity().word() },
    })
}

fn invocation(report: &Report) -> Value {
    let notes = report.failure.iter().map(|failure| {
        let words: Vec<&str> =
            [Some(failure.message.as_str()), failure.help.as_deref()].into_iter().flatten().collect();
        json!({ "level": Severity::Error.word(), "message": { "text": words.join("; ") } })
    });
    json!({
        "executionSuccessful": report.decided,
        "toolExecutionNotifications": notes.collect::<Vec<_>>(),
    })
}

fn result(item: &Item) -> Value {
    let (first, others) = match item.places.split_first() {
        Some((first, others)) => (Some(first), others),
        None => (None, &[][..]),
    };
    let mut text = vec![item.message.clone()];
    text.extend(item.witness.as_ref().map(|witness| format!("shown by {witness}")));
    text.extend(item.help.as_ref().map(|help| format!("help: {help}")));
    json!({
        "ruleId": item.code.id(),
        "ruleIndex": Code::ALL.iter().position(|code| *code == item.code),
        "level": item.severity.word(),
        "message": { "text": text.join("\n") },
        "locations": first.map(location).into_iter().collect::<Vec<_>>(),
        "relatedLocations": others.iter().map(location).collect::<Vec<_>>(),
        "partialFingerprints": { "gpupol/v1": item.fingerprint },
        "fixes": item.fix.iter().map(fix).collect::<Vec<_>>(),
    })
}

/// One change for each file; all of them together are the fix.
fn fix(fix: &Mending) -> Value {
    let mut files: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (place, text) in &fix.edits {
        let replacement = json!({ "deletedRegion": region(place), "insertedContent": { "text": text } });
        files.entry(&place.uri).or_default().push(replacement);
    }
    let changes = files.into_iter().map(
        |(uri, replacements)| json!({ "artifactLocation": { "uri": uri }, "replacements": replacements }),
    );
    json!({
        "description": { "text": render::available(fix.applicability) },
        "artifactChanges": changes.collect::<Vec<_>>(),
        "properties": { "applicability": fix.applicability.word() },
    })
}

fn location(place: &Place) -> Value {
    json!({
        "physicalLocation": { "artifactLocation": { "uri": place.uri }, "region": region(place) },
        "message": { "text": place.label },
    })
}

fn region(place: &Place) -> Value {
    let (start, end) = place.bytes;
    json!({
        "startLine": place.start.line,
        "startColumn": place.start.column,
        "endLine": place.end.line,
        "endColumn": place.end.column,
        "byteOffset": start,
        "byteLength": end - start,
    })
}
