//! Loading NVML.

use std::path::{Path, PathBuf};

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::DiscoverError;
use super::driver_root::DriverRoot;

/// The name by which the loader finds NVML.
const NAME: &str = "libnvidia-ml.so.1";

/// Which library to load: the one at `path`, else the one of another host or of the driver's container, else the one that
/// the loader finds, which knows nothing of either.
pub(super) fn place(driver: &DriverRoot, path: Option<&Path>) -> Result<PathBuf, DiscoverError> {
    match path {
        Some(path) => Ok(path.to_owned()),
        None if driver.files.is_host() => Ok(PathBuf::from(NAME)),
        None => driver.nvml()?.map(|path| driver.files.place(&path)).ok_or_else(none_there),
    }
}

/// NVML, initialised.
pub(super) fn load(path: &Path) -> Result<Nvml, DiscoverError> {
    let nvml = Nvml::builder().lib_path(path.as_os_str()).init();
    let nvml = nvml.map_err(|error| failure(path, &error))?;
    if let Err(error) = &nvml.lib().nvmlShutdown {
        let reason = error.to_string();
        // Dropping it would call the function that is missing, and panic.
        std::mem::forget(nvml);
        return Err(DiscoverError::BrokenDriver { reason });
    }
    Ok(nvml)
}

fn none_there() -> DiscoverError {
    DiscoverError::NoDriver { reason: format!("no `{NAME}` in the usual directories below the root") }
}

/// What is no driver at all, and what is one that fails.
fn failure(path: &Path, error: &NvmlError) -> DiscoverError {
    let shown = path.display();
    match error {
        NvmlError::LibloadingError(error) => {
            DiscoverError::NoDriver { reason: format!("cannot load `{shown}`: {error}") }
        }
        NvmlError::FailedToLoadSymbol(error) => {
            DiscoverError::NoDriver { reason: format!("`{shown}` is not NVML: {error}") }
        }
        NvmlError::DriverNotLoaded | NvmlError::LibraryNotFound => {
            DiscoverError::NoDriver { reason: error.to_string() }
        }
        _ => DiscoverError::BrokenDriver { reason: error.to_string() },
    }
}
