//! KDL 1's and other languages' habits, written as KDL 2: the fixes of what the guard finds.

use crate::diag::Fix;
use crate::source::Span;

use super::lex::{Kind, Lexer, Token};
use super::word::{self, Word};

/// A bare word that KDL 2 writes in another way; `entry`: it stands among arguments and properties.
pub(super) fn word(judged: Word, token: Token, span: Span, whole: &str, entry: bool) -> Option<Fix> {
    let text = whole.get(token.start..token.end)?;
    match judged {
        Word::OldKeyword if entry && matches!(text, "true" | "false") => {
            Some(Fix::safe().write(span, format!("#{text}")))
        }
        Word::NotANumber if entry => Some(Fix::safe().write(span, word::quoted(text))),
        Word::Colon if entry => colon(text, span, whole),
        Word::Colon => is_name(text.strip_suffix(':')?).then(|| Fix::safe().write(last(span), "")),
        Word::Comma => Some(commas(token, span, whole)),
        Word::Apostrophe if entry => apostrophes(token, span, whole),
        _ => None,
    }
}

/// `key=value` for `key: value`.
fn colon(text: &str, span: Span, whole: &str) -> Option<Fix> {
    let key = text.strip_suffix(':').filter(|key| is_name(key))?;
    let rest = whole.get(span.end()..)?;
    let gap = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let value = next(whole, span.end() + gap)?;
    let place = Span::new(span.source, span.start() + key.len()..span.end() + gap);
    matches!(value.kind, Kind::Word | Kind::String).then(|| Fix::safe().write(place, "="))
}

/// Values beside each other for values with commas after them: all of this line at once.
fn commas(first: Token, span: Span, whole: &str) -> Fix {
    let mut fix = Fix::safe();
    let mut lexer = Lexer::new(whole, first.start);
    while let Some(token) = lexer.next() {
        let text = whole.get(token.start..token.end).unwrap_or_default();
        match token.kind {
            Kind::Space | Kind::String | Kind::Equals => {}
            Kind::Word => {
                let value = text.trim_end_matches(',');
                let spaced = whole.get(token.end..).is_none_or(|rest| !rest.starts_with(['"', '#']));
                if value.len() < text.len() {
                    let place = Span::new(span.source, token.start + value.len()..token.end);
                    fix = fix.write(place, if spaced { "" } else { " " });
                }
            }
            _ => break,
        }
    }
    fix
}

/// A string in double quotes for one in apostrophes.
fn apostrophes(token: Token, span: Span, whole: &str) -> Option<Fix> {
    let rest = whole.get(token.start + 1..)?;
    let line = rest.split(['\n', '\r']).next()?;
    let (inner, after) = line.split_once('\'')?;
    let ends = after.is_empty() || after.starts_with([' ', '\t', ';', '}', '{']);
    let place = span.to(span.start() + inner.len() + 2);
    (ends && !inner.contains(['"', '\\'])).then(|| Fix::safe().write(place, word::quoted(inner)))
}

/// A space for the `=` between a node and its value.
pub(super) fn equals(span: Span, whole: &str) -> Option<Fix> {
    let (before, after) = (whole.get(..span.start())?, whole.get(span.end()..)?);
    let start = before.trim_end_matches([' ', '\t']).len();
    let end = whole.len() - after.trim_start_matches([' ', '\t']).len();
    let kind = next(whole, end)?.kind;
    let is_value = matches!(kind, Kind::Word | Kind::String) || whole.get(end..)?.starts_with('[');
    is_value.then(|| Fix::safe().write(Span::new(span.source, start..end), " "))
}

/// `#"…"#` for `r"…"` and for `r#"…"#`.
pub(super) fn raw(token: Token, span: Span, whole: &str) -> Option<Fix> {
    let text = whole.get(token.start..token.end)?;
    let place = span.from(span.start().checked_sub(1)?);
    if text.starts_with('#') {
        return Some(Fix::safe().write(place, text));
    }
    // KDL 1 ended it at the first quote, whatever stood before that.
    (!text.contains("\\\"") && !text.starts_with("\"\"\""))
        .then(|| Fix::safe().write(place, format!("#{text}#")))
}

/// `a b` for `[a, b]`.
pub(super) fn list(open: Token, span: Span, whole: &str) -> Option<Fix> {
    let mut values: Vec<&str> = Vec::new();
    let mut lexer = Lexer::new(whole, open.end);
    let close = loop {
        let token = lexer.next()?;
        let text = whole.get(token.start..token.end)?;
        match token.kind {
            Kind::Space if text.trim().is_empty() => {}
            Kind::String => values.push(text),
            Kind::Word => values.extend(text.split(',').filter(|value| !value.is_empty())),
            Kind::Stray if text == "]" => break token.end,
            _ => return None,
        }
    };
    let before = whole.get(..open.start)?.ends_with([' ', '\t']);
    let after =
        whole.get(close..)?.starts_with(|next: char| next.is_whitespace() || matches!(next, ';' | '}'));
    let (before, after) = (if before { "" } else { " " }, if after { "" } else { " " });
    let place = span.to(close);
    (!values.is_empty()).then(|| Fix::safe().write(place, format!("{before}{}{after}", values.join(" "))))
}

fn is_name(text: &str) -> bool {
    word::judge(text) == Word::Name && !text.contains(':')
}

fn next(whole: &str, at: usize) -> Option<Token> {
    Lexer::new(whole, at).next()
}

fn last(span: Span) -> Span {
    span.from(span.end().saturating_sub(1).max(span.start()))
}
