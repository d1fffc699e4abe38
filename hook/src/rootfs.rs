//! The container's root file system, by descriptor only.
//!
//! Its content belongs to whoever made the image. Every path is resolved beneath the root with symbolic links
//! kept inside, and what is not where it should be is refused, never worked around.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatxFlags, fstat, mkdirat, openat, statx,
};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, move_mount};

use crate::error::{Called, Error, Result};
use crate::file;
use crate::sys;

const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const PATH_DIRECTORY: OFlags = PATH.union(OFlags::DIRECTORY);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// The root of a container, opened once.
#[derive(Debug)]
pub struct Rootfs {
    root: OwnedFd,
    mount: u64,
    surroundings: Surroundings,
    last: RefCell<Option<Last>>,
}

/// The directory of the file that was made last. A plan's libraries all go into one, which need not be looked for again until a
/// mount on a directory may lie over it.
#[derive(Debug)]
struct Last {
    path: String,
    directory: Rc<OwnedFd>,
}

/// What must be known of host and container before their namespaces are left and entered.
#[derive(Debug)]
pub struct Surroundings {
    /// Mounts of the container on file systems that the host has not mounted.
    pub private: BTreeSet<u64>,
    /// Mounts of the container below which whatever is mounted appears elsewhere as well.
    pub shared: BTreeSet<u64>,
    /// The host's ids of the container's root, if they are not the host's root.
    pub owner: Option<(u32, u32)>,
}

/// What an open file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The mount on which it was reached.
    pub mount: u64,
    /// Type of the file.
    pub kind: FileType,
    /// Which device it is, if it is one.
    pub number: (u32, u32),
}

/// Something that was made in the container and may have to be removed.
#[derive(Debug)]
pub struct Made {
    /// The directory it is in.
    pub parent: Rc<OwnedFd>,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Its path in the container, for messages and audit records.
    pub path: String,
}

impl Made {
    /// Its name there.
    #[must_use]
    pub fn name(&self) -> &str {
        let path = self.path.trim_end_matches('/');
        path.rsplit_once('/').map_or(path, |(_, name)| name)
    }
}

impl Rootfs {
    /// Opens the root at its path on the host, from within the container's mount namespace, whose own root still is
    /// the host's.
    ///
    /// # Errors
    /// The call that failed, or that the host's root is the container's: what is made for it would stay on the host.
    pub fn open(path: &str, surroundings: Surroundings) -> Result<Self> {
        let root = openat(CWD, path, PATH_DIRECTORY, Mode::empty()).called(|| format!("openat(`{path}`)"))?;
        let host = openat(CWD, "/", PATH_DIRECTORY, Mode::empty()).called(|| call("openat", "/"))?;
        if identity(&root)? == identity(&host)? {
            return Err(Error::found(
                "the container's root is the host's: give it a root file system of its own",
            ));
        }
        let mount = place(root.as_fd()).called(|| format!("statx(`{path}`)"))?.mount;
        Ok(Self { root, mount, surroundings, last: RefCell::default() })
    }

    /// Its own descriptor.
    #[must_use]
    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// The container's `/dev`, if it is a file system of its own that the host does not have.
    ///
    /// # Errors
    /// The call that failed, or that it is the image's directory or the host's `/dev`.
    pub fn own_dev(&self) -> Result<OwnedFd> {
        let dev = self.resolve("/dev", PATH_DIRECTORY).called(|| call("openat2", "/dev"))?;
        let place = place(dev.as_fd()).called(|| call("statx", "/dev"))?;
        if place.mount == self.mount || !self.surroundings.private.contains(&place.mount) {
            return Err(Error::found("`/dev` of the container is not its own: mount a tmpfs there"));
        }
        Ok(dev)
    }

