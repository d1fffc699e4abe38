//! Source texts as miette reads them. Its own reader looks through a text from the beginning for each label; with the
//! lines known, many findings in a large file cost what they show.

use std::collections::BTreeMap;
use std::ops::Range;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::escape::cover;
use crate::diag::{Finding, Label};
use crate::source::{Source, SourceId, Sources, Span};

/// The texts that some findings point into.
pub(super) struct Texts(BTreeMap<SourceId, Text>);

/// One text, safe to show.
#[derive(Debug)]
pub(super) struct Text(Source);

impl Texts {
    pub(super) fn of(findings: &[Finding], sources: &Sources) -> Self {
        let mut texts = BTreeMap::new();
        for label in findings.iter().flat_map(|finding| &finding.labels) {
            if let Some(source) = sources.get(label.span.source) {
                let text = || Text(Source::new(super::escape(&source.name), cover(&source.text)));
                texts.entry(label.span.source).or_insert_with(text);
            }
        }
        Self(texts)
    }

    pub(super) fn get(&self, id: SourceId) -> Option<&Text> {
        self.0.get(&id)
    }
}

/// More text than this around one label would hide what it says.
const MOST_BYTES: usize = 4096;

impl Text {
    /// The file's name, safe to show.
    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    /// The part of a span that is in the text, and of a long one the beginning.
    pub(super) fn range(&self, span: Span) -> Range<usize> {
        let text = &self.0.text;
        let start = text.floor_char_boundary(span.start());
        let end = text.floor_char_boundary(span.end().min(start + MOST_BYTES / 2));
        start..end.max(start)
    }

    /// Whether the lines of a label, and those beside them, are short enough to be drawn.
    pub(super) fn can_show(&self, span: Span) -> bool {
        let range = self.range(span);
        let (first, _) = self.0.position(range.start);
        let (last, _) = self.0.position(range.end);
        let shown = self.0.line_start(last + 1) - self.0.line_start(first.saturating_sub(2));
        shown <= MOST_BYTES
    }

    /// Where a label is and what it says, in words.
    pub(super) fn place(&self, label: &Label) -> String {
        let (line, column) = self.0.position(self.range(label.span).start);
        format!("{} at {}:{line}:{column}", super::escape(&label.text), self.0.name)
    }
}

impl SourceCode for Text {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let source = &self.0;
        let (line, column) = source.position(span.offset());
        let (last, _) = source.position(span.offset() + span.len().saturating_sub(1));
        let first = line.saturating_sub(1).saturating_sub(before);
        // Without context miette asks for the place alone, to name it in the head of the snippet.
        let (start, column) =
            if before == 0 { (span.offset(), column - 1) } else { (source.line_start(first), 0) };
        let end = source.line_start(last.saturating_add(after)).max(span.offset() + span.len());
        let shown = source.text.as_bytes().get(start..end).ok_or(MietteError::OutOfBounds)?;
        let range = SourceSpan::from((start, shown.len()));
        let name = source.name.clone();
        Ok(Box::new(MietteSpanContents::new_named(name, shown, range, first, column, source.line_count())))
    }
}
