//! The host's files below a directory that need not be `/`.
//!
//! What lies there is not trusted: the kernel keeps every path below the directory, and nothing but a regular file of
//! bounded size is ever read, so that neither a link nor a pipe nor a device in its place leads anywhere.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, openat2};
use rustix::io::Errno;

use super::DiscoverError;

/// Files of `/proc` and `/sys` that are larger than this are not what they should be.
const MAX_BYTES: u64 = 1 << 20;

/// A directory with more names than this is not what it should be.
const MAX_NAMES: usize = 1 << 16;

/// The kernel's own limit on symbolic links in one path.
const MAX_LINKS: u32 = 40;

/// How often a path is tried that something else on the host keeps the kernel from following.
const ATTEMPTS: u32 = 10_000;

/// The directory that stands for the host's `/`.
pub(super) struct Root {
    directory: PathBuf,
    handle: OwnedFd,
}

/// A character device node as it lies on the host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Character {
    pub(super) major: u32,
    pub(super) minor: u32,
    /// Permission bits.
    pub(super) mode: u32,
    /// The group that owns it.
    pub(super) gid: u32,
}

impl Root {
    pub(super) fn new(directory: PathBuf) -> io::Result<Self> {
        let handle =
            rustix::fs::open(&directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { directory, handle })
    }

    /// The directory at `path`, in which no part is a symbolic link, as a root of its own.
    pub(super) fn below(&self, path: &str) -> io::Result<Self> {
        let handle = self.at(path, OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(Self { directory: self.place(path), handle })
    }

    /// Whether this is the host's own `/`.
    pub(super) fn is_host(&self) -> bool {
        self.directory.as_os_str() == "/"
    }

    /// Where the absolute `path` of the host really lies, if no part of it is a symbolic link.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.directory.join(path.trim_start_matches('/'))
    }

    /// The text of a small file, or a reason such as `no such file`.
    pub(super) fn text(&self, path: &str) -> Result<String, String> {
        let mut bytes = Vec::new();
        let file = self.regular(path).map_err(|error| reason(&error))?;
        let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
        if u64::try_from(read).is_ok_and(|read| read > MAX_BYTES) {
            return Err(format!("larger than {MAX_BYTES} bytes"));
        }
        String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
    }

    /// Whether there is anything at `path`.
    pub(super) fn has(&self, path: &str) -> bool {
        self.stat(path).is_some()
    }

    /// The character device node at `path`, if there is one.
    pub(super) fn character(&self, path: &str) -> Option<Character> {
        let found = self.stat(path).filter(|found| is(found, FileType::CharacterDevice))?;
        Some(Character {
            major: rustix::fs::major(found.st_rdev),
            minor: rustix::fs::minor(found.st_rdev),
            mode: found.st_mode & 0o777,
            gid: found.st_gid,
        })
    }

