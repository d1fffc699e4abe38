//! Facts as lines of text.

use gpupol_plan::plan::Rule;

use crate::cli::render::escape;

/// One fact.
pub(super) struct Line {
    /// How far below the first line it belongs.
    depth: usize,
    text: String,
    /// The places that it is about.
    places: Vec<Rule>,
}

/// A fact that is about no place.
pub(super) fn said(depth: usize, text: impl Into<String>) -> Line {
    Line { depth, text: text.into(), places: Vec::new() }
}

/// A fact about places.
pub(super) fn at(depth: usize, text: impl Into<String>, rules: &[Rule]) -> Line {
    Line { depth, text: text.into(), places: rules.to_vec() }
}

/// Indented, each fact before its places.
pub(super) fn human(lines: &[Line]) -> String {
    let line = |line: &Line| {
        let (indent, places) = ("  ".repeat(line.depth), places(line).join(", "));
        let places = if places.is_empty() { places } else { format!(" ({places})") };
        format!("{indent}{}{places}\n", escape(&line.text))
    };
    lines.iter().map(line).collect()
}

/// One line for each fact and place.
pub(super) fn plain(lines: &[Line]) -> String {
    let text = |line: &Line| match places(line).as_slice() {
        [] => format!("{}\n", escape(&line.text)),
        places => places.iter().map(|place| format!("{place}: {}\n", escape(&line.text))).collect(),
    };
    lines.iter().map(text).collect()
}

fn places(line: &Line) -> Vec<String> {
    let mut places: Vec<String> =
        line.places.iter().map(|rule| escape(&format!("{}:{}", rule.file, rule.line))).collect();
    places.dedup();
    places
}
