//! What a file consists of when it is laid out.

use crate::syntax::lex::{Kind, Lexer};

/// The text within braces, or a whole file.
#[derive(Debug, Default)]
pub(super) struct Block<'t> {
    /// Comments on the line of its `{`.
    pub(super) opening: Vec<Comment<'t>>,
    pub(super) items: Vec<Item<'t>>,
    /// Whether it stands on one line.
    pub(super) one_line: bool,
}

/// A node with the comments on its line, or comments alone.
#[derive(Debug, Default)]
pub(super) struct Item<'t> {
    /// Whether a blank line comes before it.
    pub(super) after_blank: bool,
    /// Comments before the node, or alone.
    pub(super) comments: Vec<Comment<'t>>,
    pub(super) node: Option<Node<'t>>,
    /// Comments after the node's `;`.
    pub(super) after: Vec<Comment<'t>>,
}

/// A node.
#[derive(Debug, Default)]
pub(super) struct Node<'t> {
    /// Its name first, then its entries and blocks.
    pub(super) parts: Vec<Part<'t>>,
    /// Comments after the last part.
    pub(super) trailing: Vec<Comment<'t>>,
}

/// A name, an argument, a property or a block, with what stands before it.
#[derive(Debug)]
pub(super) struct Part<'t> {
    pub(super) gap: Gap<'t>,
    /// Its `/-`, with what stands between that and what it takes out.
    pub(super) slashdash: Option<Gap<'t>>,
    pub(super) form: Form<'t>,
}

#[derive(Debug)]
pub(super) enum Form<'t> {
    /// Words and marks such as `(`, `t`, `)`, `key`, `=`, `"value"`, each with what stands before it.
    Entry(Vec<(Gap<'t>, &'t str)>),
    Block(Block<'t>),
}

/// What stands between two parts of one node beside spaces.
pub(super) type Gap<'t> = Vec<Filler<'t>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filler<'t> {
    /// A comment; one to the end of its line only after `/-`, which reaches over that.
    Comment(Comment<'t>),
    /// `\` and a line break, with a comment between the two.
    Continued(Option<Comment<'t>>),
}

/// A comment as written, without spaces behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Comment<'t> {
    pub(super) text: &'t str,
    /// Whether it goes to the end of its line, `//`.
    pub(super) to_end: bool,
}

/// The comments in a space: one if it is a comment, any number after `\`.
pub(super) fn comments(space: &str) -> Vec<Comment<'_>> {
    let inner = space.strip_prefix('\\').unwrap_or(space);
    let mut lexer = Lexer::new(inner, 0);
    std::iter::from_fn(|| lexer.next())
        .filter(|token| token.kind == Kind::Space)
        .filter_map(|token| inner.get(token.start..token.end))
        .filter(|text| text.starts_with('/'))
        .map(|text| Comment { text: text.trim_end(), to_end: text.starts_with("//") })
        .collect()
}

impl<'t> Filler<'t> {
    pub(super) fn comment(self) -> Option<Comment<'t>> {
        match self {
            Self::Comment(comment) => Some(comment),
            Self::Continued(comment) => comment,
        }
    }
}
