//! The host's files below a directory that need not be `/`. Nothing that lies there is believed, and nothing is waited for.
#![expect(clippy::disallowed_methods, reason = "the command line looks at the host")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, Stat, fstat, major, minor};
use rustix::io::Errno;

use crate::cli::{Failure, input};
use crate::topology::discover::open_within;

/// Longer than any file that the doctor reads.
const MAX_BYTES: u64 = 4 << 20;

/// The directory that stands for the host's `/`.
pub(in crate::cli) struct Tree {
    root: PathBuf,
    handle: OwnedFd,
    /// Whoever has made the tree may own what lies in it, as root does on a host.
    owner: u32,
    hidden: RefCell<BTreeMap<String, String>>,
}

/// A file that was found.
pub(in crate::cli) struct Found {
    /// Where it really is, below the root.
    pub(in crate::cli) place: String,
    /// What it is.
    pub(in crate::cli) stat: Stat,
}

impl Found {
    /// Whether it is a program.
    pub(in crate::cli) fn is_program(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::RegularFile && self.stat.st_mode & 0o111 != 0
    }
}

impl Tree {
    pub(in crate::cli) fn new(root: &Path) -> Result<Self, Failure> {
        let unreadable = |why| Failure::Unreadable { what: input::name(root), why };
        let root = fs::canonicalize(root).map_err(unreadable)?;
        let handle =
            rustix::fs::open(&root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| unreadable(errno.into()))?;
        let owner = if root == Path::new("/") { 0 } else { fs::metadata(&root).map_err(unreadable)?.uid() };
        Ok(Self { root, handle, owner, hidden: RefCell::default() })
    }

    /// Whether it is the host itself.
    pub(in crate::cli) fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Whether the host runs, rather than lies there as an image does: its kernel says what is below `/proc` and `/sys`. If not, that
    /// is noted.
    pub(in crate::cli) fn is_up(&self) -> bool {
        let is_up = self.is_live() || self.find("/proc/sys/kernel").is_some();
        if !is_up {
            self.hide("/proc", "it is not mounted: what the kernel says of a host that runs is not known");
        }
        is_up
    }

