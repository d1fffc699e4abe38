//! Files by a glob over their path.
#![expect(clippy::disallowed_methods, reason = "the command line looks at the files")]

use std::fs;
use std::path::{Path, PathBuf};

use gpupol_plan::glob;

/// Directories nested deeper than this are not looked into.
const MOST_LEVELS: usize = 32;

/// The paths below `base` that a pattern such as `hosts/*.json` matches, sorted. A pattern without wildcards is
/// itself, whether or not it is there. `**` as a whole segment stands for any number of directories.
pub(super) fn paths(base: &Path, pattern: &str) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?']) {
        return vec![base.join(pattern)];
    }
    let start = if pattern.starts_with('/') { PathBuf::from("/") } else { base.to_owned() };
    let segments: Vec<&str> = pattern.split('/').filter(|segment| !segment.is_empty()).collect();
    let mut found = Vec::new();
    walk(&start, &segments, MOST_LEVELS, &mut found);
    found.sort();
    found.dedup();
    found
}

fn walk(at: &Path, segments: &[&str], levels: usize, found: &mut Vec<PathBuf>) {
    let Some((first, rest)) = segments.split_first() else {
        found.extend(at.is_file().then(|| at.to_owned()));
        return;
    };
    if levels == 0 {
        return;
    }
    if *first == "**" {
        walk(at, rest, levels, found);
        for (_, below) in entries(at).into_iter().filter(|(_, below)| below.is_dir() && !below.is_symlink()) {
            walk(&below, segments, levels - 1, found);
        }
    } else if first.contains(['*', '?']) {
        for (_, below) in entries(at).into_iter().filter(|(name, _)| glob::matches(first, name)) {
            walk(&below, rest, levels - 1, found);
        }
    } else {
        walk(&at.join(first), rest, levels - 1, found);
    }
}

/// Entries that are not hidden; a directory that cannot be read has none, and then the pattern matches nothing,
/// which is said.
fn entries(directory: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
    named.filter(|(name, _)| !name.starts_with('.')).collect()
}
