//! The loader of a container, looked up in its root file system.

use gpupol_plan::loader::{CACHE, CACHE_LIMIT, Loader, is_library};
use gpupol_plan::place::Directories;

use crate::error::{Error, Result};
use crate::rootfs::Rootfs;

/// Looks at the container's rootfs, and at its cache if libraries are among these paths of a plan.
///
/// # Errors
/// A cache that cannot be read, or that names more files than anybody has.
pub(crate) fn look<'p>(rootfs: &Rootfs, paths: impl Iterator<Item = &'p str>) -> Result<Loader> {
    let paths: Vec<&str> = paths.filter(|path| is_library(path)).collect();
    let cache = if paths.is_empty() { None } else { rootfs.read(CACHE, CACHE_LIMIT)? };
    let directories = Directories::of(|path| rootfs.has(path))?;
    Loader::of(directories, &cache.unwrap_or_default(), paths.into_iter())
        .map_err(|refusal| Error::found(refusal.message))
}
