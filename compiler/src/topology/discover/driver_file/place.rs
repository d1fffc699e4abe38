//! Where distributions, installers and operators put the driver's files.

use gpupol_plan::loader_cache;
use rustix::fs::FileType;

use crate::topology::discover::root::Root;

/// Directories of libraries, 64-bit before 32-bit ones: multiarch, then those of two architectures side by side, then
/// installers without a file system hierarchy of their own.
const LIBRARIES: [&str; 22] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu/nvidia/current",
    "/usr/lib64",
    "/usr/lib64/nvidia",
    "/lib64",
    "/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib",
    "/usr/lib/nvidia",
    "/usr/local/nvidia/lib64",
    "/usr/local/glibc/usr/lib",
    "/home/kubernetes/bin/nvidia/lib64",
    "/run/opengl-driver/lib",
    "/usr/lib/wsl/lib",
    "/usr/lib/i386-linux-gnu",
    "/usr/lib/i386-linux-gnu/nvidia/current",
    "/usr/lib32",
    "/usr/lib32/nvidia",
    "/usr/local/nvidia/lib",
    "/run/opengl-driver-32/lib",
];

/// Directories of programs.
pub(super) const BINARIES: [&str; 8] = [
    "/usr/bin",
    "/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/nvidia/bin",
    "/home/kubernetes/bin/nvidia/bin",
    "/run/opengl-driver/bin",
    "/run/current-system/sw/bin",
];

/// Directories of data that all machines share, and of settings.
pub(super) const DATA: [&str; 6] = [
    "/usr/share",
    "/usr/local/share",
    "/etc",
    "/run/opengl-driver/share",
    "/run/opengl-driver/etc",
    "/home/kubernetes/bin/nvidia/share",
];

/// Directories of the X server's modules, in each directory of libraries.
pub(super) const MODULES: [&str; 4] =
    ["xorg/modules/drivers", "xorg/modules/extensions", "nvidia/xorg", "nvidia/current"];

/// The sockets of the driver's daemons.
pub(super) const SOCKETS: [&str; 4] = [
    "/run/nvidia-persistenced/socket",
    "/var/run/nvidia-persistenced/socket",
    "/run/nvidia-fabricmanager/socket",
    "/var/run/nvidia-fabricmanager/socket",
];

/// Where the kernel looks for firmware, after the directory that it was told; `RELEASE` is the kernel's.
pub(super) const FIRMWARE: [&str; 4] =
    ["/lib/firmware/updates/RELEASE", "/lib/firmware/updates", "/lib/firmware/RELEASE", "/lib/firmware"];

/// What the loader knows.
const LOADER_CACHE: &str = "/etc/ld.so.cache";

/// A cache of a hundred times as many libraries as a host has is none.
const CACHE_MAX_BYTES: u64 = 4 << 20;

/// Of more directories with libraries of the driver the rest is not looked at.
const MOST_CACHED: usize = 32;

/// The directories below `root` in which libraries of the driver may lie, each once and without symbolic links: those in
/// which the loader finds some, in its order, then the usual ones.
pub(in crate::topology::discover) fn libraries(root: &Root) -> Vec<String> {
    let cache = root.bytes(LOADER_CACHE, CACHE_MAX_BYTES).unwrap_or_default();
    let mut cached: Vec<&str> = Vec::new();
    for library in loader_cache::libraries(&cache) {
        if let Some((directory, name)) = library.path.rsplit_once('/')
            && cached.len() < MOST_CACHED
            && is_of_driver(name)
            && !cached.contains(&directory)
        {
            cached.push(directory);
        }
    }
    let mut directories = Vec::new();
    for directory in cached.into_iter().chain(LIBRARIES) {
        if let Some(real) = root.resolve(directory)
            && root.is(&real, FileType::Directory)
            && !directories.contains(&real)
        {
            directories.push(real);
        }
    }
    directories
}

/// Whether nobody but NVIDIA's driver has a library of that name. Each of its installations has one of these.
fn is_of_driver(name: &str) -> bool {
    [
        "libcuda.so.",
        "libnvidia-ml.so.",
        "libnvidia-glcore.so.",
        "libGLX_nvidia.so.",
        "libnvidia-allocator.so.",
    ]
    .iter()
    .any(|begin| name.starts_with(begin))
}