    /// The names in a directory, sorted, but for those that are no text; none if there is no such directory.
    ///
    /// # Errors
    /// That it cannot be read whole: what is not known is not absent.
    pub(super) fn names(&self, path: &str) -> Result<Vec<String>, DiscoverError> {
        let unreadable = |reason: String| DiscoverError::Read { path: path.to_owned(), reason };
        let directory = match self.at(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            directory => directory.map_err(|error| unreadable(reason(&error)))?,
        };
        let failed = |errno: Errno| unreadable(reason(&errno.into()));
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            names.extend(
                entry
                    .file_name()
                    .to_str()
                    .ok()
                    .filter(|name| !matches!(*name, "." | ".."))
                    .map(str::to_owned),
            );
            if names.len() > MAX_NAMES {
                return Err(unreadable(format!("more than {MAX_NAMES} names")));
            }
        }
        names.sort();
        Ok(names)
    }

    /// The regular file at `path`.
    pub(super) fn open(&self, path: &str) -> Option<File> {
        self.regular(path).ok()
    }

    /// The bytes of the regular file at `path`, if they are at most `most`.
    pub(super) fn bytes(&self, path: &str, most: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes).ok()?;
        u64::try_from(read).is_ok_and(|read| read <= most).then_some(bytes)
    }

    /// Whether what lies at `path` is a regular file, a directory, a socket.
    pub(super) fn is(&self, path: &str, kind: FileType) -> bool {
        self.stat(path).is_some_and(|found| is(&found, kind))
    }

    /// Whether the regular file at `path` may be executed by anybody.
    pub(super) fn is_program(&self, path: &str) -> bool {
        self.stat(path).is_some_and(|found| is(&found, FileType::RegularFile) && found.st_mode & 0o111 != 0)
    }

    /// The same file by a path without symbolic links, all of them followed below this directory: an absolute link
    /// of the host must not lead out of it.
    pub(super) fn resolve(&self, path: &str) -> Option<String> {
        let mut ahead: Vec<String> = parts(path);
        let mut behind: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            if part == ".." {
                behind.pop();
                continue;
            }
            let here = format!("/{}", [behind.as_slice(), std::slice::from_ref(&part)].concat().join("/"));
            let there = self.at(&here, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
            if !is(&rustix::fs::fstat(&there).ok()?, FileType::Symlink) {
                behind.push(part);
                continue;
            }
            links += 1;
            let target = rustix::fs::readlinkat(&there, "", Vec::new()).ok()?.into_string().ok()?;
            if links > MAX_LINKS {
                return None;
            }
            if target.starts_with('/') {
                behind.clear();
            }
            ahead.extend(parts(&target));
        }
        Some(format!("/{}", behind.join("/")))
    }

    /// A regular file to read. A pipe that lies there instead must not be waited for.
    pub(super) fn regular(&self, path: &str) -> io::Result<File> {
        let file = self.at(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        if is(&rustix::fs::fstat(&file)?, FileType::RegularFile) {
            Ok(File::from(file))
        } else {
            Err(io::Error::other("no regular file"))
        }
    }

    /// What lies at `path` itself, not where a link there leads.
    fn stat(&self, path: &str) -> Option<Stat> {
        rustix::fs::fstat(self.at(path, OFlags::PATH | OFlags::NOFOLLOW).ok()?).ok()
    }

    /// Opens `path`, wherever its links lead below this directory.
    fn at(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let below = match path.trim_start_matches('/') {
            "" => ".",
            below => below,
        };
        Ok(open_within(&self.handle, below, flags)?)
    }
}

/// Opens `path`, wherever its links lead below `directory`.
///
/// The kernel answers `EAGAIN` to the `..` of a link, as `/sys` has many, if anything is renamed or mounted meanwhile,
/// anywhere on the host (openat2(2)): it is tried again.
///
/// # Errors
/// The kernel's answer.
pub(crate) fn open_within(directory: &impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut answer = Err(Errno::AGAIN);
    for _ in 0..ATTEMPTS {
        answer = openat2(directory, path, flags | OFlags::CLOEXEC, Mode::empty(), within);
        if !matches!(answer, Err(Errno::AGAIN)) {
            break;
        }
    }
    answer
}

fn is(found: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(found.st_mode) == kind
}

/// The parts of `path` that matter, last first.
fn parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).rev().map(str::to_owned).collect()
}

