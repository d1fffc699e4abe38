//! Finding and reading policy files.
#![expect(clippy::disallowed_methods, reason = "the command line reads the files")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::Failure;
use crate::diag::Finding;
use crate::source::{Source, SourceId, Sources};
use crate::syntax::{self, MAX_FILE};

pub(super) mod git;
mod place;

/// More files than any policy has; a wrong directory was named.
const MOST_FILES: usize = 10_000;
/// Directories nested deeper than any policy's.
const MOST_LEVELS: usize = 64;
/// What messages call standard input.
const STANDARD: &str = "<stdin>";

/// Policy files, read.
#[derive(Clone)]
pub(super) struct Input {
    /// All files, a damaged one without text.
    pub(super) sources: Sources,
    /// Where each of them is, in their order; standard input is nowhere.
    pub(super) paths: Vec<PathBuf>,
    /// The damaged ones, each with what is wrong.
    pub(super) damaged: BTreeMap<String, Finding>,
}

/// Reads the policy files under some paths, each file once.
pub(super) fn read(paths: &[PathBuf]) -> Result<Input, Failure> {
    let mut search = Search::default();
    for path in paths {
        search.begin(path)?;
    }
    if search.files.is_empty() {
        return Err(nothing(paths));
    }
    let mut files = place::places(search.files)?;
    // As sources are sorted.
    files.sort_by_key(|(place, path)| (place.clone(), name(path)));
    let read = |(place, path): &(String, PathBuf)| {
        Ok(Text { name: name(path), place: place.clone(), bytes: read_file(path, MAX_FILE)? })
    };
    let texts: Result<Vec<_>, Failure> = files.iter().map(read).collect();
    let paths = files.into_iter().map(|(_, path)| path).collect();
    Ok(Input { paths, ..Input::of(texts?) })
}

/// Reads standard input as one policy file.
pub(super) fn standard() -> Result<Input, Failure> {
    let unreadable = |why| Failure::Unreadable { what: STANDARD.to_owned(), why };
    let bytes = at_most(io::stdin().lock(), MAX_FILE).map_err(unreadable)?;
    Ok(Input::of(vec![Text { name: STANDARD.to_owned(), place: STANDARD.to_owned(), bytes }]))
}

/// A file as it was found.
struct Text {
    name: String,
    place: String,
    bytes: Vec<u8>,
}

impl Input {
    /// The same files with other texts.
    pub(super) fn with(&self, texts: &BTreeMap<SourceId, String>) -> Self {
        let sources = self.sources.iter().map(|(id, source)| {
            let text = texts.get(&id).unwrap_or(&source.text);
            Source::new(source.name.as_str(), text.as_str()).at(source.place.as_str())
        });
        Self {
            sources: Sources::new(sources.collect()),
            paths: self.paths.clone(),
            damaged: self.damaged.clone(),
        }
    }

    fn of(texts: Vec<Text>) -> Self {
        let mut damaged = BTreeMap::new();
        let mut sources = Vec::with_capacity(texts.len());
        for Text { name, place, bytes } in texts {
            let text = syntax::text(&name, bytes).unwrap_or_else(|finding| {
                damaged.insert(name.clone(), finding);
                String::new()
            });
            sources.push(Source::new(name, text).at(place));
        }
        Self { sources: Sources::new(sources), paths: Vec::new(), damaged }
    }
}

/// The bytes of a regular file of at most `limit` bytes; of a longer one, one byte more than that.
pub(super) fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let unreadable = |why| Failure::Unreadable { what: name(path), why };
    regular(path).and_then(|file| at_most(file, limit)).map_err(unreadable)
}

/// A regular file, opened: opening a pipe would wait for somebody who writes.
pub(super) fn regular(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() {
        let why = if kind.is_dir() { "it is a directory" } else { "it is not a regular file" };
        return Err(io::Error::other(why));
    }
    File::open(path)
}

/// All bytes of a reader up to `limit`, and one more if there are more.
fn at_most(from: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bytes of a regular file that has no more than `limit`.
pub(super) fn read_whole(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let bytes = read_file(path, limit)?;
    if bytes.len() > limit {
        let message = format!("`{}` has more than the {limit} bytes that gpupol reads", name(path));
        return Err(Failure::usage(message, "name a file of the right kind"));
    }
    Ok(bytes)
}

/// A path as messages say it: without `.` and doubled slashes.
pub(super) fn name(path: &Path) -> String {
    let plain: PathBuf = path.components().filter(|component| *component != Component::CurDir).collect();
    if plain.as_os_str().is_empty() { ".".to_owned() } else { plain.to_string_lossy().into_owned() }
}

fn nothing(paths: &[PathBuf]) -> Failure {
    let names: Vec<String> = paths.iter().map(|path| format!("`{}`", name(path))).collect();
    Failure::usage(
        format!("there is no policy file (`*.kdl`) in {}", names.join(", ")),
        "write some to begin with by `gpupol init`, or name the directory that has them",
    )
}

/// A walk that meets each file and each directory once, whatever links lead there.
#[derive(Default)]
struct Search {
    seen: BTreeSet<(u64, u64)>,
    files: Vec<PathBuf>,
}

impl Search {
    fn begin(&mut self, path: &Path) -> Result<(), Failure> {
        let found = fs::metadata(path);
        if found.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            let message = format!("`{}` is not there", name(path));
            return Err(Failure::usage(
                message,
                "name the files or directories of the policy, or write one by `gpupol init`",
            ));
        }
        let found = found.map_err(|why| Failure::Unreadable { what: name(path), why })?;
        if found.is_dir() { self.directory(path, &found, 0) } else { self.file(path, &found) }
    }

    fn directory(&mut self, path: &Path, found: &fs::Metadata, level: usize) -> Result<(), Failure> {
        if !self.seen.insert((found.dev(), found.ino())) {
            return Ok(());
        }
        if level > MOST_LEVELS {
            return Err(Failure::usage(
                format!("`{}` is nested deeper than {MOST_LEVELS} directories", name(path)),
                "name the directory of the policy itself",
            ));
        }
        let unreadable = |why| Failure::Unreadable { what: name(path), why };
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(unreadable)? {
            names.push(entry.map_err(unreadable)?.file_name());
        }
        names.sort();
        for below in names.iter().filter(|below| !below.as_encoded_bytes().starts_with(b".")) {
            self.entry(&path.join(below), level)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, level: usize) -> Result<(), Failure> {
        let is_policy = path.extension().is_some_and(|extension| extension == "kdl");
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => self.directory(path, &found, level + 1),
            Ok(found) if is_policy && found.is_file() => self.file(path, &found),
            Err(why) if is_policy => Err(Failure::Unreadable { what: name(path), why }),
            _ => Ok(()),
        }
    }

    fn file(&mut self, path: &Path, found: &fs::Metadata) -> Result<(), Failure> {
        if self.seen.insert((found.dev(), found.ino())) {
            self.files.push(path.to_owned());
        }
        if self.files.len() > MOST_FILES {
            return Err(Failure::usage(
                format!("there are more than {MOST_FILES} policy files"),
                "name the directory of the policy itself",
            ));
        }
        Ok(())
    }
}
