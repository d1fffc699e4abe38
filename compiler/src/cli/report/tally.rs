//! How many findings there are.

use crate::cli::{Exit, print};
use crate::diag::{Code, Finding, Severity};

/// How many findings of each severity.
#[derive(Clone)]
pub(in crate::cli) struct Tally {
    pub(in crate::cli) errors: usize,
    pub(in crate::cli) warnings: usize,
    pub(in crate::cli) notes: usize,
    /// Those that are not shown because somebody allowed them.
    pub(in crate::cli) allowed: usize,
    /// Those that were mended, if that was asked for.
    pub(in crate::cli) fixed: Option<usize>,
    /// Whether some of a file was beyond what gpupol reads, so that nobody knows what it says.
    unread: bool,
}

/// What is said of files that are not read.
const UNREAD: [Code; 3] = [Code::FileTooLarge, Code::NestedTooDeep, Code::NotUtf8];

impl Tally {
    pub(in crate::cli) fn of(findings: &[Finding], allowed: usize, fixed: Option<usize>) -> Self {
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
        Self {
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
            allowed,
            fixed,
            unread: findings.iter().any(|finding| UNREAD.contains(&finding.code)),
        }
    }

    /// `no errors, 1 warning, 2 notes, 1 allowed`
    pub(in crate::cli) fn words(&self) -> String {
        let mut words = vec![print::count(self.errors, "error")];
        let more = [(self.warnings, "warning"), (self.notes, "note")];
        words.extend(
            more.iter().filter(|(count, _)| *count > 0).map(|(count, noun)| print::count(*count, noun)),
        );
        words.extend((self.allowed > 0).then(|| format!("{} allowed", self.allowed)));
        words.extend(self.fixed.filter(|fixed| *fixed > 0).map(|fixed| format!("{fixed} fixed")));
        words.join(", ")
    }

    /// How the program ends by it.
    pub(in crate::cli) fn exit(&self) -> Exit {
        match self.errors {
            _ if self.unread => Exit::Undecided,
            0 => Exit::Clean,
            _ => Exit::Findings,
        }
    }
}
