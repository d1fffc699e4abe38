//! Where a container's libraries and modules lie: glibc looks there without `ldconfig`.

use std::borrow::Cow;

/// The library directories of Debian and its kin, by the architecture for which this program is built, which is
/// the host's and so the driver's.
#[cfg(target_arch = "x86_64")]
const MULTIARCH: [&str; 2] = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/i386-linux-gnu"];
#[cfg(target_arch = "aarch64")]
const MULTIARCH: [&str; 2] = ["/usr/lib/aarch64-linux-gnu", "/usr/lib/arm-linux-gnueabihf"];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MULTIARCH: [&str; 2] = ["/usr/lib64", "/usr/lib"];

/// What stands for a directory at the beginning of a path, and the directory in one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directories([(&'static str, &'static str); 3]);

impl Directories {
    /// Those of a root file system, by what it has.
    pub fn of(has: impl Fn(&str) -> bool) -> Self {
        let [multiarch, multiarch32] = MULTIARCH;
        let [libraries, libraries32, modules] = if has("/etc/debian_version") || has(multiarch) {
            [multiarch, multiarch32, "/usr/lib/xorg/modules"]
        } else {
            let libraries32 = if has("/usr/lib32") { "/usr/lib32" } else { "/usr/lib" };
            ["/usr/lib64", libraries32, "/usr/lib64/xorg/modules"]
        };
        Self([("{libdir}", libraries), ("{libdir32}", libraries32), ("{xorgdir}", modules)])
    }

    /// A path in the container, with its directory for the word that it begins with.
    #[must_use]
    pub fn path<'p>(&self, path: &'p str) -> Cow<'p, str> {
        let within = |(word, directory): &(&str, &str)| Some([directory, path.strip_prefix(word)?].concat());
        self.0.iter().find_map(within).map_or(Cow::Borrowed(path), Cow::Owned)
    }
}