/// Whether an error says that there is no such directory, and not just that nobody can tell. Links in a circle lead to none.
fn is_absent(error: &io::Error) -> bool {
    let absent = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|errno| absent.contains(&errno))
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// As `/sys` is read while containers start.
    #[test]
    fn renames_elsewhere_hide_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["one", "two", "file", "link"].map(|name| folder.path().join(name));
        std::fs::write(&names[0], "").unwrap();
        std::fs::write(&names[2], "text").unwrap();
        std::os::unix::fs::symlink("../../file", &names[3]).unwrap();
        let root = Root::new(folder.path().to_owned()).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::fs::rename(&names[0], &names[1]).unwrap();
                    std::fs::rename(&names[1], &names[0]).unwrap();
                }
            });
            let all: Result<Vec<_>, _> = (0..20_000).map(|_| root.text("/link")).collect();
            over.store(true, Ordering::Relaxed);
            assert_eq!(all.map(|all| all.len()), Ok(20_000));
        });
    }

    /// A list that was cut would be taken for the whole one.
    #[test]
    fn too_many_names_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path().to_owned()).unwrap();
        (0..=MAX_NAMES)
            .for_each(|number| drop(File::create(folder.path().join(number.to_string())).unwrap()));
        let error = root.names("/").unwrap_err().to_string();
        assert_eq!(error, format!("cannot read `/`: more than {MAX_NAMES} names"));
        std::fs::remove_file(folder.path().join("0")).unwrap();
        assert_eq!(root.names("/").unwrap().len(), MAX_NAMES);
    }

    #[test]
    fn a_node_has_its_numbers() {
        let null = Root::new(PathBuf::from("/")).unwrap().character("/dev/null").unwrap();
        assert_eq!((null.major, null.minor), (1, 3));
    }

    #[test]
    fn links_stay_below_the_directory() {
        let directory = std::env::temp_dir().join(format!("gpupol-root-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("etc/alternatives")).unwrap();
        std::fs::create_dir_all(directory.join("usr/lib/nvidia")).unwrap();
        std::fs::write(directory.join("usr/lib/nvidia/a.so.1"), "").unwrap();
        let link = |target: &str, at: &str| {
            let _ = std::fs::remove_file(directory.join(at));
            std::os::unix::fs::symlink(target, directory.join(at)).unwrap();
        };
        link("usr/lib", "lib");
        link("/etc/alternatives/a", "usr/lib/a.so");
        link("/usr/lib/nvidia/../../lib/nvidia/a.so.1", "etc/alternatives/a");
        link("/loop", "loop");
        link("../../../../../../etc/passwd", "out");
        let root = Root::new(directory.clone()).unwrap();
        assert_eq!(root.resolve("/lib/a.so").as_deref(), Some("/usr/lib/nvidia/a.so.1"));
        assert_eq!(root.resolve("/loop"), None);
        assert_eq!(root.resolve("/out"), None, "there is no etc/passwd below the directory");
        assert_eq!(root.resolve("/nothing"), None);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_cannot_be_read_has_a_reason() {
        let directory = std::env::temp_dir().join(format!("gpupol-hostile-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("proc/directory")).unwrap();
        let at = |name: &str| directory.join("proc").join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), Mode::from_raw_mode(0o600)).unwrap();
        std::fs::write(at("latin"), b"caf\xe9").unwrap();
        File::create(at("huge")).unwrap().set_len(MAX_BYTES + 1).unwrap();
        File::create(at("large")).unwrap().set_len(MAX_BYTES).unwrap();
        std::os::unix::fs::symlink("../../../../../../../../etc/hostname", at("out")).unwrap();
        std::os::unix::fs::symlink("/proc/loop", at("loop")).unwrap();
        std::os::unix::fs::symlink("/", directory.join("etc")).unwrap();
        let root = Root::new(directory.clone()).unwrap();
        let why = |path: &str| root.text(path).unwrap_err();
        assert_eq!(why("/nothing"), "no such file");
        assert_eq!(why("/proc/directory"), "no regular file");
        assert_eq!(why("/proc/pipe"), "no regular file");
        assert_eq!(why("/proc/latin"), "not UTF-8");
        assert_eq!(why("/proc/huge"), "larger than 1048576 bytes");
        assert!(root.text("/proc/large").is_ok());
        assert_eq!(why("/proc/out"), "no such file", "it would be below the directory");
        assert!(why("/proc/loop").contains("symbolic links"));
        assert_eq!(why("/etc/hostname"), "no such file", "an absolute link is one of the directory");
        let names = |path: &str| root.names(path).map_err(|error| error.to_string());
        assert!(names("/etc").unwrap().contains(&"proc".to_owned()));
        assert!(root.open("/proc/pipe").is_none() && names("/proc/pipe").unwrap().is_empty());
        assert_eq!(names("/nothing"), Ok(Vec::new()));
        assert_eq!(names("/proc/loop"), Ok(Vec::new()));
        let long = format!("/{}", "a".repeat(300));
        assert!(names(&long).unwrap_err().starts_with("cannot read `/aaa"), "nobody can tell");
        std::fs::remove_dir_all(directory).unwrap();
        assert!(Root::new(PathBuf::from("/nothing")).is_err());
    }
}