    /// The file or directory at a path, which is made if it is missing, and what had to be made for it.
    ///
    /// Things are made only in the image's own file system and in file systems that the host does not have: a
    /// directory of the host that is mounted into the container stays as it is.
    ///
    /// # Errors
    /// The call that failed, or what is in the way. `made` was told what was made until then.
    pub fn target(&self, path: &str, is_directory: bool, made: &mut impl FnMut(Made)) -> Result<OwnedFd> {
        let last = self.last.replace(None).filter(|_| !is_directory);
        match self.resolve(path, PATH) {
            Err(Errno::NOENT) => {}
            other => {
                self.last.replace(last);
                return other.called(|| call("openat2", path));
            }
        }
        let (parent, name) = split(path)?;
        let directory = match last.filter(|last| last.path == parent) {
            Some(last) => last.directory,
            None => Rc::new(self.own_directory(parent, path, made)?),
        };
        let target = self.make(&directory, name, path, is_directory, made)?;
        let last = Last { path: parent.to_owned(), directory };
        self.last.replace(Some(last).filter(|_| !is_directory));
        Ok(target)
    }

    /// Attaches a detached mount to a target in the container, which is of one of these types.
    ///
    /// # Errors
    /// The call that failed, a target of another type, or that the mount would appear outside of the container.
    pub fn attach(&self, tree: &OwnedFd, target: &OwnedFd, kinds: &[FileType]) -> Result<()> {
        let place = place(target.as_fd()).called(|| "statx()".to_owned())?;
        if !kinds.contains(&place.kind) {
            return Err(Error::found("what is there in the container is of another type"));
        }
        if self.surroundings.shared.contains(&place.mount) {
            return Err(Error::found("it lies on a mount that is shared beyond the container"));
        }
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(tree, "", target, "", flags).called(|| "move_mount()".to_owned())
    }

    /// The regular file to which a path leads in the container, if there is one.
    ///
    /// # Errors
    /// The call that failed: what cannot be found out is not taken for nothing.
    pub fn file(&self, path: &str) -> Result<Option<OwnedFd>> {
        let Some(file) = self.find(path)? else { return Ok(None) };
        let kind = place(file.as_fd()).called(|| call("statx", path))?.kind;
        Ok(Some(file).filter(|_| kind == FileType::RegularFile))
    }

    /// The content of a regular file of the image, if there is one of that path; what else lies there is not opened.
    ///
    /// # Errors
    /// The call that failed, or that it has more bytes than `limit`.
    pub fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        if self.file(path)?.is_none() {
            return Ok(None);
        }
        // Whoever has put a pipe there since finds nobody waiting for it.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.resolve(path, flags).called(|| call("openat2", path))?;
        file::read_regular(&file, path, limit).map(Some)
    }

    /// Whether a path leads to something in the container.
    ///
    /// # Errors
    /// The call that failed.
    pub fn has(&self, path: &str) -> Result<bool> {
        self.find(path).map(|found| found.is_some())
    }

    /// Whether the last name of a path is a symbolic link, wherever that leads.
    ///
    /// # Errors
    /// The call that failed.
    pub(crate) fn is_link(&self, path: &str) -> Result<bool> {
        match self.resolve(path, PATH | OFlags::NOFOLLOW) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(false),
            other => {
                let file = other.called(|| call("openat2", path))?;
                Ok(place(file.as_fd()).called(|| call("statx", path))?.kind == FileType::Symlink)
            }
        }
    }

    /// What a path leads to, if that is anything. An image can make links that lead nowhere or in a circle, and names that
    /// no path has.
    pub(crate) fn find(&self, path: &str) -> Result<Option<OwnedFd>> {
        match self.resolve(path, PATH) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(None),
            other => other.called(|| call("openat2", path)).map(Some),
        }
    }

    /// Runs `work` with the file system ids of the container's root: a file system mounted in a user namespace
    /// refuses files of anybody whom that namespace does not know.
    ///
    /// # Errors
    /// The call that failed, or what `work` says.
    pub fn as_owner<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some((uid, gid)) = self.surroundings.owner else { return work() };
        let _ids = FsIds::set(uid, gid)?;
        work()
    }

    fn resolve(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        file::open_within(&self.root, path, flags, resolve)
    }

    /// The deepest part of `path` that is there is opened, the rest is made beneath it.
    fn directory(&self, path: &str, made: &mut impl FnMut(Made)) -> Result<OwnedFd> {
        let path = if path.is_empty() { "/" } else { path };
        match self.resolve(path, PATH_DIRECTORY) {
            Err(Errno::NOENT) => {}
            other => return other.called(|| call("openat2", path)),
        }
        let (parent, name) = split(path)?;
        let parent = Rc::new(self.own_directory(parent, path, made)?);
        self.make(&parent, name, path, true, made)
    }

    /// The same, of which what is made for `path` is the container's alone.
    fn own_directory(&self, directory: &str, path: &str, made: &mut impl FnMut(Made)) -> Result<OwnedFd> {
        let found = self.directory(directory, made)?;
        let place = place(found.as_fd()).called(|| call("statx", path))?;
        if place.mount != self.mount && !self.surroundings.private.contains(&place.mount) {
            return Err(Error::found(format!("`{path}` is missing on a file system that is the host's too")));
        }
        Ok(found)
    }

    /// Makes a file or directory and gives back just that, not what may have taken its name since.
    fn make(
        &self,
        parent: &Rc<OwnedFd>,
        name: &str,
        path: &str,
        is_directory: bool,
        made: &mut impl FnMut(Made),
    ) -> Result<OwnedFd> {
        let new = || {
            if is_directory {
                new_directory(parent, name).map(|()| None)
            } else {
                new_file(parent, name).map(Some)
            }
        };
        let file = self.as_owner(new).map_err(|error| dangling(error, path))?;
        made(Made { parent: Rc::clone(parent), is_directory, path: path.to_owned() });
        file.map_or_else(|| open_new(parent, name, path), Ok)
    }
}

