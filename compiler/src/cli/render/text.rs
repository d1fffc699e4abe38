//! Source texts as miette reads them. Its own reader looks through a text from the beginning for each label; with the
//! lines known, many findings in a large file cost what they show.

use std::collections::BTreeMap;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::escape::cover;
use crate::diag::Finding;
use crate::source::{Source, SourceId, Sources};

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

impl Text {
    pub(super) fn len(&self) -> usize {
        self.0.text.len()
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
