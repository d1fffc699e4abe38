//! What an installation changes, in words.

use crate::cli::{diff, render};
use crate::installation::tree::{Change, Node};

/// How a program begins.
const PROGRAM: &str = "\u{7f}ELF";

/// One line for what was done at a path; none for directories and what is kept beside the record.
pub(super) fn done(change: &Change) -> String {
    let path = render::escape(&change.path);
    match (&change.before, &change.after) {
        _ if change.is_kept => String::new(),
        (Node::Directory, _) | (_, Node::Directory) => String::new(),
        (Node::Absent, Node::Link(target)) => {
            format!("made `{path}`, a link to `{}`\n", render::escape(target))
        }
        (Node::Absent, _) => format!("wrote `{path}`\n"),
        (_, Node::Absent) => format!("removed `{path}`\n"),
        _ => format!("changed `{path}`\n"),
    }
}

/// The same before it is done, with what changes in texts.
pub(super) fn shown(change: &Change) -> String {
    if change.is_kept || [&change.before, &change.after].contains(&&Node::Directory) {
        return String::new();
    }
    let path = render::escape(&change.path);
    match (text(&change.before), text(&change.after)) {
        (Some(before), Some(after)) => diff::of_change(&change.path, before, after),
        _ => match &change.after {
            Node::Absent => format!("would remove {path}\n"),
            Node::Link(target) => format!("would make {path}, a link to {}\n", render::escape(target)),
            Node::File(file) => format!("would write {path}, {} bytes\n", file.bytes.len()),
            Node::Directory | Node::Other => String::new(),
        },
    }
}

/// A text, as far as a diff can show it; what is absent has none.
fn text(node: &Node) -> Option<Option<&str>> {
    match node {
        Node::Absent => Some(None),
        Node::File(file) => {
            std::str::from_utf8(&file.bytes).ok().filter(|text| !text.starts_with(PROGRAM)).map(Some)
        }
        _ => None,
    }
}
