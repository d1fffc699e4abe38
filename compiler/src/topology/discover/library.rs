//! Loading NVML.

use std::path::{Path, PathBuf};

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::root::Root;
use super::{DiscoverError, driver_file};

/// The name by which the loader finds NVML.
const NAME: &str = "libnvidia-ml.so.1";

/// Which library to load: the one at `path`, else the one below `root`, else the one that the loader finds.
pub(super) fn place(root: &Root, path: Option<&Path>) -> PathBuf {
    path.map(Path::to_owned).or_else(|| below(root)).unwrap_or_else(|| PathBuf::from(NAME))
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

/// The loader knows nothing of another host's root, so its library is looked for by name.
fn below(root: &Root) -> Option<PathBuf> {
    if root.is_host() {
        return None;
    }
    let places = driver_file::LIBRARY_DIRECTORIES.iter().map(|directory| format!("{directory}/{NAME}"));
    places.filter_map(|place| root.resolve(&place)).map(|place| root.place(&place)).next()
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
