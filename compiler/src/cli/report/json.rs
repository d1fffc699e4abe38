//! `json`: one object of a versioned schema. A minor version only adds fields; readers ignore those they do not know.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Item, Mending, Place, Position, Report};
use crate::cli::render::Each;
use crate::diag::Rule;

const FORMAT_VERSION: &str = "1.0";

/// In the order in which its keys are written.
#[derive(Serialize)]
struct Document<'r, D> {
    counts: Value,
    diagnostics: D,
    failure: Option<Value>,
    files: &'r [String],
    format_version: &'static str,
    ok: bool,
    omitted: usize,
    tool: Value,
    topology: Vec<Value>,
}

/// The document, of which a finding is made when it is written.
pub(super) fn document(report: &Report<'_>) -> impl Serialize {
    let tally = &report.tally;
    let topology = report.hosts.iter().map(|used| json!({ "name": used.name, "digest": used.digest }));
    let failure = report.failure.as_ref();
    Document {
        counts: json!({
            "error": tally.errors,
            "warning": tally.warnings,
            "note": tally.notes,
            "suppressed": tally.allowed,
            "fixed": tally.fixed.unwrap_or(0),
        }),
        diagnostics: Each(|| report.items().map(|item| diagnostic(&item))),
        failure: failure.map(|failure| json!({ "message": failure.message, "help": failure.help })),
        files: &report.files,
        format_version: FORMAT_VERSION,
        ok: report.is_ok(),
        omitted: report.omitted,
        tool: json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") }),
        topology: topology.collect(),
    }
}

fn diagnostic(item: &Item) -> Value {
    let rule = Rule::of(item.code);
    let spans = item.places.iter().enumerate().map(|(at, place)| span(place, at == 0));
    json!({
        "code": item.code.id(),
        "slug": item.code.slug(),
        "severity": item.severity.word(),
        "message": item.message,
        "help": item.help,
        "witness": item.witness,
        "fix": item.fix.as_ref().map(fix),
        "rule": { "summary": rule.summary(), "why": rule.why(), "fix": rule.fix() },
        "fingerprint": item.fingerprint,
        "spans": spans.collect::<Vec<_>>(),
    })
}

fn fix(fix: &Mending) -> Value {
    let edits = fix.edits.iter().map(|(place, text)| {
        let (start, end) = place.bytes;
        json!({ "file": place.file, "byte_start": start, "byte_end": end, "text": text })
    });
    json!({ "applicability": fix.applicability.word(), "edits": edits.collect::<Vec<_>>() })
}

/// `end` is one past the last character.
fn span(place: &Place, primary: bool) -> Value {
    let (start, end) = place.bytes;
    json!({
        "file": place.file,
        "primary": primary,
        "label": place.label,
        "byte_start": start,
        "byte_end": end,
        "start": position(place.start),
        "end": position(place.end),
    })
}

fn position(position: Position) -> Value {
    json!({ "line": position.line, "column": position.column })
}
