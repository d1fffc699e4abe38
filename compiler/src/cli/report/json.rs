//! `json`: one object of a versioned schema. A minor version only adds fields; readers ignore those they do not know.

use serde_json::{Value, json};

use super::{Item, Mending, Place, Position, Report};
use crate::cli::render;
use crate::diag::Rule;

const FORMAT_VERSION: &str = "1.0";

pub(super) fn text(report: &Report) -> String {
    let tally = &report.tally;
    let topology: Vec<Value> =
        report.hosts.iter().map(|used| json!({ "name": used.name, "digest": used.digest })).collect();
    let failure = report.failure.as_ref();
    let document = json!({
        "format_version": FORMAT_VERSION,
        "tool": { "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") },
        "ok": report.is_ok(),
        "counts": {
            "error": tally.errors,
            "warning": tally.warnings,
            "note": tally.notes,
            "suppressed": tally.allowed,
            "fixed": tally.fixed.unwrap_or(0),
        },
        "files": report.files,
        "topology": topology,
        "failure": failure.map(|failure| json!({ "message": failure.message, "help": failure.help })),
        "diagnostics": report.items.iter().map(diagnostic).collect::<Vec<_>>(),
        "omitted": report.omitted,
    });
    render::json(&document)
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
