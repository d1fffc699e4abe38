//! `plain`: lines that can be read out, or taken apart by a program that knows `PATH:LINE:COLUMN: `.

use super::{Item, Report};

pub(super) fn text(report: &Report) -> String {
    let mut text: String = report.items().map(|one| item(&one)).collect();
    let shown = report.shown.len();
    text.extend(super::omitted(shown, shown + report.omitted));
    text
}

/// ```text
/// PATH:LINE:COLUMN: error GP2002 unresolved-name: no gpu-set is called `smal`, not defined
///   help: did you mean `small`?
/// ```
fn item(item: &Item) -> String {
    let (severity, code) = (item.severity.word(), item.code);
    let place = item.places.first().map(|place| format!("{}: ", place.words())).unwrap_or_default();
    let label = item.places.first().map(|place| format!(" ({})", place.label)).unwrap_or_default();
    let mut lines = item.words().into_iter();
    let message = lines.next().unwrap_or_default();
    let mut text = format!("{place}{severity} {} {}: {message}{label}\n", code.id(), code.slug());
    lines.for_each(|line| text.push_str(&format!("  {line}\n")));
    text
}
