//! Where a container's loader finds libraries: which directory the driver's are put into, and what would be taken for them
//! instead.
//!
//! An image may bring a library of the driver's name, a stub or that of another driver, to a place that the loader asks
//! first. It is covered there. The image is only read: what its loader does without `ldconfig` is known from glibc and musl.

use gpupol_plan::edit::Edit;
use gpupol_plan::loader_cache::{self, FLAGS_32, FLAGS_64};

use crate::apply::Ready;
use crate::error::{Error, Result};
use crate::rootfs::Rootfs;

/// The library directories of Debian and its kin, by the architecture for which this program is built, which is
/// the host's and so the driver's.
#[cfg(target_arch = "x86_64")]
const MULTIARCH: [&str; 2] = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/i386-linux-gnu"];
#[cfg(target_arch = "aarch64")]
const MULTIARCH: [&str; 2] = ["/usr/lib/aarch64-linux-gnu", "/usr/lib/arm-linux-gnueabihf"];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MULTIARCH: [&str; 2] = ["/usr/lib64", "/usr/lib"];

/// The loader of musl, which knows no other directories for libraries than these: `/lib`, `/usr/local/lib`, `/usr/lib`.
#[cfg(target_arch = "aarch64")]
const MUSL: &str = "/lib/ld-musl-aarch64.so.1";
#[cfg(not(target_arch = "aarch64"))]
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";

const CACHE: &str = "/etc/ld.so.cache";

/// Caches of images with thousands of libraries have some hundred kilobytes.
const CACHE_LIMIT: usize = 4 * 1024 * 1024;

/// An image that has the driver's libraries at more places than a few is made to cost time.
const COVERED_LIMIT: usize = 256;

/// The container's loader.
#[derive(Debug)]
pub(super) struct Loader {
    /// What stands for a directory at the beginning of a path, and the directory in this container.
    directories: [(&'static str, &'static str); 3],
    /// The driver's libraries of which the cache knows some file.
    cached: Vec<Cached>,
    /// Whether it is musl's, with which CUDA does not work.
    pub(super) is_musl: bool,
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
        let (directories, is_musl) = directories(rootfs);
        let wanted = edits.iter().filter_map(|(_, edit)| match edit {
            Ready::Mount(bind) => library(bind.path()),
            Ready::Node(_) => None,
        });
        let cached = cached(rootfs, &wanted.collect::<Vec<_>>())?;
        Ok(Self { directories, cached, is_musl })
    }

    /// The path in this container that a plan's path means.
    pub(super) fn place(&self, path: &str) -> String {
        let within = |(word, directory): &(&str, &str)| Some([directory, path.strip_prefix(word)?].concat());
        self.directories.iter().find_map(within).unwrap_or_else(|| path.to_owned())
    }

    /// The paths of files that the loader would take for the library at a plan's path, if they are there.
    pub(super) fn taken_for(&self, path: &str) -> Vec<String> {
        let Some((is_32, name)) = library(path) else { return Vec::new() };
        let cached = self.cached.iter().filter(|of| of.is_32 == is_32 && of.name == name);
        // Where `/lib` is a directory of its own, glibc looks there before it looks below `/usr`.
        let place = self.place(path);
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

/// Where the container's libraries and modules are, and whether its loader is musl's.
fn directories(rootfs: &Rootfs) -> ([(&'static str, &'static str); 3], bool) {
    let [multiarch, multiarch32] = MULTIARCH;
    let is_debian = rootfs.has("/etc/debian_version") || rootfs.has(multiarch);
    let is_musl = !is_debian && rootfs.has(MUSL);
    let [libraries, libraries32, modules] = if is_debian {
        [multiarch, multiarch32, "/usr/lib/xorg/modules"]
    } else if is_musl {
        ["/usr/lib", "/usr/lib32", "/usr/lib/xorg/modules"]
    } else {
        let libraries32 = if rootfs.has("/usr/lib32") { "/usr/lib32" } else { "/usr/lib" };
        ["/usr/lib64", libraries32, "/usr/lib64/xorg/modules"]
    };
    ([("{libdir}", libraries), ("{libdir32}", libraries32), ("{xorgdir}", modules)], is_musl)
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
