//! Where in a node the guard is, and what may come next.

use crate::diag::{Finding, Fix};
use crate::source::Span;

use super::lex::{Kind, Token};
use super::word::{self, Word};
use super::{diags, habit};

/// The state inside one list of nodes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NodeState {
    place: Place,
    /// A `/-` waits for what it takes out.
    slashdash: bool,
    /// The node as a whole is taken out by `/-`.
    taken_out: bool,
    /// Space came since the last word.
    spaced: bool,
    /// Its block came; another may only follow `/-`.
    has_block: bool,
    /// The word before was the node's name.
    at_name: bool,
}

/// What was read last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing of a node.
    #[default]
    Between,
    /// `(`, of a node's or a value's type.
    Type { of: Of },
    /// The type's word.
    TypeWord { of: Of },
    /// The whole type of a node: its name must follow.
    Name,
    /// Name or entry.
    Entry,
    /// A string or name that may be a property's key.
    Key,
    /// `=`: a value must follow.
    Value,
    /// A block.
    Block,
    /// A fault: skips to the end of the node.
    Skip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Node,
    Entry,
    Value,
}

/// What a token did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The node goes on.
    On,
    /// The node is complete.
    Ended,
    /// It is not KDL, and nothing is done.
    Fault,
}

impl NodeState {
    /// Whether no node is being read.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.place, Place::Between)
    }

    /// Whether a token of this kind begins a node here.
    pub(super) fn begins(&self, kind: Kind) -> bool {
        self.is_between() && !self.slashdash && !matches!(kind, Kind::Space | Kind::Newline | Kind::Semicolon)
    }

    /// Nothing more is wanted of this node: it has been blamed.
    pub(super) fn blame(&mut self) {
        if !self.is_between() {
            self.place = Place::Skip;
        }
    }

    /// A token other than a brace. Most of what the guard does for a token is this, so it says no more than where the token
    /// leads.
    #[inline(always)]
    pub(super) fn step(&mut self, token: Token, whole: &str) -> Step {
        let ends = matches!(token.kind, Kind::Newline | Kind::Semicolon);
        if matches!(self.place, Place::Skip) && !ends {
            return Step::On;
        }
        let step = match token.kind {
            Kind::Space => {
                self.space();
                return Step::On;
            }
            Kind::Newline | Kind::Semicolon => self.terminator(token.kind),
            Kind::Word | Kind::String => self.word(judge(token, whole)),
            Kind::Equals => self.equals(),
            Kind::Slashdash => self.take_out(),
            Kind::ParenOpen => self.paren_open(),
            Kind::ParenClose => self.paren_close(),
            Kind::Stray | Kind::BraceOpen | Kind::BraceClose => Step::Fault,
        };
        if !matches!(step, Step::Fault) {
            self.spaced = false;
        }
        step
    }

    /// What is wrong with a token that may not stand here. What follows it in this node is not read.
    #[cold]
    pub(super) fn fault(&mut self, token: Token, span: Span, whole: &str) -> Finding {
        let finding = self.explain(token, span, whole);
        *self = Self { place: Place::Skip, slashdash: false, spaced: false, ..*self };
        finding
    }

    fn explain(&self, token: Token, span: Span, whole: &str) -> Finding {
        match token.kind {
            Kind::Newline | Kind::Semicolon => self.unfinished(token.kind, span),
            Kind::Word | Kind::String => self.bad_word(token, span, whole),
            Kind::Equals => self.bad_equals(span, whole),
            Kind::Slashdash if self.slashdash => {
                diags::syntax(span, "a second `/-`", "two `/-` for one thing").help("remove one")
            }
            Kind::Slashdash => {
                let message = "`/-` stands before a node, a value or a block";
                diags::syntax(span, "not here", message).help("remove the `/-`")
            }
            Kind::ParenOpen => diags::syntax(span, "not here", "a `(` that begins no type annotation")
                .help("put the whole text into quotes"),
            Kind::ParenClose => {
                diags::syntax(span, "closes nothing", "a `)` without its `(`").help("remove it")
            }
            Kind::Space | Kind::Stray | Kind::BraceOpen | Kind::BraceClose => self.stray(token, span, whole),
        }
    }

    /// A `{` comes: what is wrong with that. `below`: the same, if it seems to be of a node on a line above.
    pub(super) fn block(&mut self, span: Span, below: Option<Box<Finding>>) -> Option<Box<Finding>> {
        let finding = match self.place {
            Place::Entry | Place::Key | Place::Skip => return None,
            Place::Block if !self.has_block || self.slashdash => return None,
            Place::Between if below.is_some() => below,
            Place::Between => Some(Box::new(
                diags::syntax(span, "which node is this of", "a block without a node")
                    .help("write the `{` on the line of its node"),
            )),
            Place::Block => Some(Box::new(
                diags::syntax(span, "a second block", "a node has at most one block")
                    .help("put both into one block"),
            )),
            Place::Type { .. } | Place::TypeWord { .. } | Place::Name | Place::Value => {
                let finding = diags::syntax(span, "too early", "a value must come before this `{`");
                Some(Box::new(finding.help("write the value, or remove what asks for one")))
            }
        };
        self.place = Place::Skip;
        finding
    }

    /// Whether the block that comes is taken out, by its own `/-` or its node's.
    pub(super) fn take_slashdash(&mut self) -> bool {
        std::mem::take(&mut self.slashdash) || self.taken_out
    }

    /// The node's block is closed.
    pub(super) fn after_block(&mut self, slashdashed: bool) {
        if self.place != Place::Skip {
            self.place = Place::Block;
        }
        self.has_block |= !slashdashed || self.taken_out;
        self.spaced = false;
    }

    /// The end of the enclosing block, or of the text: what is wrong with ending here.
    pub(super) fn cut_off(&mut self, span: Span) -> Option<Finding> {
        match self.terminator(Kind::Newline) {
            Step::Fault => Some(self.unfinished(Kind::Newline, span)),
            _ => self.slashdash.then(|| nothing_taken_out(span)),
        }
    }

    /// Space comes.
    pub(super) fn space(&mut self) {
        self.spaced = true;
    }

    #[inline(always)]
    fn terminator(&mut self, kind: Kind) -> Step {
        match self.place {
            Place::Between if kind == Kind::Semicolon => Step::Fault,
            Place::Between => Step::On,
            Place::Type { .. } | Place::TypeWord { .. } | Place::Name | Place::Value => Step::Fault,
            // `/-` reaches over line breaks; only `;` ends the node under it.
            Place::Entry | Place::Key | Place::Block if self.slashdash => {
                if kind == Kind::Newline {
                    Step::On
                } else {
                    Step::Fault
                }
            }
            Place::Entry | Place::Key | Place::Block | Place::Skip => {
                *self = Self::default();
                Step::Ended
            }
        }
    }

    /// Why the node cannot end here.
    fn unfinished(&self, kind: Kind, span: Span) -> Finding {
        match self.place {
            Place::Between if kind == Kind::Semicolon => {
                let finding = diags::syntax(span, "ends nothing", "a `;` without a node").help("remove it");
                finding.fix(Fix::safe().write(span, ""))
            }
            Place::Type { .. } | Place::TypeWord { .. } => {
                diags::syntax(span, "here", "a type annotation without its `)`").help("write `)`")
            }
            Place::Name => diags::syntax(span, "here", "a type annotation without its node")
                .help("remove the annotation"),
            Place::Value => diags::syntax(span, "here", "a property without its value")
                .help("write the value after the `=`"),
            Place::Between | Place::Entry | Place::Key | Place::Block | Place::Skip => {
                nothing_taken_out(span)
            }
        }
    }

    fn take_out(&mut self) -> Step {
        match self.place {
            _ if self.slashdash => return Step::Fault,
            Place::Between | Place::Entry | Place::Block => {}
            Place::Key => self.place = Place::Entry,
            _ => return Step::Fault,
        }
        self.slashdash = true;
        Step::On
    }

    fn paren_open(&mut self) -> Step {
        let of = match self.place {
            Place::Between => Of::Node,
            Place::Value => Of::Value,
            Place::Entry | Place::Key if self.spaced || self.slashdash => Of::Entry,
            _ => return Step::Fault,
        };
        if of == Of::Node {
            self.taken_out = std::mem::take(&mut self.slashdash);
        }
        self.place = Place::Type { of };
        Step::On
    }

    fn paren_close(&mut self) -> Step {
        self.place = match self.place {
            Place::TypeWord { of: Of::Node } => Place::Name,
            Place::TypeWord { of: Of::Entry | Of::Value } => Place::Value,
            _ => return Step::Fault,
        };
        Step::On
    }

    #[inline(always)]
    fn equals(&mut self) -> Step {
        if !matches!(self.place, Place::Key) || self.at_name {
            return Step::Fault;
        }
        self.place = Place::Value;
        Step::On
    }

    #[cold]
    fn bad_equals(&self, span: Span, whole: &str) -> Finding {
        if self.place == Place::Key {
            let help = "write the value after the name and a space";
            let finding = diags::old(span, "a node takes its value without `=`", help);
            return finding.maybe_fix(habit::equals(span, whole));
        }
        diags::syntax(span, "not here", "an `=` that follows no name").help("remove it")
    }

    #[inline(always)]
    fn word(&mut self, judged: Word) -> Step {
        if !judged.is_sound() {
            return Step::Fault;
        }
        match self.place {
            Place::Between | Place::Name if judged == Word::Name => {
                let taken_out = self.taken_out | self.slashdash;
                *self = Self { place: Place::Key, at_name: true, taken_out, ..Self::default() };
            }
            Place::Type { of } => self.place = Place::TypeWord { of },
            Place::Entry | Place::Key if self.spaced | self.slashdash => {
                self.slashdash = false;
                self.at_name = false;
                self.place = if judged == Word::Name { Place::Key } else { Place::Entry };
            }
            Place::Value => {
                self.slashdash = false;
                self.place = Place::Entry;
            }
            _ => return Step::Fault,
        }
        Step::On
    }

    /// What is wrong with a word, or with a word here.
    fn bad_word(&self, token: Token, span: Span, whole: &str) -> Finding {
        let judged = judge(token, whole);
        if let Some(finding) = bad_word(judged, text(token, whole), span) {
            let fix = habit::word(judged, token, span, whole, self.is_entry());
            let whole_string = fix.as_ref().and_then(Fix::written).filter(|_| judged == Word::Apostrophe);
            let help = whole_string.map(|text| format!("`{text}`"));
            return finding.maybe_help(help).maybe_fix(fix);
        }
        match self.place {
            Place::Block => after_block(judged, token, span, whole),
            Place::Entry | Place::Key => unparted(token, span, whole),
            Place::TypeWord { .. } => {
                diags::syntax(span, "not here", "a type annotation is one word").help("remove the annotation")
            }
            _ => {
                let message = format!("a node cannot be called `{}`", text(token, whole));
                diags::syntax(span, "no name", message).help("write the node's name before it")
            }
        }
    }

    /// Whether arguments and properties stand here.
    fn is_entry(&self) -> bool {
        matches!(self.place, Place::Entry | Place::Key | Place::Value)
    }

    fn stray(&self, token: Token, span: Span, whole: &str) -> Finding {
        match text(token, whole) {
            "[" => {
                let finding = diags::old(span, "KDL has no lists in brackets", list_help(token, whole));
                let may_hold = matches!(self.place, Place::Entry | Place::Key);
                finding.maybe_fix(habit::list(token, span, whole).filter(|_| may_hold))
            }
            "/" => diags::syntax(span, "not in a bare word", "a `/` outside of a string")
                .help("put the whole text into quotes"),
            "\\" => diags::syntax(span, "not here", "a `\\` that does not end its line")
                .help("put the whole text into quotes"),
            text => {
                diags::syntax(span, "not here", format!("a `{}` outside of a string", text.escape_debug()))
                    .help("put the whole text into quotes")
            }
        }
    }
}

