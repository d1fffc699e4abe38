//! A comparison as a table of Markdown, for the comment of a review.

use std::fmt::Write;

use super::words::{self, Words};
use super::{Compared, Counts};
use crate::cli::render::escape;
use crate::comparison::Change;

/// The usual forges take comments of 65,536 characters; a row is small beside what is left.
const MOST_CHARACTERS: usize = 48_000;

pub(super) fn text(compared: &Compared<'_>) -> String {
    let counts = Counts::of(compared.comparison).words();
    let (old, new) = (cell(&compared.args.old), cell(&compared.args.new));
    let mut text = format!("**Who gains and who loses what from {old} to {new}:** {counts}\n");
    for (which, names) in compared.only() {
        let names: Vec<String> = names.iter().map(|name| cell(name)).collect();
        // Writing to a string cannot fail.
        _ = writeln!(text, "\nOnly the {which} policy is for {}.", names.join(", "));
    }
    if compared.comparison.is_equivalent() {
        return text;
    }
    text.push_str("\n| | whose | what | such as |\n|---|---|---|---|\n");
    let mut left = 0_usize;
    for (difference, change) in compared.comparison.changes() {
        if left == 0 {
            let class = difference.map_or_else(|| Words::of("every container"), words::class);
            let row = row(change, &class, compared);
            if text.len() + row.len() <= MOST_CHARACTERS {
                text += &row;
                continue;
            }
        }
        left += 1;
    }
    if left > 0 {
        _ = writeln!(text, "\n{left} changes more than a comment holds: see `--format json`.");
    }
    text
}

fn row(change: &Change, class: &Words, compared: &Compared<'_>) -> String {
    let what = words::change(change, compared);
    let [class, what] = [class, &what].map(|words| words.each(plain, cell));
    let witness = change.witness.as_ref();
    let witness = witness.map(|one| format!("{}{}", cell(&one.kdl()), plain(&words::place(one, compared))));
    let witness = witness.unwrap_or_default();
    format!("| {} | {class} | {what} | {witness} |\n", change.direction.name())
}

/// Words in which Markdown makes nothing of what others have named: neither code nor links.
fn plain(words: &str) -> String {
    let words = escape(words);
    let mut plain = String::new();
    for (at, character) in words.char_indices() {
        let rest = words.get(at..).unwrap_or_default();
        let links =
            rest.starts_with("://") || (character == '.' && plain.to_ascii_lowercase().ends_with("www"));
        if links
            || matches!(
                character,
                '|' | '\\' | '*' | '_' | '<' | '>' | '[' | ']' | '#' | '!' | '&' | '~' | '@' | '`'
            )
        {
            plain.push('\\');
        }
        plain.push(character);
    }
    plain
}

/// A text as code, in a cell.
fn cell(text: &str) -> String {
    let text = escape(text).replace('|', "\\|");
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}
