//! The directory of the leases and its lock.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{Dir, FlockOperation, Mode, OFlags, flock, openat, renameat};
use rustix::io::Errno;

use crate::error::{Called, Error, Result};
use crate::file;
use crate::lease::record::{self, Record};

const PATIENCE: Duration = Duration::from_secs(5);
const NEW: &str = ".new";
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
/// Nothing here ever blocks, not even on a pipe that somebody left in the place of a file.
const CREATE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// The leases of this host. The lock is held as long as this lives.
#[derive(Debug)]
pub struct Store {
    leases: OwnedFd,
    _lock: OwnedFd,
}

impl Store {
    /// Opens the leases, making their directory if this is the first one after a boot, and waits for the lock.
    ///
    /// # Errors
    /// The call that failed, a directory that is not root's alone, or a lock that did not come free.
    pub fn lock(state_dir: &str) -> Result<Self> {
        let open = || {
            // It lies on a file system that a boot empties, so its last part may be missing.
            let state = file::make_trusted_directory(state_dir)?;
            Self::of(open_or_make(state.as_fd(), "leases")?)
        };
        open().map_err(|error| error.during(|| step(state_dir)))
    }

    /// As [`Store::lock`], but makes nothing; `None`: nobody has had a lease since the last boot.
    ///
    /// # Errors
    /// The call that failed, a directory that is not root's alone, or a lock that did not come free.
    pub fn lock_existing(state_dir: &str) -> Result<Option<Self>> {
        let leases = file::open_trusted_directory(&format!("{state_dir}/leases"));
        match leases.and_then(Self::of) {
            Ok(store) => Ok(Some(store)),
            Err(Error::Failed { errno: Some(Errno::NOENT), .. }) => Ok(None),
            Err(error) => Err(error.during(|| step(state_dir))),
        }
    }

    /// The same of an open directory.
    ///
    /// # Errors
    /// The call that failed, or a lock that did not come free.
    pub(super) fn of(leases: OwnedFd) -> Result<Self> {
        let lock = openat(&leases, ".lock", CREATE, PRIVATE_FILE).called(|| "openat(`.lock`)".to_owned())?;
        wait_for(&lock)?;
        Ok(Self { leases, _lock: lock })
    }

    /// A second descriptor of the directory.
    ///
    /// # Errors
    /// The call that failed.
    pub(super) fn descriptor(&self) -> Result<OwnedFd> {
        file::duplicate(&self.leases)
    }

    /// The directory of that name, which holds one device's leases if it ever had one.
    ///
    /// # Errors
    /// The call that failed.
    pub fn device(&self, directory: &str) -> Result<Option<OwnedFd>> {
        match file::open_directory(self.leases.as_fd(), directory) {
            Ok(directory) => Ok(Some(directory)),
            Err(Error::Failed { errno: Some(Errno::NOENT), .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The directories of all devices, by name. What else somebody put beside them is nobody's lease.
    ///
    /// # Errors
    /// The call that failed.
    pub fn directories(&self) -> Result<Vec<(String, OwnedFd)>> {
        let open = |name: String| match file::open_directory(self.leases.as_fd(), &name) {
            Err(Error::Failed { errno: Some(Errno::NOTDIR | Errno::LOOP), .. }) => None,
            other => Some(other.map(|directory| (name, directory))),
        };
        Self::names(&self.leases)?.into_iter().filter_map(open).collect()
    }

    /// What lies in a directory of leases. What begins with a dot is the store's own.
    ///
    /// # Errors
    /// The call that failed.
    pub fn names(directory: &OwnedFd) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(directory).called(|| "getdents(leases)".to_owned())? {
            let entry = entry.called(|| "getdents(leases)".to_owned())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Writes one lease, whole or not at all, and says where.
    ///
    /// # Errors
    /// The call that failed.
    pub fn write(&self, record: &Record) -> Result<(OwnedFd, String)> {
        let directory = open_or_make(self.leases.as_fd(), &record::escape(&record.device))?;
        let name = record::file_name(record.engine.name(), &record.container)?;
        let bytes = serde_json::to_vec(record).map_err(|error| Error::found(error.to_string()))?;
        let new = openat(&directory, NEW, CREATE | OFlags::TRUNC, PRIVATE_FILE)
            .called(|| format!("openat(lease `{name}`)"))?;
        file::write_all(&new, &bytes).map_err(|error| error.during(|| format!("lease `{name}`")))?;
        renameat(&directory, NEW, &directory, name.as_str())
            .called(|| format!("renameat(lease `{name}`)"))?;
        Ok((directory, name))
    }
}

fn step(state_dir: &str) -> String {
    format!("leases in `{state_dir}`")
}

fn open_or_make(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    file::make_directory(parent, name)?;
    let directory = file::open_directory(parent, name)?;
    file::require_root(&directory, name)?;
    Ok(directory)
}

fn wait_for(lock: &OwnedFd) -> Result<()> {
    let begun = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) if begun.elapsed() < PATIENCE => {
                sleep(pause);
                pause = pause.saturating_mul(2).min(Duration::from_millis(10));
            }
            Err(errno) => return Err(errno).called(|| "flock(`.lock`, 5 s)".to_owned()),
        }
    }
}
