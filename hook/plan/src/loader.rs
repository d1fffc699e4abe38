//! Where a container's loader finds libraries: which directory the driver's are put into, and what would be taken for them
//! instead.
//!
//! An image may bring a library of the driver's name, a stub or that of another driver, to a place that the loader asks
//! first. It is covered there. The image is only read: what its loader does without `ldconfig` is known from glibc and musl.

use crate::loader_cache::{self, FLAGS_32, FLAGS_64};
use crate::place::Directories;
use crate::refusal::{Reason, Refusal};

/// Where glibc's loader has its cache.
pub const CACHE: &str = "/etc/ld.so.cache";

/// Caches of images with thousands of libraries have some hundred kilobytes.
pub const CACHE_LIMIT: usize = 4 * 1024 * 1024;

/// An image that has the driver's libraries at more places than a few is made to cost time.
const COVERED_LIMIT: usize = 256;

/// The words of a plan for directories of libraries, and whether they are those of 32-bit programs.
const WORDS: [(&str, bool); 2] = [("{libdir}", false), ("{libdir32}", true)];

/// The container's loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loader {
    /// The directories of the container.
    pub directories: Directories,
    /// The driver's libraries of which the cache knows some file.
    cached: Vec<Cached>,
    /// Whether `/lib` and its kin have nothing that the directories below `/usr` do not have.
    is_merged: bool,
}

/// Where the cache sends whoever asks for a library.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cached {
    is_32: bool,
    name: String,
    path: String,
}

impl Loader {
    /// The loader of a container with these directories and this [`CACHE`]. That counts only for the libraries which are
    /// to be put at these paths of a plan.
    ///
    /// # Errors
    ///
    /// [`Reason::BadRequest`] if the cache names more files than anybody has.
    pub fn of<'p>(
        directories: Directories,
        cache: &[u8],
        paths: impl Iterator<Item = &'p str>,
    ) -> Result<Self, Refusal> {
        let wanted: Vec<(bool, &str)> = paths.filter_map(library).collect();
        let mut cached = Vec::new();
        for library in loader_cache::libraries(cache) {
            let is_32 = library.flags == FLAGS_32;
            if (is_32 || library.flags == FLAGS_64) && wanted.contains(&(is_32, library.name)) {
                cached.push(Cached { is_32, name: library.name.to_owned(), path: library.path.to_owned() });
            }
            if cached.len() > COVERED_LIMIT {
                return Err(too_many());
            }
        }
        Ok(Self { directories, cached, is_merged: false })
    }

    /// The same in a container where no older directory is another one than its newer one, as `is_same` says of each pair: then
    /// there is nothing to be looked for in them.
    ///
    /// # Errors
    ///
    /// What `is_same` says.
    pub fn merged<E>(self, is_same: impl Fn(&str, &str) -> Result<bool, E>) -> Result<Self, E> {
        let newer = WORDS.map(|(word, _)| self.directories.path(word).into_owned());
        let mut is_merged = true;
        for newer in &newer {
            is_merged = is_merged && older(newer).map_or(Ok(true), |older| is_same(older, newer))?;
        }
        Ok(Self { is_merged, ..self })
    }

    /// The paths of files that the loader would take for the library at a plan's path, if they are there.
    #[must_use]
    pub fn taken_for(&self, path: &str) -> Vec<String> {
        let Some((is_32, name)) = library(path) else { return Vec::new() };
        let cached = self.cached.iter().filter(|of| of.is_32 == is_32 && of.name == name);
        let first = || older(&self.directories.path(path)).map(str::to_owned);
        let first = if self.is_merged { None } else { first() };
        cached.map(|of| of.path.clone()).chain(first).collect()
    }
}

/// Whether a plan's path is that of a library which programs ask for by name, so that a cache matters.
#[must_use]
pub fn is_library(path: &str) -> bool {
    library(path).is_some()
}

/// Whether a plan's path is that of a library for 32-bit programs, and its name. What lies in directories below is
/// asked for by path, not by name.
fn library(path: &str) -> Option<(bool, &str)> {
    let of = |(word, is_32): (&str, bool)| Some((is_32, path.strip_prefix(word)?.strip_prefix('/')?));
    WORDS.into_iter().find_map(of).filter(|(_, name)| !name.contains('/'))
}

/// Where glibc looks before it looks at a path below `/usr`, if `/lib` is a directory of its own.
fn older(path: &str) -> Option<&str> {
    path.strip_prefix("/usr")
}

fn too_many() -> Refusal {
    let message =
        format!("`{CACHE}` of the image names more than {COVERED_LIMIT} files for the driver's libraries");
    Refusal::new(Reason::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use core::convert::Infallible;

    use super::*;

    /// Where `/lib64` is a link, what was put into `/usr/lib64` is found by it.
    #[test]
    fn an_older_directory_counts_where_it_is_another_one() {
        let directories = Directories::of(|_| Ok::<_, Infallible>(false)).unwrap();
        let loader = Loader::of(directories, &[], ["{libdir}/libcuda.so.1"].into_iter()).unwrap();
        let taken = |same: &[&str]| {
            let is_same = |older: &str, newer: &str| {
                assert_eq!(format!("/usr{older}"), newer);
                Ok::<_, Infallible>(same.contains(&older))
            };
            loader.clone().merged(is_same).unwrap().taken_for("{libdir}/libcuda.so.1")
        };
        assert_eq!(taken(&["/lib64", "/lib"]), Vec::<String>::new());
        assert_eq!(taken(&["/lib64"]), ["/lib64/libcuda.so.1"]);
        assert_eq!(taken(&[]), ["/lib64/libcuda.so.1"]);
    }
}
