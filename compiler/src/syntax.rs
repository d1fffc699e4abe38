//! What the files say: nodes as they are written, each part with its place, nothing understood yet.
//!
//! ```text
//! bytes ─guard→ pieces of sound shape ─kdl→ Document ─cursor→ whoever gives the nodes a meaning
//! ```

use crate::diag::{Code, Finding};
use crate::source::{SourceId, Span, Spanned};

mod cost;
pub(crate) mod cursor;
mod diags;
mod eight;
mod format;
mod guard;
mod habit;
mod lex;
mod node;
mod parse;
mod same;
mod threads;
mod word;

pub use format::{FormatError, format};
pub use guard::MAX_FILE;
pub use parse::{parse, parse_all};
pub(crate) use same::node as same_node;
pub(crate) use word::written;

/// A text as it was meant. Most are short, and there are many.
pub use smol_str::SmolStr as Text;

/// A type annotation, which hardly anything has: elsewhere it takes the room of a pointer.
pub type Annotation = Box<Spanned<Text>>;

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Which.
    pub source: SourceId,
    /// Its top-level nodes that could be read.
    pub nodes: Vec<Node>,
    /// Its top-level nodes that could not, and have been reported.
    pub broken: Vec<Broken>,
    /// Whether a part of the file was not even cut into nodes: anything may be defined there.
    pub unread: bool,
}

/// What can be guessed of a node that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its name, such as `tenant`.
    pub keyword: String,
    /// Its first argument, such as the tenant's name.
    pub name: Option<String>,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// From its name to the end of its children.
    pub span: Span,
    /// Its type annotation.
    pub annotation: Option<Annotation>,
    /// Its name.
    pub name: Spanned<Text>,
    /// Its arguments.
    pub arguments: Box<[Argument]>,
    /// Its properties in the order of their places, all of them.
    pub properties: Box<[Property]>,
    /// Its children; none if it has no block.
    pub children: Option<Box<[Node]>>,
}

/// An argument of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// Its type annotation.
    pub annotation: Option<Annotation>,
    /// Its value, without the annotation.
    pub value: Spanned<Value>,
}

/// A property of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Its key.
    pub key: Spanned<Text>,
    /// Its type annotation.
    pub annotation: Option<Annotation>,
    /// Its value, without the annotation.
    pub value: Spanned<Value>,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any form of string.
    String(Text),
    /// Any form of integer.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// `#true`, `#false`.
    Bool(bool),
    /// `#null`
    Null,
}

impl Value {
    /// What it is, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Bool(_) => "`#true` or `#false`",
            Self::Null => "`#null`",
        }
    }
}

impl Node {
    /// Its children, none if it has no block.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        self.children.as_deref().unwrap_or_default()
    }
}

/// The text of a file's bytes.
///
/// # Errors
///
/// A finding if the file is larger than [`MAX_FILE`] or no UTF-8.
pub fn text(name: &str, bytes: Vec<u8>) -> Result<String, Finding> {
    if bytes.len() > MAX_FILE {
        let message =
            format!("`{name}` has more than {MAX_FILE} bytes, which is what a file may have at most");
        return Err(Finding::general(Code::FileTooLarge, message).help("split the policy into several files"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        let message = format!("`{name}` is not UTF-8: byte {at}, on line {line}");
        Finding::general(Code::NotUtf8, message).help("save the file as UTF-8")
    })
}
