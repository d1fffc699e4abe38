//! The bundle of a container: its `config.json`, and where its root file system is.

use gpupol_plan::config::Config;
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::error::{Called, Error, Result};
use crate::file;
use crate::state::State;

/// A larger `config.json` is not read. Nobody could then say whether the container asks for a GPU, so it does
/// not start; the limit is far above what any runtime accepts.
const LIMIT: usize = 64 * 1024 * 1024;

/// Reads the configuration of a container, and tells how many bytes it has.
///
/// # Errors
/// The call that failed, or where it cannot be understood.
pub(crate) fn config(state: &State) -> Result<(Config, usize)> {
    let step = || format!("`config.json` of container `{}`", state.id);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, state.bundle.as_str(), flags, Mode::empty())
        .called(|| format!("openat(`{}`)", state.bundle))?;
    // The runtime follows a symbolic link here, so it is the linked file that must be judged.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let bytes = openat(&directory, "config.json", flags, Mode::empty())
        .called(|| "openat(`config.json`)".to_owned())
        .and_then(|file| file::read_regular(&file, "config.json", LIMIT))
        .map_err(|error| error.during(step))?;
    let config = Config::parse(&bytes).map_err(|refusal| Error::found(refusal.message).during(step))?;
    Ok((config, bytes.len()))
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
