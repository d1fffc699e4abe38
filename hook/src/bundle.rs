//! The bundle of a container: its `config.json`, and where its root file system is.

use std::os::fd::OwnedFd;

use gpupol_plan::config::Config;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, fchmod, fchown, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use crate::error::{Called, Error, Result};
use crate::file;
use crate::state::State;

/// A larger `config.json` is not read. Nobody could then say whether the container asks for a GPU, so it does
/// not start; the limit is far above what any runtime accepts.
const LIMIT: usize = 64 * 1024 * 1024;

/// Its file.
const NAME: &str = "config.json";
/// What it is called while it is written.
const NEW: &str = ".config.json.gpupol";

/// Reads the configuration of a container, and tells how many bytes it has.
///
/// # Errors
/// The call that failed, or where it cannot be understood.
pub(crate) fn config(state: &State) -> Result<(Config, usize)> {
    let bytes = read(state)?;
    Ok((parse(state, &bytes)?, bytes.len()))
}

/// Reads the file of a container's configuration.
///
/// # Errors
/// The call that failed.
pub(crate) fn read(state: &State) -> Result<Vec<u8>> {
    let directory = open(state)?;
    // The runtime follows a symbolic link here, so it is the linked file that must be judged.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    openat(&directory, NAME, flags, Mode::empty())
        .called(|| format!("openat(`{NAME}`)"))
        .and_then(|file| file::read_regular(&file, NAME, LIMIT))
        .map_err(|error| error.during(|| step(state)))
}

/// Understands it.
///
/// # Errors
/// Where it cannot be understood.
pub(crate) fn parse(state: &State, bytes: &[u8]) -> Result<Config> {
    Config::parse(bytes).map_err(|refusal| Error::found(refusal.message).during(|| step(state)))
}

/// Puts another configuration in its place, whole or not at all, with the same owner and mode.
///
/// # Errors
/// The call that failed.
pub(crate) fn replace(state: &State, bytes: &[u8]) -> Result<()> {
    let directory = open(state)?;
    let replaced = write(&directory, bytes).inspect_err(|_| {
        let _ = unlinkat(&directory, NEW, AtFlags::empty());
    });
    replaced.map_err(|error| error.during(|| step(state)))
}

fn write(directory: &OwnedFd, bytes: &[u8]) -> Result<()> {
    let before = statat(directory, NAME, AtFlags::empty()).called(|| format!("fstatat(`{NAME}`)"))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let create = || openat(directory, NEW, flags, Mode::RUSR | Mode::WUSR);
    // One that is there was left behind by a call that was killed.
    let new = match create() {
        Err(Errno::EXIST) => unlinkat(directory, NEW, AtFlags::empty()).and_then(|()| create()),
        other => other,
    };
    let new = new.called(|| format!("openat(`{NEW}`, O_CREAT|O_EXCL)"))?;
    file::write_all(&new, bytes)?;
    let (owner, group) = (Uid::from_raw(before.st_uid), Gid::from_raw(before.st_gid));
    fchown(&new, Some(owner), Some(group)).called(|| format!("fchown(`{NEW}`)"))?;
    fchmod(&new, Mode::from_raw_mode(before.st_mode & 0o777)).called(|| format!("fchmod(`{NEW}`)"))?;
    renameat(directory, NEW, directory, NAME).called(|| format!("renameat(`{NEW}`)"))
}

fn open(state: &State) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, state.bundle.as_str(), flags, Mode::empty()).called(|| format!("openat(`{}`)", state.bundle))
}

fn step(state: &State) -> String {
    format!("`{NAME}` of container `{}`", state.id)
}

/// The root file system by its path on the host, which is where the runtime has it while hooks run.
#[must_use]
pub(crate) fn rootfs_path(state: &State, config: &Config) -> String {
    if config.root.path.starts_with('/') {
        config.root.path.clone()
    } else {
        format!("{}/{}", state.bundle, config.root.path)
    }
}
