//! A comparison for people.

use std::fmt::Write;

use super::words::{self, Words};
use super::{Compared, Counts};
use crate::cli::render::escape;
use crate::comparison::{Change, Direction};

/// More than anybody reads.
const MOST_CLASSES: usize = 500;

pub(super) fn text(compared: &Compared<'_>) -> String {
    let mut text = String::new();
    let settings = &compared.comparison.settings;
    if !settings.is_empty() {
        paragraph(&Words::of("every container"), settings, None, compared, &mut text);
    }
    for difference in compared.comparison.differences.iter().take(MOST_CLASSES) {
        let witness = difference.witness.kdl();
        paragraph(&words::class(difference), &difference.changes, Some(&witness), compared, &mut text);
    }
    let rest = compared.comparison.differences.get(MOST_CLASSES..).unwrap_or_default();
    if !rest.is_empty() {
        let counts = Counts::of_all(rest.iter().flat_map(|one| &one.changes)).words();
        // Writing to a string cannot fail.
        _ = writeln!(
            text,
            "and {} classes of containers more, with {counts}: see --format json\n",
            rest.len()
        );
    }
    text
}

fn paragraph(
    class: &Words,
    changes: &[Change],
    witness: Option<&str>,
    compared: &Compared<'_>,
    text: &mut String,
) {
    // Writing to a string cannot fail.
    _ = writeln!(text, "{}", escape(&class.plain()));
    for change in changes {
        let mark = match change.direction {
            Direction::Gain => '+',
            Direction::Loss => '-',
            Direction::Other => '~',
        };
        _ = writeln!(text, "  {mark} {}", escape(&words::change(change, compared).plain()));
    }
    if let Some(witness) = witness {
        _ = writeln!(text, "  such as: {}", escape(witness));
    }
    text.push('\n');
}
