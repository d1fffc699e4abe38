//! Where the files of a policy stand in it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Failure, name};

/// Each file with its path below the directory that has them all, and no deeper one does: which directory a command was
/// called in, and how it was told the files, is not seen in that.
pub(super) fn places(files: Vec<PathBuf>) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut known = BTreeMap::new();
    let directories: Result<Vec<PathBuf>, Failure> =
        files.iter().map(|file| directory(file, &mut known)).collect();
    let directories = directories?;
    let root = directories.iter().cloned().reduce(|one, other| common(&one, &other)).unwrap_or_default();
    let place = |directory: &PathBuf, file: &PathBuf| {
        let whole = directory.join(file.file_name().unwrap_or_default());
        name(whole.strip_prefix(&root).unwrap_or(&whole))
    };
    let places: Vec<String> =
        directories.iter().zip(&files).map(|(directory, file)| place(directory, file)).collect();
    Ok(places.into_iter().zip(files).collect())
}

/// Links to directories are followed; one to a file is a file of its own name.
fn directory(file: &Path, known: &mut BTreeMap<PathBuf, PathBuf>) -> Result<PathBuf, Failure> {
    let spelt = match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => file,
    };
    match known.entry(spelt.to_owned()) {
        Entry::Occupied(found) => Ok(found.get().clone()),
        Entry::Vacant(vacant) => {
            let found = fs::canonicalize(spelt);
            let found = found.map_err(|why| Failure::Unreadable { what: name(spelt), why })?;
            Ok(vacant.insert(found).clone())
        }
    }
}

fn common(one: &Path, other: &Path) -> PathBuf {
    one.components().zip(other.components()).take_while(|(a, b)| a == b).map(|(part, _)| part).collect()
}