    /// Where a path of the host is for this process.
    pub(in crate::cli) fn outside(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A message of somebody who was told a path of this process, with that of the host instead.
    pub(in crate::cli) fn inside(&self, message: &str) -> String {
        if self.is_live() { message.to_owned() } else { message.replace(&*self.root.to_string_lossy(), "") }
    }

    /// What could not be looked at, and why.
    pub(in crate::cli) fn hidden(&self) -> BTreeMap<String, String> {
        self.hidden.borrow().clone()
    }

    /// Notes that something could not be looked at.
    pub(in crate::cli) fn hide(&self, path: &str, why: impl Into<String>) {
        self.hidden.borrow_mut().insert(path.to_owned(), why.into());
    }

    /// A file's text, or why it has none; nothing if it is not there, or must not be read, which is noted.
    pub(in crate::cli) fn text(&self, path: &str) -> Option<Result<String, String>> {
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let file = match file {
            Ok(file) => fs::File::from(file),
            Err(errno) => return Some(Err(errno.to_string())),
        };
        Some(self.read(&file))
    }

    fn read(&self, file: &fs::File) -> Result<String, String> {
        let found = file.metadata().map_err(|why| why.to_string())?;
        if !found.is_file() {
            return Err("it is no regular file".to_owned());
        }
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|why| why.to_string())?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
            return Err(format!("it has more than {MAX_BYTES} bytes"));
        }
        String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
    }

    /// As much of a file's end as is read of any file; nothing if it cannot be read.
    pub(in crate::cli) fn end(&self, path: &str) -> Option<String> {
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?.ok()?;
        let mut file = fs::File::from(file);
        let found = file.metadata().ok().filter(fs::Metadata::is_file)?;
        file.seek(SeekFrom::Start(found.len().saturating_sub(MAX_BYTES))).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The names in a directory, sorted; none if it is not there.
    pub(in crate::cli) fn names(&self, path: &str) -> Vec<String> {
        let Some(Ok(directory)) = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY) else {
            return Vec::new();
        };
        let entries = Dir::new(directory).into_iter().flatten().flatten();
        let name = |entry: rustix::fs::DirEntry| entry.file_name().to_str().ok().map(str::to_owned);
        let mut names: Vec<String> =
            entries.filter_map(name).filter(|name| name != "." && name != "..").collect();
        names.sort();
        names
    }

    /// Where a path leads, if it leads anywhere.
    pub(in crate::cli) fn find(&self, path: &str) -> Option<Found> {
        self.look(path, OFlags::PATH)
    }

    /// What lies at a path, a link too.
    pub(in crate::cli) fn lies(&self, path: &str) -> Option<Found> {
        self.look(path, OFlags::PATH | OFlags::NOFOLLOW)
    }

    /// Why a path is not in root's hands alone, as the hook looks at it: without a symbolic link on the way. What is not there is in
    /// nobody's.
    pub(in crate::cli) fn wrong_hands(&self, path: &str) -> Option<String> {
        let mut at = String::new();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for (number, part) in parts.iter().enumerate() {
            at = format!("{at}/{part}");
            let stat = self.lies(&at)?.stat;
            let (mode, is_last) = (stat.st_mode & 0o7777, number + 1 == parts.len());
            let is_sticky = mode & 0o1000 != 0 && !is_last;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                return Some(format!("`{at}` is a symbolic link, and the hook follows none there"));
            } else if stat.st_uid != 0 && stat.st_uid != self.owner {
                return Some(format!("`{at}` belongs to uid {}, not to root", stat.st_uid));
            } else if mode & 0o022 != 0 && !is_sticky {
                return Some(format!("`{at}` (mode {mode:o}) can be written by others"));
            }
        }
        None
    }

    /// The character devices that a process has open, as major and minor numbers; nothing if it is gone.
    pub(in crate::cli) fn devices(&self, pid: u32) -> Vec<(u32, u32)> {
        let directory = format!("/proc/{pid}/fd");
        let entries = match fs::read_dir(self.outside(&directory)) {
            Ok(entries) => entries,
            Err(why) => {
                if why.kind() == std::io::ErrorKind::PermissionDenied {
                    self.hide("/proc/PID/fd", "permission denied for processes of other users");
                }
                return Vec::new();
            }
        };
        let device = |entry: fs::DirEntry| {
            let found = fs::metadata(entry.path()).ok()?;
            found.file_type().is_char_device().then(|| (major(found.rdev()), minor(found.rdev())))
        };
        let mut devices: Vec<(u32, u32)> = entries.flatten().filter_map(device).collect();
        devices.sort_unstable();
        devices.dedup();
        devices
    }

    /// The path of the program that a process runs, if that is a file of the host's and in root's hands.
    pub(in crate::cli) fn program_of(&self, pid: u32) -> Option<String> {
        let link = self.outside(&format!("/proc/{pid}/exe"));
        let (path, runs) = (fs::read_link(&link).ok()?, fs::metadata(&link).ok()?);
        let path = path.to_str()?.to_owned();
        // A container has other files at the same paths.
        let found = fs::metadata(&path).ok()?;
        let is_of_host = (found.dev(), found.ino()) == (runs.dev(), runs.ino());
        (is_of_host && self.wrong_hands(&path).is_none()).then_some(path)
    }

    /// The namespace of a kind that a process is in.
    pub(in crate::cli) fn namespace(&self, pid: u32, kind: &str) -> Option<PathBuf> {
        fs::read_link(self.outside(&format!("/proc/{pid}/ns/{kind}"))).ok()
    }

    /// The namespace of a kind that this process is in.
    pub(in crate::cli) fn own_namespace(kind: &str) -> Option<PathBuf> {
        fs::read_link(format!("/proc/self/ns/{kind}")).ok()
    }

    /// An extended attribute, as text.
    pub(in crate::cli) fn attribute(&self, path: &str, name: &str) -> Option<String> {
        let found = self.find(path)?;
        let mut bytes = vec![0; 4096];
        let length = rustix::fs::getxattr(self.outside(&found.place), name, &mut bytes).ok()?;
        bytes.truncate(length);
        Some(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned())
    }

    fn look(&self, path: &str, flags: OFlags) -> Option<Found> {
        let handle = self.open(path, flags)?.ok()?;
        let place = fs::read_link(format!("/proc/self/fd/{}", handle.as_raw_fd())).ok()?;
        let below = place.strip_prefix(&self.root).ok()?;
        Some(Found { place: format!("/{}", below.display()), stat: fstat(&handle).ok()? })
    }

    fn open(&self, path: &str, flags: OFlags) -> Option<Result<OwnedFd, Errno>> {
        match open_within(&self.handle, path.trim_start_matches('/'), flags) {
            Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(Errno::ACCESS | Errno::PERM) => {
                self.hide(path, "permission denied");
                None
            }
            opened => Some(opened),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn links_stay_below_the_root_and_hands_are_judged_part_by_part() {
        let place = tempfile::tempdir().unwrap();
        let at = |path: &str| place.path().join(path);
        fs::create_dir_all(at("etc/gpupol/entries")).unwrap();
        fs::write(at("etc/gpupol/entries/a.json"), "{}").unwrap();
        symlink("/etc/gpupol/entries/a.json", at("etc/a")).unwrap();
        let tree = Tree::new(place.path()).unwrap();
        assert_eq!(tree.find("/etc/a").unwrap().place, "/etc/gpupol/entries/a.json");
        assert_eq!(tree.text("/etc/a"), Some(Ok("{}".to_owned())));
        assert_eq!(tree.text("/etc/b"), None);
        assert_eq!(tree.text("/etc"), Some(Err("it is no regular file".to_owned())));
        assert_eq!(tree.wrong_hands("/etc/gpupol/entries/a.json"), None);
        assert!(tree.wrong_hands("/etc/a").unwrap().contains("symbolic link"));
        fs::set_permissions(at("etc/gpupol"), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(
            tree.wrong_hands("/etc/gpupol/entries/a.json").unwrap(),
            "`/etc/gpupol` (mode 777) can be written by others"
        );
    }
}
