//! `--deny`, `--warn` and `--allow`: what a user makes of findings.

use std::collections::BTreeMap;

use super::{Failure, args};
use crate::diag::{Code, Finding, Severity};
use crate::syntax::cursor::nearest;

/// What a level is set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    /// Every warning that is not named itself.
    Warnings,
    /// One kind of findings.
    One(Code),
}

/// What becomes of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Deny,
    Warn,
    Allow,
}

/// The levels of a run.
pub(super) struct Levels(BTreeMap<Which, Level>);

/// Reads `GPnnnn` or a slug.
pub(super) fn code(word: &str) -> Result<Code, String> {
    Code::from_name(word).ok_or_else(|| {
        // Of a number no other is what was meant.
        if word.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("GP")) {
            return "no finding has that number now; `gpupol rule` lists all of them".to_owned();
        }
        let near = nearest(word, Code::ALL.iter().map(|code| code.slug()));
        let near = near.map(|slug| format!("did you mean `{slug}`?"));
        near.unwrap_or_else(|| "no finding is called so; `gpupol rule` lists all of them".to_owned())
    })
}

impl Which {
    /// Reads `warnings`, `GPnnnn` or a slug.
    pub(super) fn parse(word: &str) -> Result<Self, String> {
        if word == "warnings" {
            return Ok(Self::Warnings);
        }
        code(word).map(Self::One)
    }

    fn words(self) -> String {
        match self {
            Self::Warnings => "warnings".to_owned(),
            Self::One(code) => format!("{} {}", code.id(), code.slug()),
        }
    }
}

impl Levels {
    /// The levels that the arguments set: each thing at most one, and no error made less, for what has an error
    /// cannot be used however it is called.
    pub(super) fn of(args: &args::Check) -> Result<Self, Failure> {
        let mut levels = BTreeMap::new();
        for (named, level) in
            [(&args.deny, Level::Deny), (&args.warn, Level::Warn), (&args.allow, Level::Allow)]
        {
            for which in named {
                if levels.insert(*which, level).is_some_and(|before| before != level) {
                    let message = format!("`{}` is set to two levels", which.words());
                    return Err(Failure::usage(
                        message,
                        "name it in one of `--deny`, `--warn` and `--allow`",
                    ));
                }
                let Which::One(code) = which else { continue };
                if level != Level::Deny && code.severity() == Severity::Error {
                    let message = format!("`{}` is an error, and stays one", which.words());
                    return Err(Failure::usage(
                        message,
                        "mend what it says; only warnings and notes have a level",
                    ));
                }
            }
        }
        Ok(Self(levels))
    }

    /// Gives findings their severities and takes out the allowed ones; how many that were.
    pub(super) fn apply(&self, findings: &mut Vec<Finding>) -> usize {
        let before = findings.len();
        findings.retain_mut(|finding| match self.level(finding) {
            Some(Level::Allow) => false,
            Some(Level::Deny) => {
                finding.severity = Severity::Error;
                true
            }
            Some(Level::Warn) => {
                finding.severity = Severity::Warning;
                true
            }
            None => true,
        });
        before - findings.len()
    }

    fn level(&self, finding: &Finding) -> Option<Level> {
        let warning = finding.severity == Severity::Warning;
        let all = || self.0.get(&Which::Warnings).filter(|_| warning);
        self.0.get(&Which::One(finding.code)).or_else(all).copied()
    }
}
