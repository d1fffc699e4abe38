//! The loader of a container, looked up in its root file system.

use std::os::fd::{AsFd, OwnedFd};

use gpupol_plan::loader::{CACHE, CACHE_LIMIT, Loader, is_library};
use gpupol_plan::place::Directories;

use crate::error::{Called, Error, Result};
use crate::rootfs::{self, Rootfs};

/// Looks at the container's rootfs, and at its cache if libraries are among these paths of a plan.
///
/// # Errors
/// A cache that cannot be read, or that names more files than anybody has.
pub(crate) fn look<'p>(rootfs: &Rootfs, paths: impl Iterator<Item = &'p str>) -> Result<Loader> {
    let paths: Vec<&str> = paths.filter(|path| is_library(path)).collect();
    let cache = if paths.is_empty() { None } else { rootfs.read(CACHE, CACHE_LIMIT)? };
    let directories = Directories::of(|path| rootfs.has(path))?;
    let loader = Loader::of(directories, &cache.unwrap_or_default(), paths.iter().copied())
        .map_err(|refusal| Error::found(refusal.message))?;
    if paths.is_empty() { Ok(loader) } else { loader.merged(|older, newer| is_same(rootfs, older, newer)) }
}

/// Whether one directory is missing or is the other, by a link and not by a mount: what is mounted below a mount is seen by that
/// one alone.
fn is_same(rootfs: &Rootfs, older: &str, newer: &str) -> Result<bool> {
    let Some(older) = rootfs.find(older)? else { return Ok(true) };
    let Some(newer) = rootfs.find(newer)? else { return Ok(false) };
    Ok(rootfs::identity(&older)? == rootfs::identity(&newer)? && mount(&older)? == mount(&newer)?)
}

fn mount(file: &OwnedFd) -> Result<u64> {
    Ok(rootfs::place(file.as_fd()).called(|| "statx()".to_owned())?.mount)
}