#[inline(always)]
fn text(token: Token, whole: &str) -> &str {
    whole.get(token.start..token.end).unwrap_or_default()
}

#[inline(always)]
fn judge(token: Token, whole: &str) -> Word {
    if token.kind == Kind::String { Word::Name } else { word::judge(text(token, whole)) }
}

/// A value that stands right behind another.
fn unparted(token: Token, span: Span, whole: &str) -> Finding {
    let before = whole.get(..token.start).unwrap_or_default();
    if token.kind == Kind::String && before.ends_with(" r") {
        let finding = diags::old(span, "a raw string begins with `#`, without an `r`", "`#\"…\"#`");
        return finding.maybe_fix(habit::raw(token, span, whole));
    }
    diags::syntax(span, "write a space before it", "two values without a space between them")
        .help("write a space")
}

/// A word after a node's block, which is the next node if only a `;` is missing.
fn after_block(judged: Word, token: Token, span: Span, whole: &str) -> Finding {
    let before = whole.get(..token.start).unwrap_or_default().trim_end_matches([' ', '\t']).len();
    let is_name = token.kind == Kind::Word && judged == Word::Name && before < token.start;
    let gap = is_name.then_some(Span::new(span.source, before..token.start));
    diags::syntax(span, "after the block", "nothing but the end may follow a node's block")
        .help("write it before the `{`, or on a line of its own")
        .maybe_fix(gap.map(|gap| Fix::guess().separate(gap)))
}

