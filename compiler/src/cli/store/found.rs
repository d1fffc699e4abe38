//! The plan set in force, looked at as the hook looks at it.
#![expect(clippy::disallowed_methods, reason = "the command line reads the files")]

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;

use super::{CURRENT, named};
use crate::cli::{Failure, input};

/// Longer than any file of a plan set.
const MAX_FILE: usize = 4 << 30;

/// The plan set in force.
pub(in crate::cli) struct InForce {
    /// What `current` names.
    pub(in crate::cli) name: String,
    /// Its files, or why the hook would not open them.
    pub(in crate::cli) files: Result<Files, String>,
}

/// The files of a plan set; what is missing has no bytes.
pub(in crate::cli) struct Files {
    /// The file `index`.
    pub(in crate::cli) index: Vec<u8>,
    /// The file `plans`.
    pub(in crate::cli) plans: Vec<u8>,
}

/// The plan set in force; nothing if there is none. Whatever is switched meanwhile, all of it is of one set.
pub(in crate::cli) fn in_force(directory: &Path) -> Result<Option<InForce>, Failure> {
    let unreadable = |path: &Path| {
        let what = input::name(path);
        move |why| Failure::Unreadable { what, why }
    };
    fs::metadata(directory).map_err(unreadable(directory))?;
    let current = directory.join(CURRENT);
    let Some(name) = named(&current).map_err(unreadable(&current))? else { return Ok(None) };
    if name.contains('/') || matches!(name.as_str(), "" | "." | "..") {
        let why = format!("`{}` names no directory beside it", input::name(&current));
        return Ok(Some(InForce { name, files: Err(why) }));
    }
    let set = directory.join(&name);
    let files = match refused(directory, &set).map_err(unreadable(&set))? {
        Some(why) => Err(why),
        None => Ok(Files { index: read(&set.join("index"))?, plans: read(&set.join("plans"))? }),
    };
    Ok(Some(InForce { name, files }))
}

/// What is not there is not the same as anything, and the comparison says what is wrong with it.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    match input::read_whole(path, MAX_FILE) {
        Err(Failure::Unreadable { why, .. }) if why.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// Why the hook would refuse a plan set before it reads any of it.
fn refused(directory: &Path, set: &Path) -> io::Result<Option<String>> {
    let whole = std::path::absolute(directory)?;
    let mut places: Vec<(&Path, Kind)> =
        whole.ancestors().skip(1).map(|above| (above, Kind::Above)).collect();
    places.reverse();
    let [index, plans] = ["index", "plans"].map(|file| set.join(file));
    places.extend([(directory, Kind::Directory), (set, Kind::Directory)]);
    places.extend([(index.as_path(), Kind::File), (plans.as_path(), Kind::File)]);
    for (place, kind) in places {
        let why = match fs::symlink_metadata(place) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            found => wrong(&found?, kind).map(|wrong| wrong.words(&input::name(place))),
        };
        if why.is_some() {
            return Ok(why);
        }
    }
    Ok(None)
}

/// What something on the way to a plan's bytes should be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A directory in which the plan sets' directory lies, however deep.
    Above,
    Directory,
    File,
}

enum Wrong {
    /// Not a directory, or not a regular file.
    Kind(&'static str),
    Owner(u32),
    Mode(u32),
}

impl Wrong {
    fn words(&self, name: &str) -> String {
        match self {
            Self::Kind(wanted) => format!("`{name}` is no {wanted}, and the hook follows no symbolic links"),
            Self::Owner(uid) => {
                format!("`{name}` belongs to uid {uid}: give it to root by `chown root {name}`")
            }
            Self::Mode(mode) => {
                format!(
                    "`{name}` (mode {mode:o}) can be written by others: take that away by `chmod go-w {name}`"
                )
            }
        }
    }
}

/// What is root's is in good hands, and what is the asker's own: they may be about to hand it to root. Anybody may write a
/// directory above that is sticky, as `/tmp` is.
fn wrong(found: &fs::Metadata, kind: Kind) -> Option<Wrong> {
    let (is_right, wanted) = match kind {
        Kind::File => (found.is_file(), "regular file"),
        Kind::Above | Kind::Directory => (found.is_dir(), "directory"),
    };
    let mode = found.mode() & 0o7777;
    let is_sticky = kind == Kind::Above && mode & 0o1000 != 0;
    if !is_right {
        Some(Wrong::Kind(wanted))
    } else if found.uid() != 0 && found.uid() != geteuid().as_raw() {
        Some(Wrong::Owner(found.uid()))
    } else {
        (mode & 0o022 != 0 && !is_sticky).then_some(Wrong::Mode(mode))
    }
}
