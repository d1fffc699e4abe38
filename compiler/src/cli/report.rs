//! What one check found, ready to be written in any format: texts harmless, places counted, severities final.

use std::collections::BTreeMap;

use super::render::{self, escape};
use super::{Failure, print};
use crate::diag::fix::{Applicability, Edit, Fix};
use crate::diag::{Code, Finding, Severity};
use crate::emit::digest;
use crate::source::{Sources, Span};

mod github;
mod json;
mod junit;
mod plain;
mod sarif;
mod tally;

pub(super) use tally::Tally;

/// More findings than this help nobody who reads them.
pub(super) const MOST_SHOWN: usize = 50;

/// The findings of a check and what they are about.
pub(super) struct Report<'f> {
    findings: &'f [Finding],
    sources: &'f Sources,
    /// Those that are shown, in the order of their places, each with its fingerprint.
    shown: Vec<(usize, String)>,
    /// How many are not shown.
    omitted: usize,
    /// How many there are of each severity, shown or not.
    tally: Tally,
    /// The policy files.
    files: Vec<String>,
    /// The topologies.
    hosts: Vec<Used>,
    /// Why it could not be decided.
    failure: Option<Undecided>,
    /// Whether nothing kept the check from a result.
    decided: bool,
}

/// A topology that was checked against.
pub(super) struct Used {
    /// What the user calls it.
    pub(super) name: String,
    /// SHA-256 of its document, `sha256:HEX`.
    pub(super) digest: String,
}

/// What kept the check from a result.
struct Undecided {
    message: String,
    help: Option<String>,
}

/// One finding.
struct Item {
    code: Code,
    severity: Severity,
    message: String,
    help: Option<String>,
    witness: Option<String>,
    fix: Option<Mending>,
    /// The first is the smallest token to edit, the others are the causes.
    places: Vec<Place>,
    /// The same as long as code, file and message are, wherever in the file it stands: `sha256:HEX`.
    fingerprint: String,
}

/// What mends a finding.
struct Mending {
    applicability: Applicability,
    edits: Vec<(Place, String)>,
}

/// A place of a finding.
struct Place {
    /// The file's name, harmless.
    file: String,
    /// The file's name as a relative reference of a URI.
    uri: String,
    label: String,
    bytes: (usize, usize),
    start: Position,
    end: Position,
}

/// Line and column from 1, the column in characters.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Position {
    line: usize,
    column: usize,
}

/// Formats for programs.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Plain,
    Json,
    Sarif,
    Github,
    Junit,
}

/// What a report is made of.
pub(super) struct Found<'f> {
    /// All findings.
    pub(super) findings: &'f [Finding],
    /// How many are shown at most.
    pub(super) most: usize,
    /// What they point into.
    pub(super) sources: &'f Sources,
    /// All of them counted.
    pub(super) tally: &'f Tally,
    /// The policy files.
    pub(super) files: Vec<String>,
    /// The topologies.
    pub(super) hosts: Vec<Used>,
    /// Why it could not be decided.
    pub(super) failure: Option<&'f Failure>,
}

impl<'f> Report<'f> {
    pub(super) fn of(found: Found<'f>) -> Self {
        let Found { findings, most, sources, tally, files, hosts, failure } = found;
        let mut seen = BTreeMap::new();
        let most = shown(findings, most);
        let mut shown = Vec::with_capacity(most.len());
        for (at, finding) in findings.iter().enumerate() {
            let fingerprint = fingerprint(finding, sources, &mut seen);
            if most.binary_search(&at).is_ok() {
                shown.push((at, fingerprint));
            }
        }
        let omitted = findings.len() - shown.len();
        let files = files.iter().map(|name| escape(name)).collect();
        let harmless = |used: Used| Used { name: escape(&used.name), ..used };
        let hosts = hosts.into_iter().map(harmless).collect();
        let decided = failure.is_none();
        let failure = failure.and_then(Undecided::of);
        Self { findings, sources, shown, omitted, tally: tally.clone(), files, hosts, failure, decided }
    }

    /// Prints it in a format: for programs to standard output, lines for people to standard error.
    pub(super) fn print(&self, form: Form) -> Result<(), Failure> {
        match form {
            Form::Plain => {
                print::say(&plain::text(self));
                Ok(())
            }
            Form::Json => print::document(&json::document(self)),
            Form::Sarif => print::document(&sarif::document(self)),
            Form::Github => print::data(&github::text(self)),
            Form::Junit => print::data(&junit::text(self)),
        }
    }

