//! The directory whose files are the driver's user space: the host's own `/`, or a container of the driver.

use rustix::fs::FileType;
use std::path::Path;

use super::DiscoverError;
use super::driver_file::place;
use super::root::Root;

/// Where NVIDIA's container of the driver puts its files.
const DRIVER_CONTAINER: &str = "/run/nvidia/driver";

/// What the name of NVML's library begins with.
const NVML: &str = "libnvidia-ml.so.";

/// A directory of the host in which the driver's files lie as below `/`.
pub(super) struct DriverRoot {
    /// What lies in it. Symbolic links lead nowhere else.
    pub(super) files: Root,
    /// Where it lies on the host, empty for `/`.
    prefix: String,
    /// The directories in which libraries of the driver may lie.
    pub(super) libraries: Vec<String>,
}

impl DriverRoot {
    /// The directory `named`, else the host's own or the driver's container, whichever has NVML, else the host's own.
    pub(super) fn find(root: &Root, named: Option<&Path>) -> Result<Self, DiscoverError> {
        if let Some(named) = named {
            return Self::at(root, &named.to_string_lossy());
        }
        let own = Self::at(root, "/")?;
        if own.nvml()?.is_some() {
            return Ok(own);
        }
        match Self::at(root, DRIVER_CONTAINER) {
            Ok(container) if container.nvml()?.is_some() => Ok(container),
            _ => Ok(own),
        }
    }

    fn at(root: &Root, path: &str) -> Result<Self, DiscoverError> {
        let not_there = |reason: String| DiscoverError::Read { path: path.to_owned(), reason };
        let real = root.resolve(path).ok_or_else(|| not_there("no such directory".to_owned()))?;
        let files = root.below(&real).map_err(|error| not_there(error.to_string()))?;
        let libraries = place::libraries(&files);
        Ok(Self { files, prefix: real.trim_end_matches('/').to_owned(), libraries })
    }

    /// The path on the host of what is at `path` in it.
    pub(super) fn on_host(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// NVML's library, without symbolic links.
    ///
    /// # Errors
    /// That a directory of libraries cannot be read.
    pub(super) fn nvml(&self) -> Result<Option<String>, DiscoverError> {
        for directory in &self.libraries {
            let names = self.files.names(directory)?.into_iter().filter(|name| name.starts_with(NVML));
            let mut files = names.filter_map(|name| self.files.resolve(&format!("{directory}/{name}")));
            if let Some(found) = files.find(|path| self.files.is(path, FileType::RegularFile)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
