//! The guard: reads every byte of a file before `kdl` sees any.
//!
//! `kdl` 6.7 takes exponential time on nested `/-`, overflows the stack on flat junk such as `}}}}`, and gives no tree
//! after an error. So one linear pass checks the shape of the text (blocks, strings, comments, what may follow what),
//! bounds it, and cuts it at its top-level nodes. Only pieces of sound shape and bounded size go on, one by one: a bad
//! node silences itself alone.

use crate::diag::{Finding, Fix};
use crate::source::{SourceId, Span};

use super::lex::{Flaw, FlawAt, Kind, Lexer, Token};
use super::node::{NodeState, Step};
use super::{cost, diags};

/// The largest file, in bytes.
pub const MAX_FILE: usize = 1 << 20;
/// The largest top-level node, in bytes.
const MAX_PIECE: usize = 1 << 16;
/// The most top-level nodes of a file.
const MAX_PIECES: usize = 1 << 14;
/// The most that reading a file may cost, in words: `kdl` takes about half a second for so many.
const MAX_COST: usize = 200_000;
/// How deep blocks may stand.
const MAX_DEPTH: usize = 64;
/// How deep blocks taken out by `/-` may stand: `kdl` doubles its time with each.
const MAX_SLASHDASH: usize = 2;
/// After so many faults a file is not read further.
const MAX_FAULTS: usize = 32;
/// How often reading begins anew after a block without its end.
const MAX_RESUMES: usize = 4;

/// A top-level node: its bytes, and whether its shape is sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) sound: bool,
}

/// What the guard made of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Cut {
    pub(super) pieces: Vec<Piece>,
    pub(super) findings: Vec<Finding>,
    /// Whether something of the file was not read: names may be defined there.
    pub(super) unread: bool,
    /// How many blocks stand inside each other where most do.
    pub(super) depth: usize,
    /// Of all sound pieces.
    cost: usize,
}

/// Cuts `text` into its top-level nodes.
pub(super) fn cut(source: SourceId, text: &str) -> Cut {
    if text.len() > MAX_FILE {
        let findings = vec![diags::file_too_large(Span::new(source, 0..0), text.len(), MAX_FILE)];
        return Cut { findings, unread: true, ..Cut::default() };
    }
    let mut cut = Cut::default();
    let mut from = Some(0);
    for _ in 0..MAX_RESUMES {
        let Some(start) = from else { return cut };
        let mut guard = Guard::new(source, text, start, cut);
        from = guard.run(start);
        cut = guard.cut;
    }
    cut.unread |= from.is_some();
    cut
}

/// A block that is open.
#[derive(Clone, Copy)]
struct Block {
    open: usize,
    /// Of the line that it is opened on.
    indent: usize,
    line: usize,
    slashdashed: bool,
    /// The node that it belongs to, to go on with after it.
    node: NodeState,
    /// The first thing in it that stands no further right than its line.
    suspect: Option<usize>,
    /// An inner block that was closed by a `}` too far left: perhaps ours.
    culprit: Option<(usize, Option<usize>)>,
}

/// A block whose `}` stands on a line of another indent than its `{`: a `}` too many comes soon, or never.
#[derive(Clone, Copy)]
struct Odd {
    open: usize,
    close: usize,
    indent: usize,
    /// Which piece it is in.
    piece: usize,
}

struct Guard<'t> {
    source: SourceId,
    text: &'t str,
    cut: Cut,
    stack: Vec<Block>,
    /// How many of the open blocks `/-` takes out.
    slashdashes: usize,
    /// How many times for that what is read here costs.
    times: usize,
    /// How many blocks are open beyond a limit.
    beyond: usize,
    node: NodeState,
    piece: Option<Piece>,
    /// What reading it costs.
    cost: usize,
    last_end: usize,
    /// A `;` came since then.
    parted: bool,
    line_start: usize,
    /// Of the current line, once its first token is read.
    indent: Option<usize>,
    odd: Option<Odd>,
    /// A string of this piece without its end: it may have taken a brace with it.
    torn: bool,
    after_stray: bool,
    stopped: bool,
    /// A string or comment without its end took the rest of the text: no `}` could be seen.
    swallowed: bool,
}

