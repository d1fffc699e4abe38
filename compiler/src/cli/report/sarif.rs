//! `sarif`: version 2.1.0, as code scanning reads it. All rules are declared in every run, also in one without results,
//! so that what was mended is closed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Item, Mending, Place, Report};
use crate::cli::render;
use crate::diag::{Code, Rule, Severity};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

pub(super) fn text(report: &Report) -> String {
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": env!("CARGO_PKG_NAME"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": Code::ALL.iter().copied().map(rule).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "invocations": [invocation(report)],
            "results": report.items.iter().map(result).collect::<Vec<_>>(),
            "properties": { "suppressed": report.tally.allowed, "omitted": report.omitted },
        }],
    });
    render::json(&document)
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
