//! Where a container's loader finds libraries: which directory the driver's are put into, and what would be taken for them
//! instead.
//!
//! An image may bring a library of the driver's name, a stub or that of another driver, to a place that the loader asks
//! first. It is covered there. The image is only read: what its loader does without `ldconfig` is known from glibc and musl.

use gpupol_plan::edit::Edit;
use gpupol_plan::loader_cache::{self, FLAGS_32, FLAGS_64};
use gpupol_plan::place::Directories;

use crate::apply::Ready;
use crate::error::{Error, Result};
use crate::rootfs::Rootfs;

const CACHE: &str = "/etc/ld.so.cache";

/// Caches of images with thousands of libraries have some hundred kilobytes.
const CACHE_LIMIT: usize = 4 * 1024 * 1024;

/// An image that has the driver's libraries at more places than a few is made to cost time.
const COVERED_LIMIT: usize = 256;

/// The container's loader.
#[derive(Debug)]
pub(super) struct Loader {
    /// The directories of the container.
    pub(super) directories: Directories,
    /// The driver's libraries of which the cache knows some file.
    cached: Vec<Cached>,
}

/// Where the cache sends whoever asks for a library.
#[derive(Debug, PartialEq, Eq)]
struct Cached {
    is_32: bool,
    name: String,
    path: String,
}

impl Loader {
    /// Looks at the container's rootfs; its cache counts only for the libraries that are to be put there.
    ///
    /// # Errors
    /// A cache that cannot be read, or that names more files than anybody has.
    pub(super) fn look(rootfs: &Rootfs, edits: &[(&Edit, Ready<'_>)]) -> Result<Self> {
        let directories = Directories::of(|path| rootfs.has(path))?;
        let wanted = edits.iter().filter_map(|(_, edit)| match edit {
            Ready::Mount(bind) => library(bind.path()),
            Ready::Node(_) | Ready::Tmpfs(_) | Ready::File(_) => None,
        });
        let cached = cached(rootfs, &wanted.collect::<Vec<_>>())?;
        Ok(Self { directories, cached })
    }

    /// The paths of files that the loader would take for the library at a plan's path, if they are there.
    pub(super) fn taken_for(&self, path: &str) -> Vec<String> {
        let Some((is_32, name)) = library(path) else { return Vec::new() };
        let cached = self.cached.iter().filter(|of| of.is_32 == is_32 && of.name == name);
        // Where `/lib` is a directory of its own, glibc looks there before it looks below `/usr`.
        let place = self.directories.path(path);
        let first = place.strip_prefix("/usr").map(str::to_owned);
        cached.map(|of| of.path.clone()).chain(first).collect()
    }
}

/// Whether a plan's path is that of a library for 32-bit programs, and its name. What lies in directories below is
/// asked for by path, not by name.
fn library(path: &str) -> Option<(bool, &str)> {
    let of = |(word, is_32): (&str, bool)| Some((is_32, path.strip_prefix(word)?));
    [("{libdir}/", false), ("{libdir32}/", true)]
        .into_iter()
        .find_map(of)
        .filter(|(_, name)| !name.contains('/'))
}

fn cached(rootfs: &Rootfs, wanted: &[(bool, &str)]) -> Result<Vec<Cached>> {
    let mut cached = Vec::new();
    if wanted.is_empty() {
        return Ok(cached);
    }
    let cache = rootfs.read(CACHE, CACHE_LIMIT)?.unwrap_or_default();
    for library in loader_cache::libraries(&cache) {
        let is_32 = library.flags == FLAGS_32;
        if (is_32 || library.flags == FLAGS_64) && wanted.contains(&(is_32, library.name)) {
            cached.push(Cached { is_32, name: library.name.to_owned(), path: library.path.to_owned() });
        }
        if cached.len() > COVERED_LIMIT {
            return Err(Error::found(format!(
                "`{CACHE}` of the image names more than {COVERED_LIMIT} files for the driver's libraries"
            )));
        }
    }
    Ok(cached)
}
