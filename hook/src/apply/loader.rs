//! The loader of a container, looked up in its root file system.

use gpupol_plan::edit::Edit;
use gpupol_plan::loader::{CACHE, CACHE_LIMIT, Loader, is_library};
use gpupol_plan::place::Directories;

use crate::apply::Ready;
use crate::error::{Error, Result};
use crate::rootfs::Rootfs;

/// Looks at the container's rootfs, and at its cache if libraries are to be put there.
///
/// # Errors
/// A cache that cannot be read, or that names more files than anybody has.
pub(super) fn look(rootfs: &Rootfs, edits: &[(&Edit, Ready<'_>)]) -> Result<Loader> {
    let paths = edits.iter().filter_map(|(_, edit)| match edit {
        Ready::Mount(bind) => Some(bind.path()).filter(|path| is_library(path)),
        Ready::Node(_) | Ready::Tmpfs(_) | Ready::File(_) => None,
    });
    let paths: Vec<&str> = paths.collect();
    let cache = if paths.is_empty() { None } else { rootfs.read(CACHE, CACHE_LIMIT)? };
    let directories = Directories::of(|path| rootfs.has(path))?;
    Loader::of(directories, &cache.unwrap_or_default(), paths.into_iter())
        .map_err(|refusal| Error::found(refusal.message))
}
