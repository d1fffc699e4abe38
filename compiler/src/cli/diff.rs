//! What formatting and fixes change, as a unified diff.
//!
//! Both take time in proportion to the text, whatever it is, because both know what they do: formatting changes only
//! spaces, line breaks, `;` and `\`, so lines belong together that have as many other characters before them; fixes
//! change few lines at a time, so the next lines that are the same are near. A shortest diff of any two texts, as
//! libraries search for it, takes seconds on the largest file once every line of it differs.

use std::fmt::Write;

use super::render::escape;

/// How many lines that stay are shown around those that change.
const CONTEXT: usize = 3;
/// How far lines that are the same are looked for.
const FAR: usize = 64;

/// One line of a diff.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line<'t> {
    Stays(&'t str),
    Goes(&'t str),
    Comes(&'t str),
}

/// The diff from a text to itself formatted; nothing if they are the same.
pub(super) fn of_format(name: &str, before: &str, after: &str) -> String {
    unified(&escape(name), &formatted(before, after))
}

/// The diff from a text to itself fixed; nothing if they are the same.
pub(super) fn of_fixes(name: &str, before: &str, after: &str) -> String {
    unified(&escape(name), &fixed(before, after))
}

/// The diff of a file that comes, changes or goes.
pub(super) fn of_change(name: &str, before: Option<&str>, after: Option<&str>) -> String {
    let lines = fixed(before.unwrap_or_default(), after.unwrap_or_default());
    let diff = unified(&escape(name), &lines);
    let side = |mark: &str, text: Option<&str>| match text {
        Some(_) => format!("{mark} {}\n", escape(name)),
        None => format!("{mark} /dev/null\n"),
    };
    let hunks = diff.splitn(3, '\n').nth(2).unwrap_or_default();
    format!("{}{}{hunks}", side("---", before), side("+++", after))
}

fn unified(name: &str, lines: &[Line<'_>]) -> String {
    let mut text = String::new();
    let (mut old, mut new, mut from) = (0, 0, 0);
    while let Some((start, end)) = hunk(lines, from) {
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
    let ends = ["\r\n", "\n"].into_iter().find_map(|end| Some((line.strip_suffix(end)?, end)));
    let (words, end) = ends.unwrap_or((line, "\n\\ No newline at end of file\n"));
    // Tabs and line ends do no harm, and whoever applies the diff needs them.
    let parts: Vec<String> = words.split('\t').map(escape).collect();
    text.push(mark);
    text.push_str(&parts.join("\t"));
    text.push_str(end);
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

fn formatted<'t>(before: &'t str, after: &'t str) -> Vec<Line<'t>> {
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

/// Lines that are the same belong together if they are the nearest such.
fn fixed<'t>(before: &'t str, after: &'t str) -> Vec<Line<'t>> {
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
    let same = |one: usize, other: usize| old.get(one).is_some_and(|line| new.get(other) == Some(line));
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(one, other)| one == other).count();
    let mut lines = Vec::new();
    let (mut at, mut to) = (0, 0);
    while at < old.len() || to < new.len() {
        if same(at, to) {
            lines.extend(old.get(at).map(|line| Line::Stays(line)));
            (at, to) = (at + 1, to + 1);
            continue;
        }
        let rest = ((old.len() - at).saturating_sub(tail), (new.len() - to).saturating_sub(tail));
        let (goes, comes) = nearest(at, to, same).unwrap_or(rest);
        let (goes, comes) = if goes + comes == 0 { (old.len() - at, new.len() - to) } else { (goes, comes) };
        lines.extend(old.iter().skip(at).take(goes).map(|line| Line::Goes(line)));
        lines.extend(new.iter().skip(to).take(comes).map(|line| Line::Comes(line)));
        (at, to) = (at + goes, to + comes);
    }
    lines
}

/// How many lines of each text to skip until they are the same again; nothing if that is far.
fn nearest(at: usize, to: usize, same: impl Fn(usize, usize) -> bool) -> Option<(usize, usize)> {
    let both = (1..=FAR).flat_map(|sum| (0..=sum).rev().map(move |goes| (goes, sum - goes)));
    both.into_iter().find(|(goes, comes)| same(at + goes, to + comes))
}

#[cfg(test)]
mod tests {
    use super::{Line, fixed, of_fixes};

    #[test]
    fn what_stays_and_comes_is_the_new_text_and_what_goes_stood_in_the_old_one() {
        let long: String = (0..200).map(|line| format!("line {line}\n")).collect();
        for (before, after) in [
            ("a\nb\nc\n", "a\nB\nc\n"),
            ("a\nb\nc", "a\nc"),
            ("", "a\n"),
            ("a\n", ""),
            (long.as_str(), "line 0\nline 199\n"),
            (long.as_str(), "x\ny"),
        ] {
            let lines = fixed(before, after);
            let text = |keep: fn(&Line<'_>) -> bool| {
                lines
                    .iter()
                    .filter(|line| keep(line))
                    .map(|line| match line {
                        Line::Stays(text) | Line::Goes(text) | Line::Comes(text) => *text,
                    })
                    .collect::<String>()
            };
            assert_eq!(text(|line| !matches!(line, Line::Comes(_))), before);
            assert_eq!(text(|line| !matches!(line, Line::Goes(_))), after);
        }
    }

    #[test]
    fn only_what_changes_is_shown_and_no_terminal_obeys_it() {
        assert_eq!(of_fixes("p", "a\n", "a\n"), "");
        let diff = of_fixes("p\u{1b}", "\ta \u{202e}\nb,\nc\n", "\ta \u{202e}\nb\nc\n");
        assert_eq!(diff, "--- p\\u{1b}\n+++ p\\u{1b}\n@@ -1,3 +1,3 @@\n \ta \\u{202e}\n-b,\n+b\n c\n");
    }
}
