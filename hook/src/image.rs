//! A root file system of which no container is made yet, looked at from the host.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use gpupol_plan::edit::Edit;
use gpupol_plan::loader::Loader;

use crate::apply::loader;
use crate::error::Result;
use crate::file;
use crate::rootfs::{Rootfs, Surroundings};

/// The image of a container, at its place on the host.
#[derive(Debug)]
pub(crate) struct Image {
    rootfs: Rootfs,
    /// Its path without links, as the kernel writes it.
    path: String,
}

impl Image {
    /// Opens it.
    ///
    /// # Errors
    /// The call that failed, or that it is the host's own root.
    pub(crate) fn open(path: &str) -> Result<Self> {
        let nothing = Surroundings { private: BTreeSet::new(), shared: BTreeSet::new(), owner: None };
        let rootfs = Rootfs::open(path, nothing)?;
        let path = file::path_of(rootfs.root())?;
        Ok(Self { rootfs, path })
    }

    /// The loader of its containers; its cache counts only if libraries are to be put there.
    ///
    /// # Errors
    /// A cache that cannot be read, or that names more files than anybody has.
    pub(crate) fn loader(&self, edits: &[&Edit]) -> Result<Loader> {
        loader::look(&self.rootfs, edits.iter().filter_map(|edit| edit.container_path()))
    }

    /// The path of the regular file to which a path leads in it, without links. What cannot be looked at now, the hook will
    /// meet again.
    pub(crate) fn file(&self, path: &str) -> Option<String> {
        let found: OwnedFd = self.rootfs.file(path).ok()??;
        let path = file::path_of(&found).ok()?;
        path.strip_prefix(self.path.trim_end_matches('/')).map(str::to_owned)
    }
}
