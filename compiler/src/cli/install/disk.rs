//! The host's files, below the directory where its root is mounted.
#![expect(clippy::disallowed_methods, reason = "the command line reads and writes the files")]

use std::fs::{self, DirBuilder, File as Open, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

use crate::cli::{Failure, input};
use crate::installation::tree::{Change, File, Host, Kind, Node};

/// Configurations and the hook are far below this.
const LIMIT: u64 = 64 << 20;

/// A host's root file system.
pub(super) struct Disk {
    root: PathBuf,
}

/// A turn, until it is dropped.
pub(super) struct Lock(#[expect(dead_code, reason = "the lock ends with the descriptor")] Open);

impl Disk {
    /// The one that is mounted there.
    pub(super) fn of(root: &Path) -> Result<Self, Failure> {
        let unreadable = |why| Failure::Unreadable { what: input::name(root), why };
        Ok(Self { root: fs::canonicalize(root).map_err(unreadable)? })
    }

    /// Whether it is this very host's.
    pub(super) fn is_host(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where a path of the host is from here.
    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Keeps other installations out. `/etc` itself is locked, so that no file of it is left.
    pub(super) fn lock(&self) -> Result<Lock, Failure> {
        let path = self.at("/etc");
        let handle =
            Open::open(&path).map_err(|why| Failure::Unreadable { what: input::name(&path), why })?;
        match handle.try_lock() {
            Ok(()) => Ok(Lock(handle)),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::usage("another installation is at work on this host", "wait until it is done"))
            }
            Err(TryLockError::Error(why)) => Err(Failure::Unwritable { what: input::name(&path), why }),
        }
    }

    /// Does all of it, or nothing.
    pub(super) fn write(&self, changes: &[Change]) -> Result<(), Failure> {
        for (number, change) in changes.iter().enumerate() {
            let Err(why) = self.replace(&change.path, &change.before, &change.after) else { continue };
            let done = changes.get(..number).unwrap_or_default();
            let left = done.iter().rev().filter(|done| {
                // What cannot be undone is named: nobody else will say so.
                self.replace(&done.path, &done.after, &done.before).is_err()
            });
            let left: Vec<String> = left.map(|change| format!("`{}`", change.path)).collect();
            let what = input::name(&self.at(&change.path));
            if left.is_empty() {
                return Err(Failure::Unwritable { what, why });
            }
            let message =
                format!("`{what}` cannot be written: {why}; and {} cannot be put back", left.join(", "));
            return Err(Failure::usage(
                message,
                "mend the disk, and run `gpupol uninstall` with the same name",
            ));
        }
        Ok(())
    }

    /// Makes of one thing the other, at once.
    fn replace(&self, path: &str, before: &Node, after: &Node) -> io::Result<()> {
        if self.look(path)? != *before && !self.look(path)?.is_as(before) {
            return Err(io::Error::other("it changed since it was read"));
        }
        let at = self.at(path);
        match after {
            Node::Absent if *before == Node::Directory => return fs::remove_dir(&at),
            Node::Absent => fs::remove_file(&at)?,
            Node::Directory => {
                DirBuilder::new().mode(0o755).create(&at)?;
                fs::set_permissions(&at, Permissions::from_mode(0o755))?;
            }
            Node::File(file) => unfinished(&at, |new| fill(new, file))?,
            Node::Link(target) => unfinished(&at, |new| symlink(target, new))?,
            Node::Other => return Err(io::Error::other("it is neither file nor link")),
        }
        // A directory that is gone is not the one that has to remember so.
        let parent = at.parent().unwrap_or(&self.root);
        Open::open(parent)?.sync_all()
    }
}

/// Makes something beside its place, and renames it there.
fn unfinished(at: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let new = at.with_file_name(format!(".gpupol-new-{}", std::process::id()));
    // One of that name was left by a process that was killed.
    _ = fs::remove_file(&new);
    let made = make(&new).and_then(|()| fs::rename(&new, at));
    if made.is_err() {
        // The reason for the failure is told; that this is left over is of no interest beside it.
        _ = fs::remove_file(&new);
    }
    made
}

fn fill(path: &Path, wanted: &File) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&wanted.bytes)?;
    let own = file.metadata()?;
    if let Some((user, group)) = wanted.owner.filter(|&owner| owner != (own.uid(), own.gid())) {
        fchown(&file, Some(user), Some(group))?;
    }
    file.set_permissions(Permissions::from_mode(wanted.mode))?;
    file.sync_all()
}

impl Host for Disk {
    fn kind(&self, path: &str) -> io::Result<Kind> {
        let at = self.at(path);
        let found = match fs::symlink_metadata(&at) {
            Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Kind::Absent);
            }
            found => found?,
        };
        Ok(if found.is_file() {
            Kind::File(found.mode() & 0o7777)
        } else if found.is_dir() {
            Kind::Directory(found.mode() & 0o7777)
        } else if found.is_symlink() {
            Kind::Link(fs::read_link(&at)?.to_string_lossy().into_owned())
        } else {
            Kind::Other
        })
    }

    fn look(&self, path: &str) -> io::Result<Node> {
        let at = self.at(path);
        Ok(match self.kind(path)? {
            Kind::Absent => Node::Absent,
            Kind::Directory(_) => Node::Directory,
            Kind::Link(target) => Node::Link(target),
            Kind::Other => Node::Other,
            Kind::File(mode) => {
                let found = fs::symlink_metadata(&at)?;
                if found.len() > LIMIT {
                    return Err(io::Error::other("it is larger than 64 MiB"));
                }
                Node::File(File { bytes: fs::read(&at)?, mode, owner: Some((found.uid(), found.gid())) })
            }
        })
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.at(path)) {
            Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            entries => entries?,
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<io::Result<Vec<String>>>()?;
        names.sort();
        Ok(names)
    }
}