fn nothing_taken_out(span: Span) -> Finding {
    diags::syntax(span, "here", "a `/-` that takes nothing out").help("remove the `/-`")
}

fn bad_word(judged: Word, text: &str, span: Span) -> Option<Finding> {
    let bare = || text.trim_matches(['\'', ',', ':']);
    Some(match judged {
        Word::Name | Word::Number | Word::Keyword => return None,
        Word::OldKeyword => diags::old(span, format!("`{text}` is written `#{text}`"), format!("`#{text}`")),
        Word::UnknownKeyword => diags::syntax(span, "no keyword", format!("`{text}` is no keyword of KDL"))
            .help("keywords are `#true`, `#false`, `#null`, `#inf`, `#-inf` and `#nan`"),
        Word::NotANumber => diags::syntax(span, "begins like a number", format!("`{text}` is not a number"))
            .help(format!("`\"{text}\"`")),
        Word::TooLarge => {
            diags::syntax(span, "too large", "this number is too large").help("write a smaller one")
        }
        Word::Colon => diags::old(
            span,
            format!("`{text}` with a colon"),
            format!("`{0}=…` for a property, `{0} …` for a node", bare()),
        ),
        Word::Comma => {
            diags::old(span, "values stand beside each other without commas", format!("`{}`", bare()))
        }
        Word::Apostrophe => diags::old(span, "strings stand in double quotes", format!("`\"{}\"`", bare())),
    })
}

/// `a b` for `[a, b]`.
fn list_help(token: Token, whole: &str) -> String {
    let rest = whole.get(token.end..).unwrap_or_default();
    let line = rest.split('\n').next().unwrap_or_default();
    match line.split_once(']') {
        Some((inner, _)) => {
            let values: Vec<&str> =
                inner.split([',', ' ', '\t']).filter(|value| !value.is_empty()).take(16).collect();
            format!("`{}`", values.join(" "))
        }
        None => "write the values beside each other, with spaces".to_owned(),
    }
}
