//! Tokens of KDL 2: one linear pass over bytes that neither allocates nor recurses.
//!
//! It knows where strings and comments end, which is all that cutting and bounding a text needs; what a string or a
//! number means is `kdl`'s to say.
//!
//! What is done for every token of every policy is always inlined here and in its callers: a third of its time, measured.

use super::eight;

/// How many `/*` may stand inside each other.
const MAX_COMMENTS: usize = 32;

/// How many bytes of plain text are skipped at once.
const BLOCK: usize = 16;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Space, a comment, or a line continued by `\`.
    Space,
    /// A line break.
    Newline,
    /// Anything bare: a name, a number, a keyword.
    Word,
    /// A quoted string of any form.
    String,
    /// `=`
    Equals,
    /// `(`
    ParenOpen,
    /// `)`
    ParenClose,
    /// `{`
    BraceOpen,
    /// `}`
    BraceClose,
    /// `;`
    Semicolon,
    /// `/-`
    Slashdash,
    /// A character that may not stand here, such as `[`.
    Stray,
}

/// A token: its kind, its first byte, one past its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What is wrong inside of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// A string without its closing quote on its line.
    OpenString,
    /// `"""` or `#"` … without its end in the file.
    OpenBlockString,
    /// `"""` with text after it.
    TextAfterQuotes,
    /// `/*` without its `*/`.
    OpenComment,
    /// `/*` nested too deep.
    DeepComment,
    /// `\` and something that it does not escape.
    BadEscape,
    /// A control or direction character.
    Forbidden,
}

/// A [`Flaw`] and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlawAt {
    pub(super) flaw: Flaw,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The tokens of a text.
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    flaw: Option<FlawAt>,
    /// Which line of [`eight::LINE`] bytes is known.
    line: usize,
    /// Its bytes that are surely of bare words.
    bare: u64,
}

/// What one character is to KDL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Space,
    Newline,
    Mark,
    Forbidden,
    /// A byte of a character beyond ASCII: the whole character says what it is.
    Wide,
}

/// What each byte is by itself.
const CLASSES: [Class; 256] = classes();

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str, at: usize) -> Self {
        let bom = if at == 0 && text.starts_with('\u{feff}') { 3 } else { 0 };
        Self { text, at: at + bom, flaw: None, line: usize::MAX, bare: 0 }
    }

    /// The first flaw of the token that was read last.
    pub(super) fn flaw(&mut self) -> Option<FlawAt> {
        self.flaw.take()
    }

    /// Passes over spaces and tabs; whether there were any. They are half of all tokens, and say next to nothing.
    #[inline(always)]
    pub(super) fn skip_blanks(&mut self) -> bool {
        let is_blank = |byte| matches!(byte, b' ' | b'\t');
        if !is_blank(self.byte(self.at)) {
            return false;
        }
        // One between two words, or those before the first.
        self.at += 1;
        if is_blank(self.byte(self.at)) {
            self.skip_eights(eight::spaces);
            self.skip(is_blank);
        }
        true
    }

    /// The next token; none at the end.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<Token> {
        let start = self.at;
        let byte = *self.text.as_bytes().get(start)?;
        let kind = match class(byte) {
            Class::Word => {
                self.skip_bare();
                self.skip_class(Class::Word);
                Kind::Word
            }
            Class::Newline if byte == b'\n' => self.single(Kind::Newline),
            Class::Mark => self.mark(byte),
            Class::Space | Class::Newline | Class::Forbidden | Class::Wide => self.run(),
        };
        Some(Token { kind, start, end: self.at })
    }

    fn mark(&mut self, byte: u8) -> Kind {
        match byte {
            b'"' => self.quoted(),
            b'#' => self.hash(),
            b'/' => self.slash(),
            b'\\' => self.continuation(),
            b'=' => self.single(Kind::Equals),
            b'(' => self.single(Kind::ParenOpen),
            b')' => self.single(Kind::ParenClose),
            b'{' => self.single(Kind::BraceOpen),
            b'}' => self.single(Kind::BraceClose),
            b';' => self.single(Kind::Semicolon),
            _ => self.single(Kind::Stray),
        }
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(0)
    }

    fn ended(&self) -> bool {
        self.at >= self.text.len()
    }

    fn note(&mut self, flaw: Flaw, start: usize, end: usize) {
        self.flaw.get_or_insert(FlawAt { flaw, start, end });
    }

    fn single(&mut self, kind: Kind) -> Kind {
        self.at += 1;
        kind
    }

    /// Class and length of the character at `at`.
    fn class(&self, at: usize) -> (Class, usize) {
        let byte = self.byte(at);
        match class(byte) {
            Class::Newline if byte == b'\r' && self.byte(at + 1) == b'\n' => (Class::Newline, 2),
            Class::Wide => wide(self.text.get(at..).and_then(|rest| rest.chars().next())),
            class => (class, 1),
        }
    }

    /// Skips the bytes that `plain` holds for.
    #[inline(always)]
    fn skip(&mut self, plain: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !plain(*byte)).unwrap_or(rest.len());
    }

    /// Skips what is surely of a bare word. Where words end is found for a whole line ahead, so that the next word can be
    /// looked at before the processor knows all of this one, and how long it is need not be guessed.
    #[inline(always)]
    fn skip_bare(&mut self) {
        loop {
            let (line, from) = (self.at / eight::LINE, self.at % eight::LINE);
            if line != self.line {
                self.bare = eight::line(self.text.as_bytes(), line, eight::bare);
                self.line = line;
            }
            let known = (!(self.bare >> from)).trailing_zeros() as usize;
            self.at += known;
            if from + known < eight::LINE {
                return;
            }
        }
    }

    /// Skips the bytes from the next one on that a test of eight at a time is sure of.
    #[inline(always)]
    fn skip_eights(&mut self, sure: impl Fn(u64) -> u64) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        for bytes in rest.as_chunks().0 {
            let known = eight::count(sure(u64::from_le_bytes(*bytes)));
            self.at += known;
            if known < bytes.len() {
                return;
            }
        }
    }

    /// Skips plain text by whole blocks.
    fn skip_plain(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let (blocks, _) = rest.as_chunks::<BLOCK>();
        // To the end of the block in any case, so that the processor compares all bytes of it at once.
        let plain = |plain, byte: &u8| plain & (b' '..0x7f).contains(byte);
        self.at += BLOCK * blocks.iter().take_while(|block| block.iter().fold(true, plain)).count();
    }

    /// A word, a run of spaces, or one line break.
    fn run(&mut self) -> Kind {
        let (first, length) = self.class(self.at);
        let start = self.at;
        self.at += length;
        match first {
            Class::Newline => return Kind::Newline,
            Class::Forbidden | Class::Mark => {
                self.note(Flaw::Forbidden, start, self.at);
                return Kind::Stray;
            }
            Class::Word | Class::Space | Class::Wide => {}
        }
        self.skip_class(first);
        if first == Class::Space { Kind::Space } else { Kind::Word }
    }

    #[inline(always)]
    fn skip_class(&mut self, wanted: Class) {
        self.skip(|byte| class(byte) == wanted);
        while class(self.byte(self.at)) == Class::Wide {
            let (wide, length) = self.class(self.at);
            if wide != wanted {
                return;
            }
            self.at += length;
            self.skip(|byte| class(byte) == wanted);
        }
    }

    fn slash(&mut self) -> Kind {
        match self.byte(self.at + 1) {
            b'/' => {
                self.line_comment();
                Kind::Space
            }
            b'*' => {
                self.block_comment();
                Kind::Space
            }
            b'-' => {
                self.at += 2;
                Kind::Slashdash
            }
            _ => self.single(Kind::Stray),
        }
    }

    fn line_comment(&mut self) {
        loop {
            self.skip_plain();
            self.skip_eights(eight::plain);
            self.skip(is_harmless);
            if self.ended() || self.class(self.at).0 == Class::Newline {
                return;
            }
            self.inner();
        }
    }

    fn block_comment(&mut self) {
        let start = self.at;
        let mut depth = 0;
        while !self.ended() {
            self.skip(|byte| is_harmless(byte) && !matches!(byte, b'/' | b'*'));
            match (self.byte(self.at), self.byte(self.at + 1)) {
                (b'/', b'*') if depth == MAX_COMMENTS => {
                    self.note(Flaw::DeepComment, self.at, self.at + 2);
                    self.at = self.text.len();
                    return;
                }
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ if self.ended() => break,
                _ => self.inner(),
            }
        }
        self.note(Flaw::OpenComment, start, start + 2);
    }

    /// One character inside of a string or a comment.
    fn inner(&mut self) {
        let (class, length) = self.class(self.at);
        if class == Class::Forbidden {
            self.note(Flaw::Forbidden, self.at, self.at + length);
        }
        self.at += length;
    }

    /// `\`, space, and the end of the line.
    fn continuation(&mut self) -> Kind {
        let start = self.at;
        self.at += 1;
        self.skip_class(Class::Space);
        while self.byte(self.at) == b'/' && self.byte(self.at + 1) == b'*' {
            self.block_comment();
            self.skip_class(Class::Space);
        }
        if self.byte(self.at) == b'/' && self.byte(self.at + 1) == b'/' {
            self.line_comment();
        }
        if self.ended() {
            return Kind::Space;
        }
        let (class, length) = self.class(self.at);
        if class == Class::Newline {
            self.at += length;
            return Kind::Space;
        }
        self.at = start + 1;
        Kind::Stray
    }

    fn quoted(&mut self) -> Kind {
        let start = self.at;
        if self.starts_with("\"\"\"") {
            self.at += 3;
            self.text_after_quotes(start);
            self.block_string(start, true, 0);
            return Kind::String;
        }
        self.at += 1;
        while !self.ended() {
            self.skip_eights(eight::quoted);
            self.skip(|byte| is_harmless(byte) && !matches!(byte, b'"' | b'\\'));
            match self.byte(self.at) {
                b'"' => return self.single(Kind::String),
                b'\\' => self.escape(),
                _ if self.ended() || self.class(self.at).0 == Class::Newline => break,
                _ => self.inner(),
            }
        }
        self.note(Flaw::OpenString, start, self.at);
        Kind::String
    }

    fn starts_with(&self, mark: &str) -> bool {
        self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(mark.as_bytes()))
    }

    fn text_after_quotes(&mut self, start: usize) {
        if !self.ended() && self.class(self.at).0 != Class::Newline {
            self.note(Flaw::TextAfterQuotes, start, self.at);
        }
    }

    /// The rest of a string in three quotes, up to them and as many `#` as it began with.
    fn block_string(&mut self, start: usize, escapes: bool, hashes: usize) {
        let opened = self.at;
        while !self.ended() {
            if self.starts_with("\"\"\"") && self.hashes(self.at + 3, hashes) == hashes {
                self.at += 3 + hashes;
                return;
            }
            match self.byte(self.at) {
                b'\\' if escapes => self.escape(),
                b'"' => {
                    self.at += 1;
                }
                _ => self.inner(),
            }
        }
        self.note(Flaw::OpenBlockString, start, opened);
    }

    /// How many `#` stand at `at`, counted up to `most`.
    fn hashes(&self, at: usize, most: usize) -> usize {
        self.text.bytes().skip(at).take(most).take_while(|byte| *byte == b'#').count()
    }

    fn escape(&mut self) {
        let start = self.at;
        self.at += 1;
        match self.byte(self.at) {
            b'n' | b'r' | b't' | b'\\' | b'"' | b'b' | b'f' | b's' => self.at += 1,
            b'u' => self.unicode_escape(start),
            _ => self.space_escape(start),
        }
    }

    fn unicode_escape(&mut self, start: usize) {
        self.at += 1;
        let digits = self.text.get(self.at..).and_then(|rest| rest.strip_prefix('{')).and_then(|rest| {
            let end = rest.bytes().take(7).position(|byte| byte == b'}')?;
            rest.get(..end)
        });
        let character =
            digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        match (digits, character) {
            (Some(digits), Some(_)) => self.at += digits.len() + 2,
            _ => self.note(Flaw::BadEscape, start, self.at),
        }
    }

    /// `\` before space, which takes the space away, line breaks too.
    fn space_escape(&mut self, start: usize) {
        let from = self.at;
        while !self.ended() {
            let (class, length) = self.class(self.at);
            if !matches!(class, Class::Space | Class::Newline) {
                break;
            }
            self.at += length;
        }
        if self.at == from && !self.ended() {
            let (_, length) = self.class(self.at);
            self.note(Flaw::BadEscape, start, self.at + length);
        }
    }

    /// `#`: a raw string, or a keyword such as `#true`.
    fn hash(&mut self) -> Kind {
        let start = self.at;
        while self.byte(self.at) == b'#' {
            self.at += 1;
        }
        let hashes = self.at - start;
        if self.byte(self.at) != b'"' {
            self.skip_class(Class::Word);
            return Kind::Word;
        }
        self.raw(start, hashes);
        Kind::String
    }

    fn raw(&mut self, start: usize, hashes: usize) {
        if self.starts_with("\"\"\"") && self.class(self.at + 3).0 == Class::Newline {
            self.at += 3;
            return self.block_string(start, false, hashes);
        }
        self.at += 1;
        while !self.ended() && self.class(self.at).0 != Class::Newline {
            if self.byte(self.at) != b'"' {
                self.inner();
                continue;
            }
            self.at += 1;
            let found = self.hashes(self.at, hashes);
            self.at += found;
            if found == hashes {
                return;
            }
        }
        self.note(Flaw::OpenString, start, self.at);
    }
}

/// What a byte is by itself.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "there is an entry for each byte")]
fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

/// Whether a byte is one character that says nothing to strings and comments, but for their own marks.
fn is_harmless(byte: u8) -> bool {
    matches!(class(byte), Class::Word | Class::Space | Class::Mark)
}

#[expect(clippy::indexing_slicing, reason = "each index is of a byte")]
const fn classes() -> [Class; 256] {
    let mut classes = [Class::Wide; 256];
    let mut byte = 0;
    while byte < 0x80 {
        classes[byte as usize] = ascii(byte);
        byte += 1;
    }
    classes
}

const fn ascii(byte: u8) -> Class {
    match byte {
        b'\n' | b'\r' | 0x0b | 0x0c => Class::Newline,
        b' ' | b'\t' => Class::Space,
        b'"' | b'#' | b'/' | b'\\' | b'=' | b'(' | b')' | b'{' | b'}' | b';' | b'[' | b']' => Class::Mark,
        0..0x20 | 0x7f => Class::Forbidden,
        _ => Class::Word,
    }
}

/// Class and length of a character beyond ASCII.
fn wide(character: Option<char>) -> (Class, usize) {
    let Some(character) = character else { return (Class::Forbidden, 1) };
    let class = match character {
        '\u{85}' | '\u{2028}' | '\u{2029}' => Class::Newline,
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            Class::Space
        }
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
            Class::Forbidden
        }
        _ => Class::Word,
    };
    (class, character.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::{Kind, Lexer, Token};

    #[test]
    fn a_word_is_found_whole_wherever_it_stands() {
        for word in ["g", "gpu-set", "a,b", "größe", "x!y", &"w".repeat(64), &"long_".repeat(40)] {
            for start in 0..130 {
                for after in ["", " ", "=", "\n", "{"] {
                    let text = format!("{}{word}{after}", " ".repeat(start));
                    let mut lexer = Lexer::new(&text, 0);
                    assert_eq!(lexer.skip_blanks(), start > 0);
                    let token = Token { kind: Kind::Word, start, end: start + word.len() };
                    assert_eq!(lexer.next(), Some(token), "{text:?}");
                }
            }
        }
    }
}