    /// The findings that are shown, each made when it is asked for: there may be a hundred thousand.
    fn items(&self) -> impl Iterator<Item = Item> {
        let finding = |(at, fingerprint): &(usize, String)| {
            let finding = self.findings.get(*at)?;
            Some(Item::of(finding, fingerprint.clone(), self.sources))
        };
        self.shown.iter().filter_map(finding)
    }

    /// Whether nothing keeps the policy from use.
    fn is_ok(&self) -> bool {
        self.failure.is_none() && self.tally.errors == 0
    }
}

/// The findings to show if no more than `most` can be, by their indices: the gravest, and of those the first.
pub(super) fn shown(findings: &[Finding], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..findings.len()).collect();
    if most < order.len() {
        order.sort_by_key(|at| std::cmp::Reverse(findings.get(*at).map(|finding| finding.severity)));
        order.truncate(most);
        order.sort_unstable();
    }
    order
}

/// `3 more of 53 findings are not shown`
pub(super) fn omitted(shown: usize, all: usize) -> Option<String> {
    let hidden = all.checked_sub(shown).filter(|hidden| *hidden > 0)?;
    Some(format!("{hidden} more of {} not shown\n", print::count(all, "finding")))
}

impl Undecided {
    /// Nothing for a failure that is a finding of its own.
    fn of(failure: &Failure) -> Option<Self> {
        let said = matches!(failure, Failure::Located(..));
        (!said).then(|| Self { message: escape(&failure.to_string()), help: failure.help().map(escape) })
    }
}

impl Item {
    fn of(finding: &Finding, fingerprint: String, sources: &Sources) -> Self {
        let places = finding.labels.iter();
        let places = places.filter_map(|label| Place::of(label.span, &label.text, sources));
        Self {
            code: finding.code,
            severity: finding.severity,
            message: escape(&finding.message),
            help: finding.help.as_deref().map(escape),
            witness: finding.witness.as_deref().map(escape),
            fix: finding.fix.as_ref().and_then(|fix| Mending::of(fix, sources)),
            places: places.collect(),
            fingerprint,
        }
    }

    /// The message, and what else is to be said, each on a line.
    fn words(&self) -> Vec<String> {
        let mut lines = vec![self.message.clone()];
        let causes = self.places.iter().skip(1);
        lines.extend(causes.map(|place| format!("{}: {}", place.words(), place.label)));
        lines.extend(self.witness.as_ref().map(|witness| format!("shown by {witness}")));
        lines.extend(self.help.as_ref().map(|help| format!("help: {help}")));
        lines.extend(self.fix.as_ref().map(|fix| format!("fix: {}", render::available(fix.applicability))));
        lines
    }
}

impl Mending {
    fn of(fix: &Fix, sources: &Sources) -> Option<Self> {
        let edit = |edit: &Edit| {
            let (range, text) = edit.of(sources.get(edit.span.source)?);
            let span = Span::new(edit.span.source, range);
            Some((Place::of(span, "", sources)?, text.to_owned()))
        };
        let edits: Option<Vec<_>> = fix.edits.iter().map(edit).collect();
        Some(Self { applicability: fix.applicability, edits: edits? })
    }
}

impl Place {
    fn of(span: Span, label: &str, sources: &Sources) -> Option<Self> {
        let source = sources.get(span.source)?;
        let position = |byte| {
            let (line, column) = source.position(byte);
            Position { line, column }
        };
        let length = source.text.len();
        Some(Self {
            file: escape(&source.name),
            uri: uri(&source.name),
            label: escape(label),
            bytes: (span.start().min(length), span.end().min(length)),
            start: position(span.start()),
            end: position(span.end()),
        })
    }

    /// `PATH:LINE:COLUMN`
    fn words(&self) -> String {
        format!("{}:{}:{}", self.file, self.start.line, self.start.column)
    }
}

/// Tells findings apart by what they say and not by where, so that a line added above closes no alert.
fn fingerprint(finding: &Finding, sources: &Sources, seen: &mut BTreeMap<String, usize>) -> String {
    let source = finding.labels.first().and_then(|label| sources.get(label.span.source));
    let file = source.map_or("", |source| source.name.as_str());
    let same = format!("{}\0{file}\0{}", finding.code.id(), finding.message);
    let before = seen.entry(digest::bytes(same.as_bytes())).or_default();
    *before += 1;
    digest::bytes(format!("{same}\0{before}").as_bytes())
}

/// A path as a URI: relative as it is, absolute as `file://`.
fn uri(path: &str) -> String {
    let mut uri = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~') {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