/// Makes an empty file that was not there.
///
/// # Errors
/// The call that failed.
pub fn new_file(parent: &OwnedFd, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, FILE_MODE).called(|| format!("openat(`{name}`, O_CREAT|O_EXCL)"))
}

/// Opens a directory that was just made; a link in its place is not followed.
fn open_new(parent: &OwnedFd, name: &str, path: &str) -> Result<OwnedFd> {
    openat(parent, name, PATH_DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).called(|| call("openat", path))
}

/// Makes a directory that was not there.
///
/// # Errors
/// The call that failed.
pub fn new_directory(parent: &OwnedFd, name: &str) -> Result<()> {
    mkdirat(parent, name, DIRECTORY_MODE).called(|| call("mkdirat", name))
}

/// What an open file is, and on which mount it was reached.
///
/// # Errors
/// What the kernel answers; `ENOSYS` when it names no mounts.
pub fn place(file: BorrowedFd<'_>) -> core::result::Result<Place, Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let found = statx(file, "", AtFlags::EMPTY_PATH, wanted)?;
    if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
        return Err(Errno::NOSYS);
    }
    Ok(Place {
        mount: found.stx_mnt_id,
        kind: FileType::from_raw_mode(found.stx_mode.into()),
        number: (found.stx_rdev_major, found.stx_rdev_minor),
    })
}

/// The file system ids of another user, until dropped.
struct FsIds;

impl FsIds {
    fn set(uid: u32, gid: u32) -> Result<Self> {
        let ids = Self;
        sys::set_fs_ids(uid, gid).called(|| format!("setfsuid({uid}), setfsgid({gid})"))?;
        Ok(ids)
    }
}

impl Drop for FsIds {
    fn drop(&mut self) {
        // Nothing is done after a failure to go back: every later call then fails for want of rights.
        let _ = sys::set_fs_ids(0, 0);
    }
}

/// Which file it is, whatever its path.
///
/// # Errors
/// The call that failed.
pub(crate) fn identity(file: &OwnedFd) -> Result<(u64, u64)> {
    let stat = fstat(file).called(|| "fstat()".to_owned())?;
    Ok((stat.st_dev, stat.st_ino))
}

fn split(path: &str) -> Result<(&str, &str)> {
    let parts = path.trim_end_matches('/').rsplit_once('/');
    parts
        .filter(|(_, name)| !matches!(*name, "" | "." | ".."))
        .ok_or_else(|| Error::found(format!("`{path}` is no path of a file in the container")))
}

/// A name that is there though it leads nowhere is a symbolic link; what it was meant for nobody can say.
fn dangling(error: Error, path: &str) -> Error {
    match error {
        Error::Failed { errno: Some(Errno::EXIST), .. } => {
            Error::found(format!("`{path}` is a symbolic link to nothing in the container"))
        }
        other => other,
    }
}

fn call(name: &str, path: &str) -> String {
    format!("{name}(`{path}`)")
}
