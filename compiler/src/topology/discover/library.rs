//! Loading NVML.

use std::path::{Path, PathBuf};

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::DiscoverError;
use super::driver_root::DriverRoot;

/// The name by which the loader finds NVML.
const NAME: &str = "libnvidia-ml.so.1";

/// Which library to load: the one at `path`, else the one of another host or of the driver's container, else the one that
/// the loader finds.
pub(super) fn place(driver: &DriverRoot, path: Option<&Path>) -> PathBuf {
    path.map(Path::to_owned).or_else(|| below(driver)).unwrap_or_else(|| PathBuf::from(NAME))
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

/// The loader knows nothing of another host's root and of containers, so their library is looked for by name.
fn below(driver: &DriverRoot) -> Option<PathBuf> {
    if driver.files.is_host() {
        return None;
    }
    driver.nvml().map(|path| driver.files.place(&path))
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
