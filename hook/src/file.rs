//! Reading the host's files: by descriptor, bounded, and only from root's hands.

use core::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, mkdirat, openat, openat2, readlinkat,
};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::error::{Called, Error, Result};
use crate::process;

const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW).union(OFlags::NOCTTY);
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW).union(OFlags::DIRECTORY);

/// Nothing is read in larger pieces.
const CHUNK: usize = 16 * 1024;

/// How often a path is tried that something else on the host keeps the kernel from following.
const ATTEMPTS: u32 = 10_000;

/// Whose hands a file may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Only root's: owned by root, written by nobody else.
    Root,
    /// Anybody's: its content is judged, not believed.
    Nobody,
}

/// Opens a file for reading. The last component may not be a symbolic link; nothing blocks on a pipe.
///
/// # Errors
/// The call that failed.
pub(crate) fn open(directory: BorrowedFd<'_>, path: &str) -> Result<OwnedFd> {
    openat(directory, path, READ | OFlags::NONBLOCK, Mode::empty()).called(|| format!("openat(`{path}`)"))
}

/// Opens a directory below another, without following a symbolic link.
///
/// # Errors
/// The call that failed.
pub(crate) fn open_directory(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    openat(directory, name, DIRECTORY, Mode::empty()).called(|| format!("openat(`{name}`)"))
}

/// Opens a path that must not leave a directory, in a way that `resolve` says.
///
/// The kernel answers `EAGAIN` to a `..` of the path or of its links if anything is renamed or mounted meanwhile,
/// anywhere on the host (openat2(2)). Every container that starts does that, so it is tried again.
///
/// # Errors
/// The kernel's answer.
pub(crate) fn open_within(
    directory: &OwnedFd,
    path: &str,
    flags: OFlags,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    let mut answer = Err(Errno::AGAIN);
    for _ in 0..ATTEMPTS {
        answer = openat2(directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
        if !matches!(answer, Err(Errno::AGAIN)) {
            break;
        }
    }
    answer
}

/// Makes a directory that is root's alone, unless something of that name is there. Whoever opens it next judges that.
///
/// # Errors
/// The call that failed.
pub(crate) fn make_directory(parent: BorrowedFd<'_>, path: &str) -> Result<()> {
    match mkdirat(parent, path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno).called(|| format!("mkdirat(`{path}`)")),
    }
}

/// A second descriptor of an open file.
///
/// # Errors
/// The call that failed.
pub(crate) fn duplicate(file: &OwnedFd) -> Result<OwnedFd> {
    fcntl_dupfd_cloexec(file, 0).called(|| "fcntl(F_DUPFD_CLOEXEC)".to_owned())
}

/// Opens the directory at an absolute path of which every part is in root's hands.
///
/// A directory that anybody may write is accepted on the way when it is sticky, as `/tmp` is: others
/// cannot rename what root has there.
///
/// # Errors
/// The call that failed, or the part that somebody else could change.
pub(crate) fn open_trusted_directory(path: &str) -> Result<OwnedFd> {
    let Some(below) = path.strip_prefix('/') else {
        return Err(Error::found(format!("`{path}` is not an absolute path")));
    };
    let mut directory = open_directory(CWD, "/")?;
    for name in below.split('/').filter(|name| !name.is_empty()) {
        require_root_sticky(&directory, path)?;
        directory =
            openat(&directory, name, DIRECTORY, Mode::empty()).called(|| format!("openat(`{path}`)"))?;
    }
    require_root(&directory, path)?;
    Ok(directory)
}

/// The same, made with [`make_directory`] where its last part is missing.
///
/// # Errors
/// The call that failed, or the part that somebody else could change.
pub(crate) fn make_trusted_directory(path: &str) -> Result<OwnedFd> {
    if path.starts_with('/') {
        make_directory(CWD, path)?;
    }
    open_trusted_directory(path)
}

/// Checks that a file or directory is root's and that nobody else may write it. In a user namespace the host's root
/// has no uid of its own; there nothing is enforced, and what is read only says that.
///
/// # Errors
/// Who owns it, or who may write it.
pub(crate) fn require_root(file: impl AsFd, name: &str) -> Result<Stat> {
    let stat = fstat(file).called(|| format!("fstat(`{name}`)"))?;
    if !is_roots(&stat) {
        return Err(Error::found(format!("`{name}` belongs to uid {}, not to root", stat.st_uid)));
    }
    if stat.st_mode & 0o022 != 0 {
        let mode = stat.st_mode & 0o7777;
        return Err(Error::found(format!("`{name}` (mode {mode:o}) can be written by others than root")));
    }
    Ok(stat)
}

