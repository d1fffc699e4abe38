//! Source texts, and places in them.

use std::ops::Range;

/// A policy file: its name as the user knows it, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Path as it was given or found, with `/` between components; what messages print.
    pub name: String,
    /// Where it stands in the policy, whichever way the policy was named; what plans and digests say.
    pub place: String,
    /// The text.
    pub text: String,
    lines: Vec<usize>,
    /// How many characters stand before each block of [`BLOCK`] bytes, so that a column of a long line costs no more
    /// than one of a short line.
    blocks: Vec<usize>,
}

/// Bytes for which the characters before them are known.
const BLOCK: usize = 1024;

/// Which source of a [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// A place in a source, in bytes. Every word of every file has one, so it is small: what stands beyond 4 GiB, far more
/// than a file may have, counts as standing there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The source.
    pub source: SourceId,
    start: u32,
    end: u32,
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where.
    pub span: Span,
}

/// All sources of one run, in the order of their places.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    sources: Vec<Source>,
}

impl Span {
    /// A span of `range` in `source`.
    #[must_use]
    pub fn new(source: SourceId, range: Range<usize>) -> Self {
        Self { source, start: place(range.start), end: place(range.end.max(range.start)) }
    }

    /// First byte.
    #[must_use]
    pub fn start(self) -> usize {
        index(self.start)
    }

    /// One past the last byte.
    #[must_use]
    pub fn end(self) -> usize {
        index(self.end)
    }

    /// All of its bytes.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start()..self.end()
    }

    /// Whether all of it is part of another.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.source == other.source && self.start >= other.start && self.end <= other.end
    }

    /// The same from another first byte.
    #[must_use]
    pub fn from(self, start: usize) -> Self {
        Self::new(self.source, start..self.end())
    }

    /// The same up to another end.
    #[must_use]
    pub fn to(self, end: usize) -> Self {
        Self::new(self.source, self.start()..end)
    }
}

impl<T> Spanned<T> {
    /// `value`, written at `span`.
    #[must_use]
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl Source {
    /// A source of that name and text; the lines are found once.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        let blocks = text.as_bytes().chunks(BLOCK).scan(0, |sum, block| {
            *sum += characters(block);
            Some(*sum)
        });
        let blocks = std::iter::once(0).chain(blocks).collect();
        let name = name.into();
        Self { place: name.clone(), name, text, lines, blocks }
    }

    /// The same at that place in its policy; without it, the place is the name.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> Self {
        Self { place: place.into(), ..self }
    }

    /// Line and column of a byte, both from 1, the column in characters.
    #[must_use]
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= byte).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        (line, self.characters_before(byte) - self.characters_before(start) + 1)
    }

    fn characters_before(&self, byte: usize) -> usize {
        let byte = byte.min(self.text.len());
        let block = byte / BLOCK;
        let rest = self.text.as_bytes().get(block * BLOCK..byte).unwrap_or_default();
        self.blocks.get(block).copied().unwrap_or(0) + characters(rest)
    }

    /// Where a line (from 0) begins, in bytes; past the last line, the end of the text.
    #[must_use]
    pub fn line_start(&self, line: usize) -> usize {
        self.lines.get(line).copied().unwrap_or(self.text.len())
    }

    /// How many lines there are.
    #[must_use]
    pub fn line_count(&self) -> usize {
        self.lines.len()
    }
}

impl Sources {
    /// The sources, sorted by name so that the order in which files were found never shows.
    #[must_use]
    pub fn new(mut sources: Vec<Source>) -> Self {
        sources.sort_by(|a, b| (&a.place, &a.name).cmp(&(&b.place, &b.name)));
        Self { sources }
    }

    /// Every source with its id.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        (0u32..).map(SourceId).zip(&self.sources)
    }

    /// The source of an id of this collection.
    #[must_use]
    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(usize::try_from(id.0).ok()?)
    }
}

fn place(byte: usize) -> u32 {
    u32::try_from(byte).unwrap_or(u32::MAX)
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// How many characters begin in these bytes of UTF-8.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Source};

    #[test]
    fn a_column_counts_characters_however_long_the_line() {
        let text = format!("a\n{}\nb", "é".repeat(2 * BLOCK));
        let source = Source::new("p.kdl", text.as_str());
        let (mut line, mut column) = (1, 1);
        for (byte, character) in text.char_indices() {
            assert_eq!(source.position(byte), (line, column), "byte {byte}");
            (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        assert_eq!(source.position(text.len() + 7), (3, 2));
        assert_eq!(Source::new("", "").position(0), (1, 1));
        assert_eq!(Source::new("", "x".repeat(BLOCK)).position(BLOCK), (1, BLOCK + 1));
    }
}
