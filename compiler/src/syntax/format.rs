//! A file as it should be laid out: only spaces, line breaks and `;` change.
//!
//! ```text
//! tokens ─read→ nodes, comments and blank lines ─write→ text
//! ```
//!
//! Why not by `kdl`: its own formatter loses comments, `/-`, blank lines and the spelling of numbers and strings.

use thiserror::Error;

use crate::diag::{Code, Sink};
use crate::source::{Source, SourceId};

use super::lex::{Kind, Lexer};
use super::{parse, same};

mod read;
mod tree;
mod write;

/// Why a text is left as it is.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FormatError {
    /// It has faults, which have been reported.
    #[error("the text has faults")]
    Faulty,
    /// With its lines indented it is larger than gpupol reads.
    #[error("the formatted text would be larger than gpupol reads")]
    TooLarge,
    /// Laid out anew it would have said something else: a defect of gpupol.
    #[error("the formatted text would not mean the same")]
    MeaningChanged,
}

/// The text of a source, laid out: four spaces for each level, one between entries, `{` on the line of its node, each
/// node on a line of its own, at most one blank line, `\n` at the end of lines. A block that stands on one line stays
/// so if that line has at most 100 characters up to its `}`. Comments, `/-`, the order of everything and the spelling
/// of names, numbers and strings stay, and what is laid out so stays as it is.
///
/// # Errors
///
/// [`FormatError::Faulty`] if the text cannot be read; `sink` has the findings. [`FormatError::TooLarge`] if the
/// result cannot be read for its size. [`FormatError::MeaningChanged`] if what was written is not what was read.
pub fn format(id: SourceId, source: &Source, sink: &mut Sink) -> Result<String, FormatError> {
    let mut faults = Sink::default();
    let before = parse(id, source, &mut faults);
    let faulty = faults.has_errors();
    faults.finish().into_iter().for_each(|finding| sink.push(finding));
    if faulty {
        return Err(FormatError::Faulty);
    }
    let laid_out = write::text(&read::text(&source.text));
    let mut faults = Sink::default();
    let after = parse(id, &Source::new(source.name.as_str(), laid_out.as_str()), &mut faults);
    if faults.finish().iter().any(|finding| finding.code == Code::FileTooLarge) {
        return Err(FormatError::TooLarge);
    }
    let kept = visible(&source.text) == visible(&laid_out);
    if kept && same::documents(&before, &after) { Ok(laid_out) } else { Err(FormatError::MeaningChanged) }
}

/// All that formatting must keep, in its order: every comment, and every token but `;`.
fn visible(text: &str) -> Vec<&str> {
    let mut lexer = Lexer::new(text, 0);
    let mut kept = Vec::new();
    while let Some(token) = lexer.next() {
        let written = text.get(token.start..token.end).unwrap_or_default();
        match token.kind {
            Kind::Newline | Kind::Semicolon => {}
            Kind::Space => kept.extend(tree::comments(written).iter().map(|comment| comment.text)),
            _ => kept.push(written),
        }
    }
    kept
}
