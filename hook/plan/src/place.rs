//! Where a container's libraries and modules lie: its loader looks there without `ldconfig`.

use std::borrow::Cow;

/// The library directories of Debian and its kin, by the architecture for which this program is built, which is
/// the host's and so the driver's.
#[cfg(target_arch = "x86_64")]
const MULTIARCH: [&str; 2] = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/i386-linux-gnu"];
#[cfg(target_arch = "aarch64")]
const MULTIARCH: [&str; 2] = ["/usr/lib/aarch64-linux-gnu", "/usr/lib/arm-linux-gnueabihf"];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MULTIARCH: [&str; 2] = ["/usr/lib64", "/usr/lib"];

/// The loader of musl, which knows no other directories than `/lib`, `/usr/local/lib` and `/usr/lib`.
#[cfg(target_arch = "aarch64")]
const MUSL: &str = "/lib/ld-musl-aarch64.so.1";
#[cfg(not(target_arch = "aarch64"))]
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";

/// The directories of one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directories {
    /// What stands for a directory at the beginning of a path, and the directory.
    words: [(&'static str, &'static str); 3],
    /// Whether its C library is musl, with which the driver's libraries, and so CUDA, do not work.
    pub is_musl: bool,
}

impl Directories {
    /// Those of a root file system, by what it has.
    ///
    /// # Errors
    ///
    /// What `has` says.
    pub fn of<E>(has: impl Fn(&str) -> Result<bool, E>) -> Result<Self, E> {
        let [multiarch, multiarch32] = MULTIARCH;
        let is_debian = has("/etc/debian_version")? || has(multiarch)?;
        let is_musl = !is_debian && has(MUSL)?;
        let [libraries, libraries32, modules] = if is_debian {
            [multiarch, multiarch32, "/usr/lib/xorg/modules"]
        } else if is_musl {
            ["/usr/lib", "/usr/lib32", "/usr/lib/xorg/modules"]
        } else {
            let libraries32 = if has("/usr/lib32")? { "/usr/lib32" } else { "/usr/lib" };
            ["/usr/lib64", libraries32, "/usr/lib64/xorg/modules"]
        };
        let words = [("{libdir}", libraries), ("{libdir32}", libraries32), ("{xorgdir}", modules)];
        Ok(Self { words, is_musl })
    }

    /// A path in the container, with its directory for the word that it begins with.
    #[must_use]
    pub fn path<'p>(&self, path: &'p str) -> Cow<'p, str> {
        let within = |(word, directory): &(&str, &str)| Some([directory, path.strip_prefix(word)?].concat());
        self.words.iter().find_map(within).map_or(Cow::Borrowed(path), Cow::Owned)
    }
}
