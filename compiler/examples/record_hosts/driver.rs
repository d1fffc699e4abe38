//! The driver that every recorded host is said to run: a real release, its files as its installer puts them on Debian.

use gpupol::topology::{DriverFile, DriverFileKind};
use gpupol_plan::capability::Capability::{self, Compute, Graphics, Ngx, Utility, Video};

/// The driver's version.
pub(crate) const VERSION: &str = "550.163.01";

/// The CUDA version of that branch.
pub(crate) const CUDA: &str = "12.4";

/// Libraries: name, the number after `.so.` in the soname (none: the file's own name), capability.
const LIBRARIES: [(&str, Option<u32>, Capability); 29] = [
    ("libEGL_nvidia", Some(0), Graphics),
    ("libGLESv1_CM_nvidia", Some(1), Graphics),
    ("libGLESv2_nvidia", Some(2), Graphics),
    ("libGLX_nvidia", Some(0), Graphics),
    ("libcuda", Some(1), Compute),
    ("libcudadebugger", Some(1), Compute),
    ("libnvcuvid", Some(1), Video),
    ("libnvidia-allocator", Some(1), Compute),
    ("libnvidia-cfg", Some(1), Utility),
    ("libnvidia-eglcore", None, Graphics),
    ("libnvidia-encode", Some(1), Video),
    ("libnvidia-fbc", Some(1), Graphics),
    ("libnvidia-glcore", None, Graphics),
    ("libnvidia-glsi", None, Graphics),
    ("libnvidia-glvkspirv", None, Graphics),
    ("libnvidia-gpucomp", None, Compute),
    ("libnvidia-ml", Some(1), Utility),
    ("libnvidia-ngx", Some(1), Ngx),
    ("libnvidia-nvvm", Some(4), Compute),
    ("libnvidia-opencl", Some(1), Compute),
    ("libnvidia-opticalflow", Some(1), Video),
    ("libnvidia-pkcs11", None, Compute),
    ("libnvidia-pkcs11-openssl3", None, Compute),
    ("libnvidia-ptxjitcompiler", Some(1), Compute),
    ("libnvidia-rtcore", None, Graphics),
    ("libnvidia-tls", None, Graphics),
    ("libnvoptix", Some(1), Graphics),
    ("libvdpau_nvidia", Some(1), Video),
    ("libnvidia-egl-gbm", Some(1), Graphics),
];

const BINARIES: [(&str, Capability); 5] = [
    ("nvidia-cuda-mps-control", Compute),
    ("nvidia-cuda-mps-server", Compute),
    ("nvidia-debugdump", Utility),
    ("nvidia-persistenced", Utility),
    ("nvidia-smi", Utility),
];

/// The driver's files, sorted by path.
pub(crate) fn files() -> Vec<DriverFile> {
    let libraries = LIBRARIES.iter().map(|(name, number, capability)| library(name, *number, *capability));
    let binaries = BINARIES.iter().map(|(name, capability)| DriverFile {
        path: format!("/usr/bin/{name}"),
        kind: DriverFileKind::Binary,
        soname: None,
        capability: *capability,
    });
    let mut files: Vec<DriverFile> = libraries.chain(binaries).collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn library(name: &str, number: Option<u32>, capability: Capability) -> DriverFile {
    // The two exceptions to `NAME.so.VERSION` in one directory: VDPAU's own place, and a library with a version of
    // its own.
    let directory = if name == "libvdpau_nvidia" { "vdpau/" } else { "" };
    let version = if name == "libnvidia-egl-gbm" { "1.1.1" } else { VERSION };
    let soname =
        number.map_or_else(|| format!("{name}.so.{version}"), |number| format!("{name}.so.{number}"));
    DriverFile {
        path: format!("/usr/lib/x86_64-linux-gnu/{directory}{name}.so.{version}"),
        kind: DriverFileKind::Library,
        soname: Some(soname),
        capability,
    }
}
