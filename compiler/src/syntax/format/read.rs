//! From tokens to a tree. The text is sound: the parser has read it.

use super::tree::{Block, Comment, Filler, Form, Gap, Item, Node, Part, comments};
use crate::syntax::lex::{Kind, Lexer, Token};

/// A whole text.
pub(super) fn text(text: &str) -> Block<'_> {
    Reader { text, lexer: Lexer::new(text, 0), peeked: None }.block(Line::Fresh)
}

struct Reader<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    peeked: Option<Token>,
}

/// What was read of the line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// It is the one of the `{`.
    Opening,
    /// Nothing.
    Fresh,
    /// A part of the last item.
    Begun,
}

impl<'t> Reader<'t> {
    fn peek(&mut self) -> Option<Token> {
        self.peeked = self.peeked.or_else(|| self.lexer.next());
        self.peeked
    }

    fn kind(&mut self) -> Option<Kind> {
        self.peek().map(|token| token.kind)
    }

    /// The text of the next token, which is taken.
    fn take(&mut self) -> &'t str {
        let token = self.peek();
        self.peeked = None;
        token.and_then(|token| self.text.get(token.start..token.end)).unwrap_or_default()
    }

    /// Up to the `}`, or the end of the text.
    fn block(&mut self, mut line: Line) -> Block<'t> {
        let start = self.start();
        let mut block = Block::default();
        let mut breaks = 0;
        while let Some(kind) = self.kind().filter(|kind| *kind != Kind::BraceClose) {
            match kind {
                Kind::Newline => {
                    self.take();
                    breaks += 1;
                    line = Line::Fresh;
                }
                Kind::Semicolon => _ = self.take(),
                Kind::Space => {
                    let space = self.take();
                    for comment in comments(space) {
                        line = block.comment(comment, line, std::mem::take(&mut breaks));
                    }
                    line = if space.starts_with('\\') { Line::Fresh } else { line };
                }
                _ => {
                    block.node(self.node(), line, std::mem::take(&mut breaks));
                    line = Line::Begun;
                }
            }
        }
        let inner = self.text.get(start..self.start()).unwrap_or_default();
        block.one_line = !inner.contains(is_break);
        block
    }

    /// Where the next token begins.
    fn start(&mut self) -> usize {
        self.peek().map_or(self.text.len(), |token| token.start)
    }

    fn node(&mut self) -> Node<'t> {
        let mut node = Node::default();
        loop {
            let gap = self.gap(false);
            match self.kind() {
                None | Some(Kind::Newline | Kind::Semicolon | Kind::BraceClose) => {
                    node.trailing.extend(gap.into_iter().filter_map(Filler::comment));
                    return node;
                }
                Some(_) => node.parts.push(self.part(gap)),
            }
        }
    }

    fn part(&mut self, gap: Gap<'t>) -> Part<'t> {
        let slashdash = (self.kind() == Some(Kind::Slashdash)).then(|| {
            self.take();
            self.gap(true)
        });
        let form = if self.kind() == Some(Kind::BraceOpen) {
            self.take();
            let block = self.block(Line::Opening);
            self.take();
            Form::Block(block)
        } else {
            Form::Entry(self.entry())
        };
        Part { gap, slashdash, form }
    }

    /// `(type)name`, `(type)value`, `key=(type)value`
    fn entry(&mut self) -> Vec<(Gap<'t>, &'t str)> {
        let mut words = vec![(Gap::new(), self.take())];
        loop {
            let mut back = words.iter().rev().map(|(_, word)| *word);
            let goes_on = matches!(back.next(), Some("(" | ")" | "=")) || back.next() == Some("(");
            if !goes_on && !self.equals_follows() {
                return words;
            }
            let gap = self.gap(false);
            words.push((gap, self.take()));
        }
    }

    /// Whether `=` is what comes after spaces and comments.
    fn equals_follows(&mut self) -> bool {
        let Some(next) = self.peek() else { return false };
        let mut ahead = Lexer::new(self.text, next.start);
        let found = std::iter::from_fn(|| ahead.next()).find(|token| token.kind != Kind::Space);
        found.is_some_and(|token| token.kind == Kind::Equals)
    }

    /// Spaces and comments; line breaks too if `over_lines`.
    fn gap(&mut self, over_lines: bool) -> Gap<'t> {
        let mut gap = Gap::new();
        while let Some(kind) = self.kind() {
            match kind {
                Kind::Newline if over_lines => _ = self.take(),
                Kind::Space => fill(&mut gap, self.take()),
                _ => break,
            }
        }
        gap
    }
}

/// Adds a space. Of `\`, comments that end before their line does go before it; two in a row are one.
fn fill<'t>(gap: &mut Gap<'t>, space: &'t str) {
    let mut to_end = None;
    for comment in comments(space) {
        if space.starts_with('\\') && comment.to_end {
            to_end = Some(comment);
        } else {
            gap.push(Filler::Comment(comment));
        }
    }
    let again = to_end.is_none() && matches!(gap.last(), Some(Filler::Continued(_)));
    if space.starts_with('\\') && !again {
        gap.push(Filler::Continued(to_end));
    }
}

fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

impl<'t> Block<'t> {
    /// Adds a comment that stands between nodes.
    fn comment(&mut self, comment: Comment<'t>, line: Line, breaks: usize) -> Line {
        if line == Line::Opening {
            self.opening.push(comment);
            return line;
        }
        if line == Line::Fresh {
            self.begin(breaks);
        }
        match self.items.last_mut() {
            Some(item) if item.node.is_some() => item.after.push(comment),
            Some(item) => item.comments.push(comment),
            None => {}
        }
        Line::Begun
    }

    /// Adds a node; the comments before it on its line are its own.
    fn node(&mut self, node: Node<'t>, line: Line, breaks: usize) {
        let before = match self.items.last_mut() {
            _ if line == Line::Opening => std::mem::take(&mut self.opening),
            Some(item) if line == Line::Begun && item.node.is_none() => {
                item.node = Some(node);
                return;
            }
            Some(item) if line == Line::Begun => std::mem::take(&mut item.after),
            _ => Vec::new(),
        };
        self.begin(breaks);
        if let Some(item) = self.items.last_mut() {
            (item.comments, item.node) = (before, Some(node));
        }
    }

    fn begin(&mut self, breaks: usize) {
        let after_blank = breaks > 1 && !self.items.is_empty();
        self.items.push(Item { after_blank, ..Item::default() });
    }
}
