//! `gpupol fmt`

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::args;
use super::input::{self, Input};
use super::{Exit, Failure, chain, diff, print, render, replace};
use crate::diag::Sink;
use crate::source::{Source, SourceId};
use crate::syntax::{self, FormatError};

pub(super) fn run(args: &args::Fmt) -> Result<Exit, Failure> {
    let piped = is_stdin(&args.paths)?;
    let input = if piped { input::standard()? } else { input::read(&args.paths)? };
    let mut sink = Sink::default();
    let mut done = Done::default();
    for (id, source) in input.sources.iter() {
        match formatted(id, source, &input, &mut sink) {
            Ok(text) => _ = done.texts.insert(id, text),
            Err(FormatError::Faulty) => done.faulty += 1,
            Err(FormatError::TooLarge) => return Err(too_large(source)),
            Err(FormatError::MeaningChanged) => {
                let name = render::escape(&source.name);
                print::say(&format!("gpupol: internal error: formatting would change what `{name}` says\n"));
                return Ok(Exit::Internal);
            }
        }
    }
    chain::say(sink.finish(), &input.sources);
    let changed = done.changed(&input);
    let only_shown = args.check || args.diff;
    match (only_shown, piped) {
        (true, _) => print::data(&shown(&changed, args.diff))?,
        (false, true) => print::data(&done.texts.values().map(String::as_str).collect::<String>())?,
        (false, false) => write(&changed)?,
    }
    if only_shown || !piped {
        print::say(&done.words(changed.len(), only_shown));
    }
    let found = done.faulty > 0 || (only_shown && !changed.is_empty());
    Ok(if found { Exit::Findings } else { Exit::Clean })
}

/// Whether the text is that of standard input: `-` alone.
fn is_stdin(paths: &[PathBuf]) -> Result<bool, Failure> {
    let piped = paths.iter().any(|path| path.as_os_str() == "-");
    if piped && paths.len() > 1 {
        let message = "`-` stands for standard input, and for that alone";
        return Err(Failure::usage(message, "name either `-` or files and directories"));
    }
    Ok(piped)
}

fn formatted(id: SourceId, source: &Source, input: &Input, sink: &mut Sink) -> Result<String, FormatError> {
    if let Some(finding) = input.damaged.get(&source.name) {
        sink.push(finding.clone());
        return Err(FormatError::Faulty);
    }
    syntax::format(id, source, sink)
}

fn too_large(source: &Source) -> Failure {
    let message = format!("`{}` would be larger than gpupol reads, were it formatted", source.name);
    Failure::usage(message, "split it, or write its deepest blocks on one line")
}

/// What came of the files.
#[derive(Default)]
struct Done {
    texts: BTreeMap<SourceId, String>,
    /// How many could not be read.
    faulty: usize,
}

/// A file whose text is not as it should be.
struct Change<'i> {
    source: &'i Source,
    path: Option<&'i PathBuf>,
    text: &'i str,
}

impl Done {
    fn changed<'i>(&'i self, input: &'i Input) -> Vec<Change<'i>> {
        let paths = input.paths.iter().map(Some).chain(std::iter::repeat(None));
        let files = input.sources.iter().zip(paths);
        let change = |((id, source), path): ((SourceId, &'i Source), Option<&'i PathBuf>)| {
            let text = self.texts.get(&id)?.as_str();
            (text != source.text).then_some(Change { source, path, text })
        };
        files.filter_map(change).collect()
    }

    /// `9 files: 2 formatted, 1 with errors`
    fn words(&self, changed: usize, only_shown: bool) -> String {
        let formatted = if only_shown { "to be formatted" } else { "formatted" };
        let counts = [(changed, formatted), (self.faulty, "with errors")];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, words)| format!("{count} {words}"))
            .collect();
        let words = if counts.is_empty() { "nothing to format".to_owned() } else { counts.join(", ") };
        format!("{}: {words}\n", print::count(self.texts.len() + self.faulty, "file"))
    }
}

fn shown(changed: &[Change<'_>], diff: bool) -> String {
    let show = |change: &Change<'_>| {
        if diff {
            diff::of_format(&change.source.name, &change.source.text, change.text)
        } else {
            format!("would format {}\n", render::escape(&change.source.name))
        }
    };
    changed.iter().map(show).collect()
}

fn write(changed: &[Change<'_>]) -> Result<(), Failure> {
    for change in changed {
        let Some(path) = change.path else { continue };
        replace::text(path, &change.source.text, change.text)
            .map_err(|why| Failure::Unwritable { what: change.source.name.clone(), why })?;
        print::data(&format!("formatted {}\n", render::escape(&change.source.name)))?;
    }
    Ok(())
}
