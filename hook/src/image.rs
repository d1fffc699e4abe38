//! A root file system of which no container is made yet, looked at from the host.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use gpupol_plan::edit::Edit;
use gpupol_plan::loader::Loader;
use gpupol_plan::spec::Resolved;
use rustix::fs::FileType;

use crate::apply::loader;
use crate::error::Result;
use crate::file;
use crate::rootfs::{self, Rootfs, Surroundings};

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

    /// Where a path leads in it, without links, if anything is there.
    pub(crate) fn found(&self, path: &str) -> Option<Resolved> {
        let found = self.rootfs.find(path).ok()??;
        let is_file = rootfs::place(found.as_fd()).ok()?.kind == FileType::RegularFile;
        let path = file::path_of(&found).ok()?;
        let below = path.strip_prefix(self.path.trim_end_matches('/'))?;
        Some(Resolved { path: below.to_owned(), is_file })
    }

    /// Where a path leads in it, without links. Of what is missing the deepest directory above it counts; a link to nothing
    /// leads nowhere, and what cannot be looked at now, the hook will meet again.
    pub(crate) fn resolved(&self, path: &str) -> Option<Resolved> {
        const ROOT: &str = "/.";
        let path = Some(path.trim_end_matches('/')).filter(|path| !path.is_empty()).unwrap_or(ROOT);
        if self.rootfs.has(path).ok()? {
            return self.found(path);
        }
        let (parent, name) = path.rsplit_once('/').filter(|_| path != ROOT)?;
        let above = self.resolved(parent)?;
        let here = format!("{}/{name}", above.path);
        let is_link = self.rootfs.is_link(&here).ok()?;
        (!is_link).then_some(Resolved { path: here, is_file: false })
    }
}
