//! From pieces of text to nodes, by `kdl`.

use std::ops::Range;

use kdl::{KdlDocument, KdlEntry, KdlError, KdlIdentifier, KdlNode, KdlValue};
use miette::SourceSpan;
use rayon::prelude::*;
use smallvec::SmallVec;

use crate::diag::{Finding, Sink};
use crate::source::{Source, SourceId, Sources, Span, Spanned};

use super::lex::{Kind, Lexer};
use super::{Annotation, Argument, Broken, Document, Node, Property, Text, Value, diags, guard, threads};

/// A text of so many bytes is read sooner than it is handed to another thread.
const SMALL: usize = 1 << 12;
/// With so many blocks inside each other `kdl` needs less than 100 KiB of stack, which every thread has.
const FLAT: usize = 8;

/// Reads every file; what cannot be read is reported, and left out. The documents are in the order of their sources,
/// whichever was read first.
#[must_use]
pub fn parse_all(sources: &Sources, sink: &mut Sink) -> Vec<Document> {
    let sources: Vec<(SourceId, &Source)> = sources.iter().collect();
    let one = |(id, source): &(SourceId, &Source)| {
        let mut own = Sink::default();
        (parse(*id, source, &mut own), own)
    };
    let read: Option<Vec<(Document, Sink)>> = threads::run(|| sources.par_iter().map(one).collect());
    // Each file says then that the parser could not run.
    let read = read.unwrap_or_else(|| sources.iter().map(one).collect());
    let take = |(document, own): (Document, Sink)| {
        own.finish().into_iter().for_each(|finding| sink.push(finding));
        document
    };
    read.into_iter().map(take).collect()
}

/// Reads one file; what cannot be read is reported, and left out.
#[must_use]
pub fn parse(id: SourceId, source: &Source, sink: &mut Sink) -> Document {
    let cut = guard::cut(id, &source.text);
    let mut document = Document { source: id, nodes: Vec::new(), broken: Vec::new(), unread: cut.unread };
    cut.findings.into_iter().for_each(|finding| sink.push(finding));
    let read = read_all(id, &source.text, &cut.pieces, cut.depth);
    document.nodes.reserve_exact(read.len());
    for (piece, read) in cut.pieces.iter().zip(read) {
        match read {
            Read::Nodes(nodes) => document.nodes.extend(nodes),
            Read::Failed(finding) => {
                document.broken.extend(broken(&source.text, piece.start));
                sink.push(*finding);
            }
            Read::Unsound => document.broken.extend(broken(&source.text, piece.start)),
        }
    }
    document
}

/// What became of a piece.
enum Read {
    /// Hardly ever more than one.
    Nodes(SmallVec<[Node; 1]>),
    Failed(Box<Finding>),
    /// It has been reported before.
    Unsound,
}

fn read_all(id: SourceId, text: &str, pieces: &[guard::Piece], depth: usize) -> Vec<Read> {
    if text.len() <= SMALL && depth <= FLAT {
        return pieces.iter().map(|piece| read(id, text, piece)).collect();
    }
    threads::run(|| pieces.par_iter().map(|piece| read(id, text, piece)).collect()).unwrap_or_else(|| {
        let failed = |piece: &guard::Piece| {
            let span = Span::new(id, piece.start..piece.end);
            Read::Failed(Box::new(diags::syntax(span, "this node", "the parser could not run")))
        };
        pieces.iter().map(failed).collect()
    })
}

fn read(id: SourceId, text: &str, piece: &guard::Piece) -> Read {
    if !piece.sound {
        return Read::Unsound;
    }
    let place = Place { id, offset: piece.start };
    let piece_text = text.get(piece.start..piece.end).unwrap_or_default();
    match KdlDocument::parse_v2(piece_text) {
        Ok(document) => Read::Nodes(document.nodes().iter().map(|node| place.node(node)).collect()),
        Err(error) => Read::Failed(Box::new(place.error(&error, piece_text))),
    }
}

/// Keyword and name of a node that cannot be read, as far as they can be seen.
fn broken(text: &str, start: usize) -> Option<Broken> {
    let mut lexer = Lexer::new(text, start);
    let mut words = std::iter::from_fn(|| lexer.next())
        .take_while(|token| matches!(token.kind, Kind::Space | Kind::Word | Kind::String))
        .filter(|token| token.kind != Kind::Space)
        .filter_map(|token| text.get(token.start..token.end))
        .map(|word| word.trim_matches(['"', '#', ':', ',']).to_owned());
    Some(Broken { keyword: words.next()?, name: words.next() })
}

