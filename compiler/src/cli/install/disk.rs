//! The host's files, below the directory where its root is mounted.
#![expect(clippy::disallowed_methods, reason = "the command line reads and writes the files")]

use std::fs::{self, DirBuilder, File as Open, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::fs::{XattrFlags, fsetxattr, getxattr, listxattr};
use rustix::io::Errno;

use crate::cli::{Failure, input};
use crate::installation::tree::{Access, Change, File, Host, Kind, Node};

/// Configurations and the hook are far below this.
const LIMIT: u64 = 64 << 20;

/// What is not yet in its place.
const UNFINISHED: &str = ".gpupol-new";
/// The most that Linux has of one attribute, and of the names of all of a file.
const ATTRIBUTES: usize = 64 << 10;

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
            // With the last one, which may be there although it cannot be made sure of.
            let done = changes.get(..=number).unwrap_or_default();
            let left = done.iter().rev().filter(|done| {
                // What cannot be undone is named: nobody else will say so.
                _ = self.replace(&done.path, &done.after, &done.before);
                !self.look(&done.path).is_ok_and(|now| now.is_as(&done.before))
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
            Node::Absent if *before == Node::Directory => {
                // What an installation that was killed left over is nobody's.
                _ = fs::remove_file(at.join(UNFINISHED));
                return fs::remove_dir(&at);
            }
            Node::Absent => fs::remove_file(&at)?,
            Node::Directory => {
                DirBuilder::new().mode(0o755).create(&at)?;
                fs::set_permissions(&at, Permissions::from_mode(0o755))?;
            }
            Node::File(file) => unfinished(&at, |new| fill(new, file, &at))?,
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
    let new = at.with_file_name(UNFINISHED);
    // One of that name was left by a process that was killed, as only one is at work at a time.
    _ = fs::remove_file(&new);
    let made = make(&new).and_then(|()| fs::rename(&new, at));
    if made.is_err() {
        // The reason for the failure is told; that this is left over is of no interest beside it.
        _ = fs::remove_file(&new);
    }
    made
}

fn fill(path: &Path, wanted: &File, replaced: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&wanted.bytes)?;
    let own = file.metadata()?;
    if let Some((user, group)) = wanted.owner.filter(|&owner| owner != (own.uid(), own.gid())) {
        fchown(&file, Some(user), Some(group))?;
    }
    file.set_permissions(Permissions::from_mode(wanted.mode))?;
    for (name, value) in attributes(replaced)? {
        fsetxattr(&file, &name, &value, XattrFlags::empty())?;
    }
    file.sync_all()
}

/// What stands beside a file's permissions: access lists, the label of SELinux, and whatever its owner noted there.
fn attributes(path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut names = Vec::with_capacity(ATTRIBUTES);
    match listxattr(path, spare_capacity(&mut names)) {
        Err(Errno::NOENT | Errno::NOTSUP) => return Ok(Vec::new()),
        listed => listed?,
    };
    let names = names.split(|&byte| byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
    let is_kept = |name: &&str| {
        name.starts_with("user.") || ["security.selinux", "system.posix_acl_access"].contains(name)
    };
    let read = |name: &str| {
        let mut value = Vec::with_capacity(ATTRIBUTES);
        getxattr(path, name, spare_capacity(&mut value))?;
        Ok((name.to_owned(), value))
    };
    names.filter(is_kept).map(read).collect()
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
        let access = Access { mode: found.mode() & 0o7777, owner: found.uid() };
        Ok(if found.is_file() {
            Kind::File(access)
        } else if found.is_dir() {
            Kind::Directory(access)
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
            Kind::File(Access { mode, .. }) => {
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
        names.retain(|name| name != UNFINISHED);
        names.sort();
        Ok(names)
    }
}
