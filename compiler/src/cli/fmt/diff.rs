//! What formatting changes, as a unified diff.
//!
//! Formatting changes only spaces, line breaks, `;` and `\`, so lines belong together that have as many other
//! characters before them. That takes time in proportion to the text, whatever it is.

use std::fmt::Write;

/// How many lines that stay are shown around those that change.
const CONTEXT: usize = 3;

/// One line of a diff.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line<'t> {
    Stays(&'t str),
    Goes(&'t str),
    Comes(&'t str),
}

/// The diff from `before` to `after`; nothing if they are the same.
pub(super) fn unified(name: &str, before: &str, after: &str) -> String {
    let lines = lines(before, after);
    let mut text = String::new();
    let (mut old, mut new, mut from) = (0, 0, 0);
    while let Some((start, end)) = hunk(&lines, from) {
        let skipped = lines.get(from..start).unwrap_or_default();
        (old, new) = (old + skipped.len(), new + skipped.len());
        let shown = lines.get(start..end).unwrap_or_default();
        let olds = shown.iter().filter(|line| !matches!(line, Line::Comes(_))).count();
        let news = shown.iter().filter(|line| !matches!(line, Line::Goes(_))).count();
        if text.is_empty() {
            text = format!("--- {name}\n+++ {name}\n");
        }
        let (first_old, first_new) = (first(old, olds), first(new, news));
        // Writing to a string cannot fail.
        _ = writeln!(text, "@@ -{first_old},{olds} +{first_new},{news} @@");
        shown.iter().for_each(|line| show(*line, &mut text));
        (old, new, from) = (old + olds, new + news, end);
    }
    text
}

/// The first line of a part, from 1; that before it if it has none.
fn first(before: usize, lines: usize) -> usize {
    if lines == 0 { before } else { before + 1 }
}

fn show(line: Line<'_>, text: &mut String) {
    let (mark, line) = match line {
        Line::Stays(line) => (' ', line),
        Line::Goes(line) => ('-', line),
        Line::Comes(line) => ('+', line),
    };
    text.push(mark);
    text.push_str(line);
    if !line.ends_with('\n') {
        text.push_str("\n\\ No newline at end of file\n");
    }
}

/// The next lines to be shown together, from `from` on.
fn hunk(lines: &[Line<'_>], from: usize) -> Option<(usize, usize)> {
    let changes = |line: &Line<'_>| !matches!(line, Line::Stays(_));
    let rest = lines.get(from..)?;
    let begin = from + rest.iter().position(changes)?;
    let mut end = begin;
    while let Some(next) = lines.get(end..)?.iter().take(2 * CONTEXT + 1).position(changes) {
        end += next + 1;
    }
    Some((begin.saturating_sub(CONTEXT).max(from), (end + CONTEXT).min(lines.len())))
}

fn lines<'t>(before: &'t str, after: &'t str) -> Vec<Line<'t>> {
    let mut before = before.split_inclusive('\n').peekable();
    let mut after = after.split_inclusive('\n').peekable();
    let (mut old, mut new) = (0, 0);
    let mut lines = Vec::new();
    loop {
        let line = match (before.peek().copied(), after.peek().copied()) {
            (None, None) => return lines,
            (Some(one), Some(other)) if old == new && one == other => Line::Stays(one),
            (Some(one), None) => Line::Goes(one),
            (Some(one), Some(_)) if old <= new => Line::Goes(one),
            (_, Some(other)) => Line::Comes(other),
        };
        if let Line::Stays(text) | Line::Goes(text) = line {
            old += weight(text);
            before.next();
        }
        if let Line::Stays(text) | Line::Comes(text) = line {
            new += weight(text);
            after.next();
        }
        lines.push(line);
    }
}

/// How many characters of a line formatting cannot touch.
fn weight(line: &str) -> usize {
    line.chars().filter(|character| !character.is_whitespace() && !matches!(character, ';' | '\\')).count()
}
