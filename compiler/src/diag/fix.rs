//! Fixes: edits of the text that mend what a finding says, as data.

use std::ops::Range;

use crate::source::{Source, Span};

mod apply;

pub use apply::{Applied, apply};

/// Edits that mend one finding: all of them, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// Whether they can be made without asking.
    pub applicability: Applicability,
    /// What to do; no two at one place.
    pub edits: Vec<Edit>,
}

/// How sure it is that a fix says what was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applicability {
    /// The text can mean nothing else.
    Safe,
    /// It is probably meant; a person must decide.
    Unsafe,
}

/// One edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where.
    pub span: Span,
    /// What.
    pub change: Change,
}

/// What becomes of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This is written there instead.
    Write(String),
    /// It goes, with what it alone needed around it.
    Remove(Part),
    /// What is before this gap and what is after it are two nodes; a comment in it stays.
    Separate,
}

/// What a place is, for what must go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A node: its line too, if there is nothing else on it.
    Node,
    /// An argument or a property: the space before it too.
    Entry,
    /// The word of a type annotation: its parentheses too.
    Annotation,
}

impl Applicability {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Unsafe => "unsafe",
        }
    }
}

impl Fix {
    /// A fix of what can mean nothing else.
    #[must_use]
    pub fn safe() -> Self {
        Self { applicability: Applicability::Safe, edits: Vec::new() }
    }

    /// A fix that somebody must agree to.
    #[must_use]
    pub fn guess() -> Self {
        Self { applicability: Applicability::Unsafe, edits: Vec::new() }
    }

    /// The same, writing `text` over a place; at an empty one it is put there.
    #[must_use]
    pub fn write(self, span: Span, text: impl Into<String>) -> Self {
        self.with(span, Change::Write(text.into()))
    }

    /// The same, taking a place out.
    #[must_use]
    pub fn remove(self, span: Span, part: Part) -> Self {
        self.with(span, Change::Remove(part))
    }

    /// The same, making two nodes of what is on both sides of a gap.
    #[must_use]
    pub fn separate(self, gap: Span) -> Self {
        self.with(gap, Change::Separate)
    }

    /// The same, putting a place into double quotes.
    #[must_use]
    pub fn quote(self, span: Span) -> Self {
        let at = |byte| Span::new(span.source, byte..byte);
        self.write(at(span.start()), "\"").write(at(span.end()), "\"")
    }

    /// Whether it takes a definition out that somebody may still need.
    #[must_use]
    pub fn is_guessed_removal(&self) -> bool {
        let removes = |edit: &Edit| edit.change == Change::Remove(Part::Node);
        self.applicability == Applicability::Unsafe && self.edits.iter().any(removes)
    }

    /// What it writes, if that is all it does.
    #[must_use]
    pub fn written(&self) -> Option<&str> {
        match self.edits.as_slice() {
            [Edit { change: Change::Write(text), .. }] => Some(text),
            _ => None,
        }
    }

    fn with(mut self, span: Span, change: Change) -> Self {
        self.edits.push(Edit { span, change });
        self
    }
}

impl Edit {
    /// The bytes of its source that go, and what comes there.
    #[must_use]
    pub fn of(&self, source: &Source) -> (Range<usize>, &str) {
        let text = source.text.as_str();
        let range = self.span.start().min(text.len())..self.span.end().min(text.len());
        match &self.change {
            Change::Write(new) => (range, new),
            Change::Remove(Part::Node) => (node(text, range), ""),
            Change::Remove(Part::Entry) => (before(text, range.start)..range.end, ""),
            Change::Remove(Part::Annotation) => (parentheses(text, range), ""),
            Change::Separate => (gap(text, range), "; "),
        }
    }
}

/// The spaces between two things, or the end of what stands there too.
fn gap(text: &str, range: Range<usize>) -> Range<usize> {
    let is_space =
        text.get(range.clone()).is_some_and(|between| between.trim_matches([' ', '\t']).is_empty());
    if is_space { range } else { range.end..range.end }
}

/// A node with the `;` after it, and with its line if it stands there alone.
fn node(text: &str, range: Range<usize>) -> Range<usize> {
    let mut end = after(text, range.end);
    if text.as_bytes().get(end) == Some(&b';') {
        end = after(text, end + 1);
    }
    let start = before(text, range.start);
    let line_begins = start == 0 || text.as_bytes().get(start - 1) == Some(&b'\n');
    let rest = text.get(end..).unwrap_or_default();
    let line_end = ["\r\n", "\n"].into_iter().find(|mark| rest.starts_with(mark)).map(str::len);
    match line_end {
        Some(length) if line_begins => start..end + length,
        None if line_begins && rest.is_empty() => start..end,
        _ => range.start..end,
    }
}

fn parentheses(text: &str, range: Range<usize>) -> Range<usize> {
    let (start, end) = (before(text, range.start), after(text, range.end));
    let around = start.checked_sub(1).and_then(|start| text.get(start..=end).map(|_| start..end + 1));
    let is_whole = |around: &Range<usize>| {
        text.get(around.clone()).is_some_and(|text| text.starts_with('(') && text.ends_with(')'))
    };
    around.filter(is_whole).unwrap_or(range)
}

/// Where the spaces before a place begin.
fn before(text: &str, at: usize) -> usize {
    text.get(..at).map_or(at, |text| text.trim_end_matches([' ', '\t']).len())
}

/// Where the spaces after a place end.
fn after(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    text.len() - rest.trim_start_matches([' ', '\t']).len()
}

#[cfg(test)]
mod tests;
