//! Reading a node: take what is known, then prove that nothing is left.
//!
//! Every name that a reader asks for is also what it offers to whoever mistyped one.

use std::collections::BTreeSet;
use std::fmt::Display;

use smallvec::SmallVec;

use crate::diag::fix::Part;
use crate::diag::{Code, Finding, Fix, Sink};
use crate::source::{Span, Spanned};

use super::{Argument, Node, Property, Text, Value, same};

mod near;
#[cfg(test)]
pub(crate) mod record;

pub(crate) use near::{nearest, one_of, suggest, suggestion};

/// Few nodes know more names.
type Names = SmallVec<[&'static str; 8]>;

/// Reads one node. Its end is [`Cursor::finish`], which reports whatever nobody took.
#[derive(Debug)]
pub(crate) struct Cursor<'n> {
    node: &'n Node,
    arguments: usize,
    free_properties: bool,
    properties: Names,
    children: Names,
    faulty: bool,
    /// It has been said that an argument is missing.
    unnamed: bool,
    lacking: Vec<Finding>,
}

impl<'n> Cursor<'n> {
    /// Begins to read; reports type annotations, which mean nothing here.
    pub(crate) fn open(node: &'n Node, sink: &mut Sink) -> Self {
        let mut cursor = Self {
            node,
            arguments: 0,
            free_properties: false,
            properties: Names::new(),
            children: Names::new(),
            faulty: false,
            unnamed: false,
            lacking: Vec::new(),
        };
        let arguments = node.arguments.iter().filter_map(|argument| argument.annotation.as_ref());
        let properties = node.properties.iter().filter_map(|property| property.annotation.as_ref());
        for annotation in node.annotation.iter().chain(arguments).chain(properties) {
            let message = format!("a type annotation, `({})`, means nothing here", annotation.value);
            let finding = Finding::at(Code::BadValue, annotation.span, "means nothing", message);
            let fix = Fix::safe().remove(annotation.span, Part::Annotation);
            cursor.blame(sink, finding.help("remove it").fix(fix));
        }
        cursor
    }

