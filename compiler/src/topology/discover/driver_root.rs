//! The directory whose files are the driver's user space: the host's own `/`, or a container of the driver.

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
            let path = named.to_string_lossy();
            return Self::at(root, &path).ok_or_else(|| DiscoverError::Read {
                path: path.into_owned(),
                reason: "no directory of this host".to_owned(),
            });
        }
        let own = Self::new(root.clone(), String::new());
        if own.nvml().is_some() {
            return Ok(own);
        }
        let container = Self::at(root, DRIVER_CONTAINER).filter(|driver| driver.nvml().is_some());
        Ok(container.unwrap_or(own))
    }

    fn new(files: Root, prefix: String) -> Self {
        let libraries = place::libraries(&files);
        Self { files, prefix, libraries }
    }

    fn at(root: &Root, path: &str) -> Option<Self> {
        let real = root.resolve(path).filter(|real| root.is_directory(real))?;
        let prefix = real.trim_end_matches('/').to_owned();
        Some(Self::new(root.below(&prefix), prefix))
    }

    /// Whether it is the host's own `/`.
    pub(super) fn is_host(&self) -> bool {
        self.prefix.is_empty()
    }

    /// The path on the host of what is at `path` in it.
    pub(super) fn on_host(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// NVML's library, without symbolic links.
    pub(super) fn nvml(&self) -> Option<String> {
        self.libraries.iter().find_map(|directory| {
            let names = self.files.names(directory).into_iter().filter(|name| name.starts_with(NVML));
            let mut files = names.filter_map(|name| self.files.resolve(&format!("{directory}/{name}")));
            files.find(|path| self.files.is_file(path))
        })
    }
}