/// Where a piece stands.
struct Place {
    id: SourceId,
    offset: usize,
}

impl Place {
    fn span(&self, span: SourceSpan) -> Span {
        let start = self.offset + span.offset();
        Span::new(self.id, start..start + span.len())
    }

    fn node(&self, node: &KdlNode) -> Node {
        // Sized before: there are very many, and most are of one.
        let keys = node.entries().iter().filter(|entry| entry.name().is_some()).count();
        let mut arguments = Vec::with_capacity(node.entries().len() - keys);
        let mut properties = Vec::with_capacity(keys);
        for entry in node.entries() {
            let annotation = entry.ty().map(|identifier| self.annotation(identifier));
            let value = self.value(entry);
            match entry.name() {
                Some(key) => properties.push(Property { key: self.word(key), annotation, value }),
                None => arguments.push(Argument { annotation, value }),
            }
        }
        Node {
            span: self.trimmed(node),
            annotation: node.ty().map(|identifier| self.annotation(identifier)),
            name: self.word(node.name()),
            arguments: arguments.into_boxed_slice(),
            properties: properties.into_boxed_slice(),
            children: node
                .children()
                .map(|block| block.nodes().iter().map(|child| self.node(child)).collect()),
        }
    }

    /// A node's span without the space after it, which `kdl` counts in.
    fn trimmed(&self, node: &KdlNode) -> Span {
        let span = self.span(node.span());
        if node.children().is_some() {
            return span;
        }
        let last = node.entries().last().map_or(node.name().span(), KdlEntry::span);
        Span::new(self.id, span.start()..self.span(last).end().min(span.end()))
    }

    fn annotation(&self, identifier: &KdlIdentifier) -> Annotation {
        Box::new(self.word(identifier))
    }

    fn word(&self, identifier: &KdlIdentifier) -> Spanned<Text> {
        Spanned::new(identifier.value().into(), self.span(identifier.span()))
    }

    /// The value alone: `kdl` knows only where the whole entry stands, and how its value was written.
    fn value(&self, entry: &KdlEntry) -> Spanned<Value> {
        let whole = self.span(entry.span());
        let length = entry.format().map_or(whole.end() - whole.start(), |format| format.value_repr.len());
        let span = Span::new(self.id, whole.end().saturating_sub(length).max(whole.start())..whole.end());
        let value = match entry.value() {
            KdlValue::String(text) => Value::String(text.into()),
            KdlValue::Integer(number) => Value::Integer(*number),
            KdlValue::Float(number) => Value::Float(*number),
            KdlValue::Bool(value) => Value::Bool(*value),
            KdlValue::Null => Value::Null,
        };
        Spanned::new(value, span)
    }

    /// The first complaint of `kdl` that has a place; the guard has taken the common mistakes before.
    fn error(&self, error: &KdlError, text: &str) -> Finding {
        let placed = error.diagnostics.iter().find(|diagnostic| !diagnostic.span.is_empty());
        let first = placed.or(error.diagnostics.first());
        let range = first.map_or(0..0, |diagnostic| {
            let start = diagnostic.span.offset();
            start..start + diagnostic.span.len()
        });
        let said = first.and_then(|diagnostic| diagnostic.message.clone());
        let message = said.map_or_else(|| "this is not KDL 2".to_owned(), |said| lower_first(&said));
        let range = first_line(text, range);
        let span = Span::new(self.id, self.offset + range.start..self.offset + range.end);
        let finding = diags::syntax(span, "here", message);
        finding
            .help("`gpupol rule GP0001` shows how it is written")
            .maybe_help(first.and_then(|diagnostic| diagnostic.help.clone()))
    }
}

/// The part of `range` on its first line that has text, within `text`.
fn first_line(text: &str, range: Range<usize>) -> Range<usize> {
    let part = text.get(range.clone()).unwrap_or(text);
    let from = if text.get(range.clone()).is_some() { range.start } else { 0 };
    let lead = part.len() - part.trim_start().len();
    let line = part.trim_start().split(['\n', '\r']).next().unwrap_or_default();
    from + lead..from + lead + line.len()
}

/// Our messages begin in lower case and end without a full stop.
fn lower_first(said: &str) -> String {
    let mut characters = said.trim_end_matches('.').chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

#[cfg(test)]
mod tests;
