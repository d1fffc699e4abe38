//! The driver's user-space files.
//!
//! Which files there are and which capability needs them is what NVIDIA's container stack says of each branch of the
//! driver. Only those of the running version count: another version's files cannot talk to the kernel module.

use std::collections::BTreeMap;

use gpupol_plan::capability::Capability::{self, Compute, Graphics, Ngx, Utility, Video};

use super::elf::{self, Library};
use super::root::Root;
use crate::topology::{DriverFile, DriverFileKind};

/// Where distributions, installers and operators put the driver's 64-bit libraries.
pub(super) const LIBRARY_DIRECTORIES: [&str; 16] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu/nvidia/current",
    "/usr/lib64",
    "/usr/lib64/nvidia",
    "/lib64",
    "/usr/lib",
    "/usr/local/nvidia/lib64",
    "/usr/local/glibc/usr/lib",
    "/home/kubernetes/bin/nvidia/lib64",
    "/run/opengl-driver/lib",
    "/run/nvidia/driver/usr/lib/x86_64-linux-gnu",
    "/run/nvidia/driver/usr/lib/aarch64-linux-gnu",
    "/run/nvidia/driver/usr/lib64",
    "/usr/lib/wsl/lib",
];

const BINARY_DIRECTORIES: [&str; 7] = [
    "/usr/bin",
    "/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/nvidia/bin",
    "/home/kubernetes/bin/nvidia/bin",
    "/run/nvidia/driver/usr/bin",
];

/// Libraries called `NAME.so.` and the driver's version.
const LIBRARIES: [(&str, Capability); 37] = [
    ("libEGL_nvidia", Graphics),
    ("libGLESv1_CM_nvidia", Graphics),
    ("libGLESv2_nvidia", Graphics),
    ("libGLX_nvidia", Graphics),
    ("libcuda", Compute),
    ("libcudadebugger", Compute),
    ("libnvcuvid", Video),
    ("libnvidia-allocator", Compute),
    ("libnvidia-cbl", Graphics),
    ("libnvidia-cfg", Utility),
    ("libnvidia-compiler", Compute),
    ("libnvidia-eglcore", Graphics),
    ("libnvidia-encode", Video),
    ("libnvidia-fatbinaryloader", Compute),
    ("libnvidia-fbc", Graphics),
    ("libnvidia-glcore", Graphics),
    ("libnvidia-glsi", Graphics),
    ("libnvidia-glvkspirv", Graphics),
    ("libnvidia-gpucomp", Compute),
    ("libnvidia-ifr", Graphics),
    ("libnvidia-ml", Utility),
    ("libnvidia-ngx", Ngx),
    ("libnvidia-nscq", Utility),
    ("libnvidia-nvvm", Compute),
    ("libnvidia-opencl", Compute),
    ("libnvidia-opticalflow", Video),
    ("libnvidia-pkcs11", Compute),
    ("libnvidia-pkcs11-openssl3", Compute),
    ("libnvidia-present", Graphics),
    ("libnvidia-ptxjitcompiler", Compute),
    ("libnvidia-rtcore", Graphics),
    ("libnvidia-sandboxutils", Utility),
    ("libnvidia-tileiras", Compute),
    ("libnvidia-tls", Graphics),
    ("libnvidia-vksc-core", Graphics),
    ("libnvoptix", Graphics),
    ("libvdpau_nvidia", Video),
];

/// Libraries with a version of their own.
const OTHER_LIBRARIES: [(&str, Capability); 7] = [
    ("libnvidia-api.so.", Graphics),
    ("libnvidia-egl-gbm.so.", Graphics),
    ("libnvidia-egl-wayland.so.", Graphics),
    ("libnvidia-egl-wayland2.so.", Graphics),
    ("libnvidia-egl-xcb.so.", Graphics),
    ("libnvidia-egl-xlib.so.", Graphics),
    ("libnvidia-nvvm70.so.", Compute),
];

const BINARIES: [(&str, Capability); 8] = [
    ("nv-fabricmanager", Utility),
    ("nvidia-cuda-mps-control", Compute),
    ("nvidia-cuda-mps-server", Compute),
    ("nvidia-debugdump", Utility),
    ("nvidia-imex", Compute),
    ("nvidia-imex-ctl", Compute),
    ("nvidia-persistenced", Utility),
    ("nvidia-smi", Utility),
];

/// The files of the driver `version` below `root`, sorted by path; of several with one name the first in the order of
/// directories. Without a version only libraries that carry none of it, and programs.
pub(super) fn all(root: &Root, version: Option<&str>) -> Vec<DriverFile> {
    let mut by_name: BTreeMap<String, DriverFile> = BTreeMap::new();
    for file in libraries(root, version).chain(binaries(root)) {
        let name = file.soname.as_ref().unwrap_or(&file.path);
        by_name.entry(name.clone()).or_insert(file);
    }
    let mut files: Vec<DriverFile> = by_name.into_values().collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files.dedup_by(|one, other| one.path == other.path);
    files
}

fn libraries(root: &Root, version: Option<&str>) -> impl Iterator<Item = DriverFile> {
    let directories = LIBRARY_DIRECTORIES.iter().flat_map(|at| [(*at).to_owned(), format!("{at}/vdpau")]);
    directories.flat_map(move |directory| {
        let names = root.names(&directory).into_iter();
        let wanted = names.filter_map(|name| Some((capability(&name, version)?, name)));
        let files = wanted.filter_map(|(capability, name)| library(root, &directory, &name, capability));
        files.collect::<Vec<_>>()
    })
}

fn library(root: &Root, directory: &str, name: &str, capability: Capability) -> Option<DriverFile> {
    let path = root.resolve(&format!("{directory}/{name}"))?;
    let soname = match elf::library(root.open(&path)?)? {
        Library::Named(soname) => soname,
        Library::Nameless => name.to_owned(),
    };
    Some(DriverFile { path, kind: DriverFileKind::Library, soname: Some(soname), capability })
}

fn capability(name: &str, version: Option<&str>) -> Option<Capability> {
    let versioned = version.and_then(|version| name.strip_suffix(version)?.strip_suffix(".so."));
    let known = LIBRARIES.iter().find(|(known, _)| versioned == Some(*known));
    let other = OTHER_LIBRARIES.iter().find(|(known, _)| name.starts_with(known));
    known.or(other).map(|(_, capability)| *capability)
}

fn binaries(root: &Root) -> impl Iterator<Item = DriverFile> {
    BINARIES.iter().filter_map(|(name, capability)| {
        let places = BINARY_DIRECTORIES.iter().filter_map(|at| root.resolve(&format!("{at}/{name}")));
        let path = places.into_iter().find(|path| root.is_program(path))?;
        let kind = DriverFileKind::Binary;
        Some(DriverFile { path, kind, soname: None, capability: *capability })
    })
}
