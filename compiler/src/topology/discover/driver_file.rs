//! The driver's user-space files.
//!
//! Which files there are and which capability needs them is what NVIDIA's container stack says of each branch of the
//! driver, and what the driver says itself where it ships a list. Only those of the running version count: another
//! version's files cannot talk to the kernel module.

use gpupol_plan::capability::Capability;

use super::DiscoverError;
use super::driver_root::DriverRoot;
use super::root::Root;
use crate::topology::{DriverFile, Fact, MissingFile};

pub(super) mod compat;
mod data;
mod known;
mod library;
mod list;
mod missing;
pub(super) mod place;

use list::List;

/// What there is, and what should be.
pub(super) struct Found {
    /// Sorted by path.
    pub(super) files: Vec<DriverFile>,
    /// Sorted by name.
    pub(super) missing: Fact<Vec<MissingFile>>,
}

/// What counts as a file of the running driver.
struct Wanted<'v> {
    version: Option<&'v str>,
    branch: Option<u32>,
    /// The driver's own list, if it ships one, or why it cannot be read.
    list: Result<Option<List>, String>,
}

impl<'v> Wanted<'v> {
    fn new(driver: &DriverRoot, version: Option<&'v str>) -> Self {
        let list = version.map_or(Ok(None), |version| List::read(&driver.files, version));
        Self { version, branch: version.and_then(known::branch), list }
    }

    /// The name before `.so.` and the running driver's version.
    fn stem<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_suffix(self.version?)?.strip_suffix(".so.")
    }

    /// What the driver's own list says of a library that only it knows. One with another version may be everybody's.
    fn listed_library(&self, name: &str) -> Option<Capability> {
        self.stem(name)?;
        let listed = self.list.as_ref().ok()?.as_ref()?.get(name)?;
        (listed.kind == "LIB").then_some(listed.capability)
    }
}

/// The files of the driver `version`, each once; of several with one name the one that the loader finds, else the first in
/// the order of directories. Without a version only libraries that carry none of it, and programs.
///
/// # Errors
/// That a directory where they may be cannot be read.
pub(super) fn all(root: &Root, driver: &DriverRoot, version: Option<&str>) -> Result<Found, DiscoverError> {
    let wanted = Wanted::new(driver, version);
    let (mut files, is_aarch64) = library::all(driver, &wanted)?;
    files.extend(data::binaries(driver));
    files.extend(data::sockets(root, driver));
    if let Some(version) = version {
        files.extend(data::firmware(root, driver, version)?);
        files.extend(data::data(driver, version)?);
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files.dedup_by(|one, other| one.path == other.path);
    let missing = missing::all(&files, &wanted, is_aarch64);
    Ok(Found { files, missing })
}