impl<'t> Guard<'t> {
    fn new(source: SourceId, text: &'t str, start: usize, cut: Cut) -> Self {
        Self {
            source,
            text,
            cut,
            stack: Vec::new(),
            slashdashes: 0,
            times: cost::times(0),
            beyond: 0,
            node: NodeState::default(),
            piece: None,
            cost: 0,
            last_end: start,
            parted: false,
            line_start: text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1),
            indent: None,
            odd: None,
            torn: false,
            after_stray: false,
            stopped: false,
            swallowed: false,
        }
    }

    /// Reads to the end; where to begin anew if a block has no end and it is clear where it should have been.
    fn run(&mut self, start: usize) -> Option<usize> {
        let mut lexer = Lexer::new(self.text, start);
        loop {
            if lexer.skip_blanks() {
                self.node.space();
            }
            let Some(token) = lexer.next() else { return self.end() };
            match lexer.flaw() {
                None => self.read(token),
                Some(flaw) => self.read_flawed(token, flaw),
            }
            if self.stopped {
                self.cut.unread = true;
                return None;
            }
        }
    }

    #[inline(always)]
    fn read(&mut self, token: Token) {
        if token.kind == Kind::Newline {
            self.line_start = token.end;
            self.indent = None;
            if self.beyond == 0 && !self.node.is_between() {
                self.step(token);
            }
            return;
        }
        if self.indent.is_none() && token.kind != Kind::Space {
            self.begin_line(token);
        }
        self.take(token);
    }

    #[cold]
    fn read_flawed(&mut self, token: Token, flaw: FlawAt) {
        self.flaw(flaw);
        self.read(token);
        // The token may have begun the piece: there was none to mark before.
        if let Some(piece) = &mut self.piece {
            piece.sound = false;
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start..end)
    }

    /// Takes a finding, and marks the piece that it is in.
    #[cold]
    fn report(&mut self, finding: Finding) {
        if let Some(piece) = &mut self.piece {
            piece.sound = false;
        }
        if self.cut.findings.len() >= MAX_FAULTS {
            let at = finding.labels.first().map_or(self.span(0, 0), |label| label.span);
            self.cut.findings.push(diags::too_many_faults(at, MAX_FAULTS));
            self.stopped = true;
            self.finish_piece();
        } else {
            self.cut.findings.push(finding);
        }
    }

    /// Reports what is wrong inside of the token just read.
    fn flaw(&mut self, at: FlawAt) {
        let text = self.text.get(at.start..at.end).unwrap_or_default();
        let finding = diags::flaw(at.flaw, self.span(at.start, at.end), text);
        self.swallowed |= matches!(at.flaw, Flaw::OpenBlockString | Flaw::OpenComment | Flaw::DeepComment);
        self.torn |= at.flaw == Flaw::OpenString;
        self.report(finding);
        self.node.blame();
    }

    /// The first token of a line.
    fn begin_line(&mut self, token: Token) {
        let indent = token.start.saturating_sub(self.line_start);
        self.indent = Some(indent);
        self.suspect(token, indent);
    }

    fn suspect(&mut self, token: Token, indent: usize) {
        let line = self.line_start;
        let between = self.node.is_between();
        if let Some(block) = self.stack.last_mut()
            && between
            && token.kind != Kind::BraceClose
            && line > block.line
            && indent <= block.indent
        {
            block.suspect.get_or_insert(token.start);
        }
    }

    #[inline(always)]
    fn take(&mut self, token: Token) {
        match token.kind {
            _ if self.beyond > 0 => self.pass_over(token.kind),
            Kind::BraceOpen => self.open(token),
            Kind::BraceClose => self.close(token),
            _ => self.step(token),
        }
        if token.kind == Kind::Space {
            return;
        }
        self.parted = token.kind == Kind::Semicolon;
        if !self.parted {
            self.last_end = token.end;
            self.cost = self.cost.saturating_add(cost::of(token.kind) * self.times);
        }
    }

    /// Reads on in a block beyond a limit.
    #[cold]
    fn pass_over(&mut self, kind: Kind) {
        match kind {
            Kind::BraceOpen => self.beyond += 1,
            Kind::BraceClose => self.beyond -= 1,
            _ => {}
        }
    }

    #[inline(always)]
    fn step(&mut self, token: Token) {
        let begins = self.node.begins(token.kind);
        if begins && self.stack.is_empty() {
            self.finish_piece();
            self.begin_piece(token.start);
        }
        match self.node.step(token, self.text) {
            Step::On => {}
            Step::Ended if self.stack.is_empty() => self.finish_piece(),
            Step::Ended => {}
            Step::Fault => self.fault(token),
        }
    }

    #[cold]
    fn fault(&mut self, token: Token) {
        let finding = self.node.fault(token, self.span(token.start, token.end), self.text);
        self.report(finding);
    }

    fn begin_piece(&mut self, start: usize) {
        self.piece = Some(Piece { start, end: start, sound: true });
        self.cost = 0;
        self.odd = self.odd.filter(|odd| self.indent > Some(odd.indent));
        self.torn = false;
        self.after_stray = false;
        if self.cut.pieces.len() >= MAX_PIECES {
            self.piece = None;
            self.give_up(diags::too_many_nodes(self.span(start, start + 1), MAX_PIECES));
        }
    }

    fn finish_piece(&mut self) {
        let Some(mut piece) = self.piece.take() else { return };
        piece.end = self.last_end.max(piece.start);
        let bytes = piece.end - piece.start;
        let first_line =
            self.text.get(piece.start..).and_then(|rest| rest.find('\n')).unwrap_or(bytes).min(80);
        let first_line = self.span(piece.start, piece.start + first_line);
        if piece.sound && bytes > MAX_PIECE {
            self.cut.findings.push(diags::node_too_large(first_line, bytes, MAX_PIECE));
            piece.sound = false;
        }
        if piece.sound {
            self.cut.cost = self.cut.cost.saturating_add(self.cost);
        }
        if self.cut.cost > MAX_COST {
            return self.give_up(diags::too_many_words(first_line, MAX_COST));
        }
        self.cut.pieces.push(piece);
    }

    /// Nothing of the file is read.
    fn give_up(&mut self, finding: Finding) {
        self.cut.pieces.clear();
        self.cut.findings.push(finding);
        self.cut.unread = true;
        self.stopped = true;
    }

    fn open(&mut self, token: Token) {
        let span = self.span(token.start, token.end);
        let between = self.node.is_between();
        let below = if between { self.below_its_node(span) } else { None };
        if between && self.stack.is_empty() {
            self.finish_piece();
            let last = self.cut.pieces.pop_if(|piece| below.is_some() && piece.end == self.last_end);
            match last {
                Some(last) => self.piece = Some(last),
                None => self.begin_piece(token.start),
            }
        }
        if let Some(finding) = self.node.block(span, below) {
            self.report(*finding);
        }
        let slashdashed = self.node.take_slashdash();
        if let Some(finding) = self.too_deep(slashdashed, span) {
            self.beyond = 1;
            self.report(*finding);
            return;
        }
        let indent = self.indent.unwrap_or(0);
        if slashdashed {
            self.slashdashes += 1;
            self.times = cost::times(self.slashdashes);
        }
        self.stack.push(Block {
            open: token.start,
            indent,
            line: self.line_start,
            slashdashed,
            node: self.node,
            suspect: None,
            culprit: None,
        });
        self.cut.depth = self.cut.depth.max(self.stack.len());
        self.node = NodeState::default();
    }

    /// What is wrong with a `{` if it seems to be of the node on the lines above it.
    fn below_its_node(&self, brace: Span) -> Option<Box<Finding>> {
        let before = self.text.get(..self.last_end)?;
        let ends_a_node = !before.ends_with(['{', '}']) && !before.ends_with("/-");
        let is_of_it = !self.parted && !before.is_empty() && ends_a_node;
        let gap = self.text.get(self.last_end..brace.start())?;
        is_of_it.then(|| {
            // A comment between them would take the `{` with it.
            let joined = gap.trim().is_empty();
            let joined = joined.then(|| Fix::safe().write(self.span(self.last_end, brace.start()), " "));
            Box::new(diags::block_below(brace).maybe_fix(joined))
        })
    }

    /// What is wrong if one more block stands here; it is skipped then as a whole, so that what is too deep inside of
    /// it is not blamed again.
    fn too_deep(&self, slashdashed: bool, span: Span) -> Option<Box<Finding>> {
        if slashdashed && self.slashdashes >= MAX_SLASHDASH {
            return Some(Box::new(diags::slashdash_too_deep(span, MAX_SLASHDASH)));
        }
        (self.stack.len() >= MAX_DEPTH).then(|| Box::new(diags::too_deep(span, MAX_DEPTH)))
    }

    fn close(&mut self, token: Token) {
        let span = self.span(token.start, token.end);
        if let Some(finding) = self.node.cut_off(span) {
            self.report(finding);
        }
        let Some(block) = self.stack.pop() else { return self.stray(token, span) };
        if block.slashdashed {
            self.slashdashes -= 1;
            self.times = cost::times(self.slashdashes);
        }
        if block.line != self.line_start && self.indent != Some(block.indent) {
            let (open, close, indent) = (block.open, token.start, block.indent);
            self.odd = Some(Odd { open, close, indent, piece: self.cut.pieces.len() });
            if let (true, Some(parent)) = (self.indent < Some(indent), self.stack.last_mut()) {
                parent.culprit.get_or_insert((open, block.suspect));
            }
        }
        self.node = block.node;
        self.node.after_block(block.slashdashed);
    }

    /// One finding for a whole run of them; what stands between a block that ended too early and this is not read.
    fn stray(&mut self, token: Token, span: Span) {
        self.finish_piece();
        self.node = NodeState::default();
        self.last_end = token.end;
        let odd = self.odd.take();
        if let Some(odd) = odd.filter(|odd| odd.piece + 1 < self.cut.pieces.len()) {
            self.cut.pieces.iter_mut().skip(odd.piece).for_each(|piece| piece.sound = false);
        }
        if std::mem::replace(&mut self.after_stray, true) || self.torn {
            return;
        }
        let odd = odd.map(|odd| (self.span(odd.open, odd.open + 1), self.span(odd.close, odd.close + 1)));
        self.report(diags::stray_close(span, odd));
    }

    /// The end of the text.
    fn end(&mut self) -> Option<usize> {
        let at = self.span(self.text.len(), self.text.len());
        self.cut.unread |= self.swallowed;
        let Some(outer) = self.stack.first().copied() else {
            if let Some(finding) = self.node.cut_off(at) {
                self.report(finding);
            }
            self.finish_piece();
            return None;
        };
        let resume = outer.suspect.filter(|at| self.column(*at) <= outer.indent);
        let inner = self.stack.last().copied().unwrap_or(outer);
        let blamed = if resume.is_some() { outer } else { inner };
        let (open, next) = blamed.culprit.unwrap_or((blamed.open, blamed.suspect));
        self.finish_open(resume);
        // What tore the block open may stand where reading begins anew: it says nothing of this block then. So
        // may what is too deep; if it is in this block, whoever takes it out will see which blocks are left.
        let of_block =
            |finding: &Finding| finding.labels.first().is_some_and(|label| label.span.start() >= outer.open);
        let is_said =
            (self.swallowed || self.torn || self.beyond > 0) && self.cut.findings.iter().any(of_block);
        if !is_said {
            let next = next.or(resume).map(|at| self.span(at, self.line_end(at)));
            self.cut.findings.push(diags::open_block(self.span(open, open + 1), next));
        }
        self.cut.unread |= resume.is_none();
        resume
    }

    /// Ends the piece that a block without its end stands in; what was found beyond it will be found again.
    fn finish_open(&mut self, resume: Option<usize>) {
        let end = resume.unwrap_or(self.text.len());
        self.cut
            .findings
            .retain(|finding| finding.labels.first().is_none_or(|label| label.span.start() < end));
        if let Some(mut piece) = self.piece.take() {
            piece.end = end;
            piece.sound = false;
            self.cut.pieces.push(piece);
        }
    }

    fn column(&self, at: usize) -> usize {
        self.text.get(..at).and_then(|before| before.rfind('\n')).map_or(at, |newline| at - newline - 1)
    }

    fn line_end(&self, at: usize) -> usize {
        self.text.get(at..).and_then(|rest| rest.find('\n')).map_or(self.text.len(), |length| at + length)
    }
}