fn is_roots(stat: &Stat) -> bool {
    stat.st_uid == 0 || process::may_be_outer_root(stat.st_uid)
}

fn require_root_sticky(directory: &OwnedFd, path: &str) -> Result<()> {
    let stat = fstat(directory).called(|| format!("fstat(`{path}`)"))?;
    let sticky = is_roots(&stat) && stat.st_mode & 0o1000 != 0;
    if sticky { Ok(()) } else { require_root(directory, path).map(drop) }
}

/// Reads a regular file whole, if it is no longer than `limit` bytes. The last component of its path may not be a
/// symbolic link.
///
/// # Errors
/// The call that failed; a file of another type or hands; a file over the limit.
pub(crate) fn read_bounded(
    directory: BorrowedFd<'_>,
    path: &str,
    limit: usize,
    trust: Trust,
) -> Result<Vec<u8>> {
    let file = open(directory, path)?;
    if trust == Trust::Root {
        require_root(&file, path)?;
    }
    read_regular(&file, path, limit)
}

/// Reads an open regular file whole, if it is no longer than `limit` bytes; `name` is for errors.
///
/// # Errors
/// The call that failed; a file of another type; a file over the limit.
pub(crate) fn read_regular(file: &OwnedFd, name: &str, limit: usize) -> Result<Vec<u8>> {
    let stat = fstat(file).called(|| format!("fstat(`{name}`)"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::found(format!("`{name}` is not a regular file")));
    }
    read_all(file, limit).map_err(|e| e.during(|| format!("`{name}`")))
}

/// Reads a descriptor to its end, if that comes within `limit` bytes.
///
/// # Errors
/// The call that failed, or that there is more.
pub(crate) fn read_all(file: impl AsFd, limit: usize) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    // It is not cleared, and lies on the stack: most files come in one piece, and nothing but what they hold is allocated.
    let mut chunk = [MaybeUninit::<u8>::uninit(); CHUNK];
    loop {
        let read = match rustix::io::read(&file, &mut chunk) {
            Ok((read, _)) => &*read,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno).called(|| "read()".to_owned()),
        };
        if read.is_empty() {
            return Ok(content);
        }
        if content.len().saturating_add(read.len()) > limit {
            return Err(Error::found(format!("more than {limit} bytes")));
        }
        content.extend_from_slice(read);
    }
}

/// Reads a text of a kernel file system in which users have a say, as in names of processes and paths of mounts:
/// what is no UTF-8 is replaced, so that nobody can make the whole of it unreadable.
///
/// # Errors
/// The call that failed.
pub(crate) fn read_lossy(directory: BorrowedFd<'_>, path: &str, limit: usize) -> Result<String> {
    let bytes = read_bounded(directory, path, limit, Trust::Nobody)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Reads a small text file of a kernel file system whole.
///
/// # Errors
/// The call that failed, or that it is no text.
pub(crate) fn read_text(directory: BorrowedFd<'_>, path: &str, limit: usize) -> Result<String> {
    let bytes = read_bounded(directory, path, limit, Trust::Nobody)?;
    String::from_utf8(bytes).map_err(|_| Error::found(format!("`{path}` is not UTF-8")))
}

/// The path of an open file, as the kernel writes it: without symbolic links.
///
/// # Errors
/// The call that failed, or that it is not UTF-8.
pub(crate) fn path_of(file: &OwnedFd) -> Result<String> {
    link(&format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// The path of this program, or of the one that an upgrade has put in its place meanwhile. If it was removed and nothing
/// put in its place, nothing is there, and whoever runs or opens it by this path is told so.
///
/// # Errors
/// The call that failed, or that it is not UTF-8.
pub(crate) fn path_of_own_program() -> Result<String> {
    let path = link("/proc/self/exe")?;
    // The kernel adds this once another file has been renamed over the program: that is the one to call later.
    Ok(path.strip_suffix(" (deleted)").map(str::to_owned).unwrap_or(path))
}

/// Where a link of the kernel leads.
fn link(path: &str) -> Result<String> {
    let target = readlinkat(CWD, path, Vec::new()).called(|| format!("readlinkat(`{path}`)"))?;
    target.into_string().map_err(|_| Error::found(format!("`{path}` is not UTF-8")))
}

/// Writes everything to a descriptor.
///
/// # Errors
/// The call that failed.
pub(crate) fn write_all(file: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&file, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).called(|| "write()".to_owned()),
        }
    }
    Ok(())
}
