//! `github`: workflow commands, which GitHub shows beside the lines. It shows few of each step, so errors come first.

use std::cmp::Reverse;

use super::{Item, Place, Report};
use crate::diag::Severity;

pub(super) fn text(report: &Report) -> String {
    let mut items: Vec<Item> = report.items().collect();
    items.sort_by_key(|item| Reverse(item.severity));
    let mut text = String::new();
    if let Some(failure) = &report.failure {
        let help = failure.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
        text.push_str(&format!("::error title=gpupol::{}\n", data(&format!("{}{help}", failure.message))));
    }
    text.extend(items.iter().map(command));
    text
}

fn command(item: &Item) -> String {
    let kind = match item.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let title = format!("title={}", property(&format!("{} {}", item.code.id(), item.code.slug())));
    let place = item.places.first().map(place);
    let properties: Vec<String> = place.into_iter().flatten().chain([title]).collect();
    format!("::{kind} {}::{}\n", properties.join(","), data(&item.words().join("\n")))
}

/// GitHub takes columns only of what stands on one line.
fn place(place: &Place) -> Vec<String> {
    let (start, end) = (place.start, place.end);
    let mut properties = vec![format!("file={}", property(&place.file)), format!("line={}", start.line)];
    properties.push(format!("endLine={}", end.line));
    if start.line == end.line {
        properties.push(format!("col={}", start.column));
        properties.push(format!("endColumn={}", end.column));
    }
    properties
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
