//! Findings: what a run has to say, as data. Rendering them is `cli`'s work.

pub mod code;
pub mod fix;
pub mod rule;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::source::Span;
pub use code::{Code, Severity};
pub use fix::Fix;
pub use rule::Rule;

/// Something a user should know: one cause, one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub code: Code,
    /// How much it matters: what its code says, until a user says otherwise.
    pub severity: Severity,
    /// What is wrong: one fragment, lower case, no full stop, user text in backticks.
    pub message: String,
    /// Where: the first is the smallest token to edit, the others are the causes.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
    /// A concrete case that shows it: a container, a string, a set of rules.
    pub witness: Option<String>,
    /// Edits that mend it.
    pub fix: Option<Box<Fix>>,
}

/// A place that a finding points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there, in a few words.
    pub text: String,
}

impl Finding {
    /// A finding at one place.
    #[must_use]
    pub fn at(code: Code, span: Span, label: impl Into<String>, message: impl Into<String>) -> Self {
        let labels = vec![Label { span, text: label.into() }];
        Self { labels, ..Self::general(code, message) }
    }

    /// A finding of the whole run, at no place.
    #[must_use]
    pub fn general(code: Code, message: impl Into<String>) -> Self {
        let (severity, message) = (code.severity(), message.into());
        Self { code, severity, message, labels: Vec::new(), help: None, witness: None, fix: None }
    }

    /// The same, pointing at one more place.
    #[must_use]
    pub fn and(mut self, span: Span, label: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: label.into() });
        self
    }

    /// The same with help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with help, if there is any.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// The same with a fix.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fix = Some(Box::new(fix));
        self
    }

    /// The same with a fix, if there is any.
    #[must_use]
    pub fn maybe_fix(self, fix: Option<Fix>) -> Self {
        match fix {
            Some(fix) => self.fix(fix),
            None => self,
        }
    }

    /// The same with a witness.
    #[must_use]
    pub fn witness(mut self, witness: impl Into<String>) -> Self {
        self.witness = Some(witness.into());
        self
    }
}

/// Where stages put their findings.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    findings: Vec<Finding>,
    wanted: Option<Arc<Wanted>>,
}

/// Places at which findings of some codes are still of use: of these codes nobody needs one elsewhere.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The codes.
    pub codes: &'static [Code],
    /// Each with the first place of a finding.
    pub places: BTreeSet<(Code, Span)>,
}

impl Sink {
    /// One that wants no more than that; `None`: everything.
    #[must_use]
    pub fn wanting(wanted: Option<Arc<Wanted>>) -> Self {
        Self { findings: Vec::new(), wanted }
    }

    /// Whether a finding of this code that begins at that place is of use. Who asks saves wording what is not; to push it
    /// nevertheless does no harm.
    #[must_use]
    pub fn wants(&self, code: Code, place: Span) -> bool {
        let is_wanted =
            |wanted: &Arc<Wanted>| !wanted.codes.contains(&code) || wanted.places.contains(&(code, place));
        self.wanted.as_ref().is_none_or(is_wanted)
    }

    /// Takes one finding.
    pub fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Lets somebody who knows more say it better.
    pub fn amend(&mut self, amend: impl FnMut(&mut Finding)) {
        self.findings.iter_mut().for_each(amend);
    }

    /// Whether any finding so far is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// The findings so far that are errors.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error)
    }

    /// All findings, sorted by place, then code, then message; the same finding is given once.
    #[must_use]
    pub fn finish(mut self) -> Vec<Finding> {
        let key = |finding: &Finding| (finding.labels.first().map(|label| label.span), finding.code);
        self.findings.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message)));
        self.findings.dedup();
        self.findings
    }
}