    /// The node.
    #[must_use]
    pub(crate) fn node(&self) -> &'n Node {
        self.node
    }

    /// Reports something of this node.
    pub(crate) fn blame(&mut self, sink: &mut Sink, finding: Finding) {
        self.faulty = true;
        sink.push(finding);
    }

    /// What was read of this node; if it could not be, that is reported.
    pub(crate) fn accept<T>(&mut self, read: Result<T, Finding>, sink: &mut Sink) -> Option<T> {
        read.map_err(|finding| self.blame(sink, finding)).ok()
    }

    /// The next argument, if there is one.
    pub(crate) fn argument(&mut self) -> Option<&'n Argument> {
        let argument = self.node.arguments.get(self.arguments)?;
        self.arguments += 1;
        Some(argument)
    }

    /// The next argument, a string.
    pub(crate) fn string(&mut self, sink: &mut Sink) -> Option<Spanned<String>> {
        let argument = self.argument()?;
        self.as_string(&argument.value, sink)
    }

    /// All further arguments, strings; at least one, else it is reported that `what` is missing.
    pub(crate) fn strings(
        &mut self,
        what: impl Display,
        example: impl Display,
        sink: &mut Sink,
    ) -> Vec<Spanned<String>> {
        let mut strings = Vec::with_capacity(self.node.arguments.len());
        if self.node.arguments.len() <= self.arguments {
            self.missing(what, example, sink);
        }
        while let Some(argument) = self.argument() {
            strings.extend(self.as_string(&argument.value, sink));
        }
        strings
    }

    /// The next argument, a string that must be there.
    pub(crate) fn required(
        &mut self,
        what: impl Display,
        example: impl Display,
        sink: &mut Sink,
    ) -> Option<Spanned<String>> {
        if self.node.arguments.len() <= self.arguments {
            self.missing(what, example, sink);
        }
        self.string(sink)
    }

    /// Reports that the node lacks an argument.
    fn missing(&mut self, what: impl Display, example: impl Display, sink: &mut Sink) {
        let finding = missing(self.node, what, example);
        self.unnamed = true;
        self.blame(sink, finding);
    }

    /// Reports, when all is read, that the node lacks a property or a child; unless something stands there that nobody
    /// knows, which will be what is missing, mistyped.
    pub(crate) fn lacks(&mut self, what: &str, example: &str) {
        self.lacking.push(missing(self.node, what, example));
    }

    /// The property of that key; a second one is reported.
    pub(crate) fn property(&mut self, key: &'static str, sink: &mut Sink) -> Option<&'n Property> {
        self.properties.push(key);
        let mut found = self.node.properties.iter().filter(|property| property.key.value == key);
        let first = found.next()?;
        for second in found {
            let message = format!("`{key}` is given twice");
            let finding = Finding::at(Code::Duplicate, second.key.span, "again here", message);
            let finding = finding.and(first.key.span, "first here").help("remove one of the two");
            let whole = second.key.span.to(second.value.span.end());
            let same = second.value.value == first.value.value;
            self.blame(sink, finding.maybe_fix(same.then(|| Fix::safe().remove(whole, Part::Entry))));
        }
        Some(first)
    }

    /// Knows a key whose property is read elsewhere.
    pub(crate) fn take_property(&mut self, key: &'static str) {
        self.properties.push(key);
    }

    /// The property of that key, a string.
    pub(crate) fn string_property(&mut self, key: &'static str, sink: &mut Sink) -> Option<Spanned<String>> {
        let property = self.property(key, sink)?;
        self.as_string(&property.value, sink)
    }

    /// The property of that key, an integer from `least` up.
    pub(crate) fn number_property(
        &mut self,
        key: &'static str,
        least: u32,
        sink: &mut Sink,
    ) -> Option<Spanned<u32>> {
        let property = self.property(key, sink)?;
        let Value::Integer(number) = property.value.value else {
            let message = format!("`{key}` is {}, not an integer", property.value.value.kind());
            let finding =
                Finding::at(Code::BadValue, property.value.span, "an integer belongs here", message);
            let meant = match &property.value.value {
                Value::String(text) => text.parse::<u32>().ok().filter(|number| *number >= least),
                _ => None,
            };
            let fix = meant.map(|number| Fix::safe().write(property.value.span, number.to_string()));
            let help = format!("`{key}={}`", meant.unwrap_or(least.max(1)));
            self.blame(sink, finding.help(help).maybe_fix(fix));
            return None;
        };
        let fitting = u32::try_from(number).ok().filter(|number| *number >= least);
        if fitting.is_none() {
            let message = format!("`{key}` must be at least {least} and at most {}", u32::MAX);
            let finding = Finding::at(Code::BadValue, property.value.span, "out of range", message);
            self.blame(sink, finding.help(format!("`{key}={}`", least.max(1))));
        }
        Some(Spanned::new(fitting?, property.value.span))
    }

    /// The property of that key, `#true` or `#false`.
    pub(crate) fn bool_property(&mut self, key: &'static str, sink: &mut Sink) -> Option<bool> {
        let property = self.property(key, sink)?;
        if let Value::Bool(value) = property.value.value {
            return Some(value);
        }
        let message = format!("`{key}` is {}, not `#true` or `#false`", property.value.value.kind());
        let finding =
            Finding::at(Code::BadValue, property.value.span, "`#true` or `#false` belongs here", message);
        let meant = match &property.value.value {
            Value::String(word) if word == "true" || word == "false" => Some(format!("#{word}")),
            _ => None,
        };
        let help = format!("`{key}={}`", meant.as_deref().unwrap_or("#true"));
        let fix = meant.map(|word| Fix::safe().write(property.value.span, word));
        self.blame(sink, finding.help(help).maybe_fix(fix));
        None
    }

    /// All properties, whatever their keys, each a string that may be empty; at least one.
    pub(crate) fn pairs(
        &mut self,
        what: &str,
        example: &str,
        sink: &mut Sink,
    ) -> Vec<(Spanned<String>, Spanned<String>)> {
        self.free_properties = true;
        if self.node.properties.is_empty() {
            self.lacks(what, example);
        }
        let mut pairs = Vec::with_capacity(self.node.properties.len());
        for property in &self.node.properties {
            if let Some(value) = self.as_text(&property.value, sink) {
                pairs.push((Spanned::new(property.key.value.as_str().to_owned(), property.key.span), value));
            }
        }
        pairs
    }

    /// The child of that name; a second one is reported.
    pub(crate) fn child(&mut self, name: &'static str, sink: &mut Sink) -> Option<&'n Node> {
        let mut found = self.children(name);
        let first = found.next()?;
        for second in found {
            let message = format!("`{name}` stands twice in one `{}`", self.node.name.value);
            let finding = Finding::at(Code::Duplicate, second.name.span, "again here", message);
            let finding = finding.and(first.name.span, "first here").help("merge the two");
            let fix = same::node(first, second).then(|| Fix::safe().remove(second.span, Part::Node));
            self.blame(sink, finding.maybe_fix(fix));
        }
        Some(first)
    }

    /// All children of that name.
    pub(crate) fn children(&mut self, name: &'static str) -> impl Iterator<Item = &'n Node> + use<'n> {
        self.children.push(name);
        let node: &'n Node = self.node;
        node.children().iter().filter(move |child| child.name.value == name)
    }

    /// `value` as a string that is not empty.
    pub(crate) fn as_string(&mut self, value: &Spanned<Value>, sink: &mut Sink) -> Option<Spanned<String>> {
        let text = self.as_text(value, sink)?;
        if text.value.is_empty() {
            let message = "an empty string says nothing";
            let finding = Finding::at(Code::BadValue, value.span, "empty", message);
            self.blame(sink, finding.help("write what is meant, or remove it"));
            return None;
        }
        Some(text)
    }

    /// `value` as a string.
    fn as_text(&mut self, value: &Spanned<Value>, sink: &mut Sink) -> Option<Spanned<String>> {
        if let Value::String(text) = &value.value {
            return Some(Spanned::new(text.as_str().to_owned(), value.span));
        }
        let finding = not_a_string(value);
        self.blame(sink, finding);
        None
    }

    /// All properties may be what the node means, for how it is meant could not be read.
    pub(crate) fn excuse_properties(&mut self) {
        self.free_properties = true;
    }

    /// Reports what nobody took; whether the node was sound, as far as this cursor saw.
    pub(crate) fn finish(mut self, sink: &mut Sink) -> bool {
        #[cfg(test)]
        record::add(&self);
        let surplus =
            [self.surplus_arguments(sink), self.surplus_properties(sink), self.surplus_children(sink)];
        if !surplus.contains(&true) {
            for finding in std::mem::take(&mut self.lacking) {
                self.blame(sink, finding);
            }
        }
        !self.faulty
    }

    fn surplus_arguments(&mut self, sink: &mut Sink) -> bool {
        let Some(surplus) = self.node.arguments.get(self.arguments) else { return false };
        let span = surplus.value.span;
        let name = &self.node.name.value;
        let finding = match &surplus.value.value {
            Value::String(word) => {
                let is_key = self.properties.iter().any(|key| *key == word);
                let message = format!("`{name}` takes no argument `{word}`");
                let finding = Finding::at(Code::UnexpectedArgument, span, "one too many", message);
                let help = if is_key { format!("`{word}=…`") } else { "remove it".to_owned() };
                let finding = finding.help(help);
                let value = self.node.arguments.get(self.arguments + 1).filter(|_| is_key);
                finding.maybe_fix(value.map(|value| join(span, value.value.span)))
            }
            other => {
                let message = format!("`{name}` takes no argument here, and this is {}", other.kind());
                Finding::at(Code::UnexpectedArgument, span, "one too many", message).help("remove it")
            }
        };
        self.blame(sink, finding);
        true
    }

    fn surplus_properties(&mut self, sink: &mut Sink) -> bool {
        let node = self.node;
        let known = |key: &str| self.free_properties || self.properties.contains(&key);
        let keys = node.properties.iter().map(|property| &property.key);
        let surplus: Vec<_> = keys.filter(|key| !known(&key.value)).collect();
        for key in &surplus {
            let message = format!("`{}` has no property `{}`", node.name.value, key.value);
            let finding = Finding::at(Code::UnknownProperty, key.span, "not known here", message);
            let finding = suggest(finding, key, self.properties.iter().copied());
            self.blame(sink, finding);
        }
        !surplus.is_empty()
    }

    fn surplus_children(&mut self, sink: &mut Sink) -> bool {
        let node = self.node;
        let names = node.children().iter().map(|child| &child.name);
        let surplus: Vec<_> = names.filter(|name| !self.children.contains(&name.value.as_str())).collect();
        let Some(first) = surplus.first() else { return false };
        let known: BTreeSet<&str> = self.children.iter().copied().collect();
        if known.is_empty() {
            if self.unnamed {
                // `to { a }`: what is missing before the block stands in it.
                return true;
            }
            let message = format!("`{}` takes no block", node.name.value);
            let finding =
                Finding::at(Code::UnexpectedChildren, first.span, "nothing may stand here", message);
            self.blame(sink, finding.help("remove the block"));
            return true;
        }
        let place = format!("in `{}`", node.name.value);
        for name in &surplus {
            let finding = unknown_node(name, &place, known.iter().copied());
            self.blame(sink, finding);
        }
        true
    }
}

/// Another value where a string belongs. What is written may be meant as a text; whether `#true` is, must be asked.
fn not_a_string(value: &Spanned<Value>) -> Finding {
    let at = |label: &str, message: String| Finding::at(Code::BadValue, value.span, label, message);
    match &value.value {
        Value::Integer(number) => {
            at("write it in quotes", format!("`{number}` is an integer where a string belongs"))
                .help(format!("`\"{number}\"`"))
                .fix(Fix::safe().quote(value.span))
        }
        Value::Bool(word) => {
            at("a string belongs here", format!("{} where a string belongs", value.value.kind()))
                .help(format!("`\"{word}\"`"))
                .fix(Fix::guess().write(value.span, format!("\"{word}\"")))
        }
        other => {
            let finding = at("a string belongs here", format!("{} where a string belongs", other.kind()));
            let number = matches!(other, Value::Float(_));
            finding.help("put it into quotes").maybe_fix(number.then(|| Fix::safe().quote(value.span)))
        }
    }
}

/// `key=value` of a key and a value that stand beside each other.
fn join(key: Span, value: Span) -> Fix {
    Fix::guess().write(Span::new(key.source, key.end()..value.start()), "=")
}

fn missing(node: &Node, what: impl Display, example: impl Display) -> Finding {
    let name = &node.name;
    let called = match node.arguments.first().map(|argument| &argument.value.value) {
        Some(Value::String(called)) => format!(" {called}"),
        _ => String::new(),
    };
    let message = format!("`{}{called}` without {what}", name.value);
    Finding::at(Code::Missing, name.span, "here", message).help(format!("`{example}`"))
}

/// A node that `place` does not have.
pub(crate) fn unknown_node<'k>(
    name: &Spanned<Text>,
    place: &str,
    known: impl Iterator<Item = &'k str>,
) -> Finding {
    let message = format!("no node `{}` {place}", name.value);
    let finding = Finding::at(Code::UnknownNode, name.span, "not known here", message);
    suggest(finding, name, known)
}

#[cfg(test)]
mod tests;
