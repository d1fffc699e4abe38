//! A comparison for people.

use std::fmt::Write;

use super::words::{self, Words};
use super::{Compared, Counts};
use crate::cli::render::escape;
use crate::comparison::{Change, Direction, Witness};

/// More than anybody reads.
const MOST_CLASSES: usize = 500;

pub(super) fn text(compared: &Compared<'_>) -> String {
    let mut text = String::new();
    let settings = &compared.comparison.settings;
    if !settings.is_empty() {
        paragraph(&Words::of("every container"), settings, compared, &mut text);
    }
    for difference in compared.comparison.differences.iter().take(MOST_CLASSES) {
        paragraph(&words::class(difference), &difference.changes, compared, &mut text);
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

fn paragraph(class: &Words, changes: &[Change], compared: &Compared<'_>, text: &mut String) {
    // Writing to a string cannot fail.
    _ = writeln!(text, "{}", escape(&class.plain()));
    for (witness, changes) in by_witness(changes) {
        for change in changes {
            let mark = match change.direction {
                Direction::Gain => '+',
                Direction::Loss => '-',
                Direction::Other => '~',
            };
            _ = writeln!(text, "  {mark} {}", escape(&words::change(change, compared).plain()));
        }
        if let Some(witness) = witness {
            _ = writeln!(
                text,
                "  such as{}: {}",
                escape(&words::place(witness, compared)),
                escape(&witness.kdl())
            );
        }
    }
    text.push('\n');
}

/// Changes that one container shows together, in the order of the first ones.
fn by_witness(changes: &[Change]) -> Vec<(Option<&Witness>, Vec<&Change>)> {
    let mut parts: Vec<(Option<&Witness>, Vec<&Change>)> = Vec::new();
    for change in changes {
        let witness = change.witness.as_ref();
        match parts.iter_mut().find(|(known, _)| *known == witness) {
            Some((_, part)) => part.push(change),
            None => parts.push((witness, vec![change])),
        }
    }
    parts
}
