//! `check --fix`: what findings say of their own mending, done.

use std::collections::BTreeMap;

use super::Checked;
use crate::cli::args::{self, FindingFormat};
use crate::cli::input::Input;
use crate::cli::report::MOST_SHOWN;
use crate::cli::{Failure, diff, print, render, replace};
use crate::diag::Finding;
use crate::diag::fix::apply;
use crate::source::{SourceId, Sources};

/// A fix may uncover what the next can mend; after so many rounds what is left is left to the user.
const MOST_ROUNDS: usize = 64;

/// Which fixes are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fixing {
    /// None.
    Off,
    /// The safe ones.
    Safe,
    /// The unsafe ones too.
    All,
}

/// What was mended.
pub(super) struct Fixed {
    /// The files as they were read.
    before: Input,
    /// The new texts of those that change.
    texts: BTreeMap<SourceId, String>,
    /// One line for each finding that was mended.
    mended: Vec<String>,
}

impl Fixing {
    pub(super) fn of(args: &args::Check) -> Result<Self, Failure> {
        let fixing = match (args.fix, args.unsafe_fixes) {
            (_, true) => Self::All,
            (true, false) => Self::Safe,
            (false, false) => Self::Off,
        };
        if args.diff && fixing == Self::Off {
            return Err(Failure::usage(
                "`--diff` shows what fixes would change",
                "add `--fix` or `--unsafe-fixes`",
            ));
        }
        if args.diff && !matches!(args.format, FindingFormat::Human | FindingFormat::Plain) {
            return Err(Failure::usage(
                "a diff and a document cannot both go to standard output",
                "leave out `--diff` or `--format`",
            ));
        }
        Ok(fixing)
    }

    /// Checks, mends in memory, and checks again until nothing more can be mended. What is returned is of the last
    /// check.
    pub(super) fn run(self, input: Input, check: impl Fn(Input) -> Checked) -> (Checked, Option<Fixed>) {
        if self == Self::Off {
            return (check(input), None);
        }
        let mut fixed = Fixed { before: input, texts: BTreeMap::new(), mended: Vec::new() };
        let mut rounds = 0;
        loop {
            let checked = check(fixed.before.with(&fixed.texts));
            let applied = apply(&checked.findings, &checked.sources, self == Self::All);
            if applied.mended.is_empty() || rounds == MOST_ROUNDS {
                return (checked, Some(fixed));
            }
            let mended = applied.mended.iter().filter_map(|at| checked.findings.get(*at));
            fixed.mended.extend(mended.map(|finding| line(finding, &checked.sources)));
            fixed.texts.extend(applied.texts);
            rounds += 1;
        }
    }
}

impl Fixed {
    /// How many findings were mended.
    pub(super) fn count(&self) -> usize {
        self.mended.len()
    }

    /// Writes the files, or shows what would be written; whether that is anything.
    pub(super) fn finish(&self, args: &args::Check) -> Result<bool, Failure> {
        let done = if args.diff { "would fix" } else { "fixed" };
        if args.diff {
            print::data(&self.diff())?;
        } else {
            self.write()?;
        }
        let most = args.max_diagnostics.unwrap_or(MOST_SHOWN);
        let lines = self.mended.iter().take(most).map(|line| format!("{done} {line}\n"));
        let hidden = self.mended.len().saturating_sub(most);
        let more = (hidden > 0).then(|| format!("{done} {hidden} more\n"));
        print::say(&lines.chain(more).collect::<String>());
        Ok(!self.mended.is_empty())
    }

    fn diff(&self) -> String {
        let show = |(id, text): (&SourceId, &String)| {
            let source = self.before.sources.get(*id)?;
            Some(diff::of_fixes(&source.name, &source.text, text))
        };
        self.texts.iter().filter_map(show).collect()
    }

    /// All files that change are as they were read, or none is written.
    fn write(&self) -> Result<(), Failure> {
        let files = self.before.sources.iter().zip(&self.before.paths);
        let changed: Vec<_> = files
            .filter_map(|((id, source), path)| Some((source, path, self.texts.get(&id)?)))
            .filter(|(source, _, text)| source.text != **text)
            .collect();
        let unwritable = |name: &str| {
            let what = name.to_owned();
            move |why| Failure::Unwritable { what, why }
        };
        for (source, path, _) in &changed {
            replace::unchanged(path, &source.text).map_err(unwritable(&source.name))?;
        }
        for (source, path, text) in changed {
            replace::text(path, &source.text, text).map_err(unwritable(&source.name))?;
        }
        Ok(())
    }
}

/// `policies/a.kdl:3:7: GP0006 old-kdl: …`
fn line(finding: &Finding, sources: &Sources) -> String {
    let label = finding.labels.first();
    let place = label.and_then(|label| {
        let source = sources.get(label.span.source)?;
        let (line, column) = source.position(label.span.start());
        Some(format!("{}:{line}:{column}: ", source.name))
    });
    let (id, slug) = (finding.code.id(), finding.code.slug());
    render::escape(&format!("{}{id} {slug}: {}", place.unwrap_or_default(), finding.message))
}
