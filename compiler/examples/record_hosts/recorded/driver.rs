//! The driver that every recorded host is said to run: a real release, its files as its installer puts them on Debian.

use gpupol::topology::{DriverFile, DriverFileKind};
use gpupol_plan::capability::Capability::{self, Compute, Graphics, Ngx, Utility, Video};

/// The driver's version.
pub(crate) const VERSION: &str = "550.163.01";

/// The CUDA version of that branch.
pub(crate) const CUDA: &str = "12.4";

/// Libraries: name, the number after `.so.` in the soname (none: the file's own name), capability.
const LIBRARIES: [(&str, Option<u32>, Capability); 30] = [
    ("libEGL_nvidia", Some(0), Graphics),
    ("libGLESv1_CM_nvidia", Some(1), Graphics),
    ("libGLESv2_nvidia", Some(2), Graphics),
    ("libGLX_nvidia", Some(0), Graphics),
    ("libcuda", Some(1), Compute),
    ("libcudadebugger", Some(1), Compute),
    ("libnvcuvid", Some(1), Video),
    ("libnvidia-allocator", Some(1), Compute),
    ("libnvidia-api", None, Graphics),
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

/// Data, below `/usr/share` but for the first.
const DATA: [(&str, Capability); 7] = [
    ("/etc/OpenCL/vendors/nvidia.icd", Compute),
    ("egl/egl_external_platform.d/15_nvidia_gbm.json", Graphics),
    ("glvnd/egl_vendor.d/10_nvidia.json", Graphics),
    ("nvidia/nvidia-application-profiles-550.163.01-key-documentation", Graphics),
    ("nvidia/nvidia-application-profiles-550.163.01-rc", Graphics),
    ("nvidia/nvoptix.bin", Graphics),
    ("vulkan/implicit_layer.d/nvidia_layers.json", Graphics),
];

/// The driver's files on a machine such as `x86_64`, sorted by path.
pub(crate) fn files(machine: &str) -> Vec<DriverFile> {
    let libraries = format!("/usr/lib/{machine}-linux-gnu");
    let libraries = LIBRARIES.map(|(name, number, capability)| library(&libraries, name, number, capability));
    let binaries = BINARIES.iter().map(|(name, capability)| {
        file(format!("/usr/bin/{name}"), DriverFileKind::Binary, Some(*capability))
    });
    let data = DATA.iter().map(|(name, capability)| {
        let path = if name.starts_with('/') { (*name).to_owned() } else { format!("/usr/share/{name}") };
        file(path, DriverFileKind::Data, Some(*capability))
    });
    let vulkan = format!("/usr/share/vulkan/icd.d/nvidia_icd.{machine}.json");
    let vulkan = file(vulkan, DriverFileKind::Data, Some(Graphics));
    let firmware = ["gsp_ga10x.bin", "gsp_tu10x.bin"].map(|name| {
        file(format!("/usr/lib/firmware/nvidia/{VERSION}/{name}"), DriverFileKind::Firmware, None)
    });
    let socket = "/run/nvidia-persistenced/socket".to_owned();
    let socket = file(socket, DriverFileKind::Socket, Some(Utility));
    let mut files = libraries.to_vec();
    files.extend(binaries.chain(data).chain([vulkan, socket]).chain(firmware).chain(modules()));
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// What the X server looks for in its own directory.
fn modules() -> [DriverFile; 2] {
    let directory = "/usr/lib/xorg/modules";
    let glx = format!("{directory}/extensions/libglxserver_nvidia.so");
    let driver = format!("{directory}/drivers/nvidia_drv.so");
    let versioned = file(format!("{glx}.{VERSION}"), DriverFileKind::Module, Some(Graphics));
    [file(driver, DriverFileKind::Module, Some(Graphics)), DriverFile { links: vec![glx], ..versioned }]
}

/// Libraries for which the driver has a link to develop with.
const DEVELOPMENT: [&str; 3] = ["libcuda", "libnvcuvid", "libnvidia-encode"];

fn library(libraries: &str, name: &str, number: Option<u32>, capability: Capability) -> DriverFile {
    // The exceptions to `NAME.so.VERSION` in one directory: VDPAU's own place, and libraries with a version of their own.
    let directory =
        if name == "libvdpau_nvidia" { format!("{libraries}/vdpau") } else { libraries.to_owned() };
    let version = match name {
        "libnvidia-api" => "1",
        "libnvidia-egl-gbm" => "1.1.1",
        _ => VERSION,
    };
    let own = format!("{name}.so.{version}");
    let soname = number.map_or_else(|| own.clone(), |number| format!("{name}.so.{number}"));
    let development = DEVELOPMENT.contains(&name).then(|| format!("{directory}/{name}.so"));
    let loaded = number.map(|_| format!("{directory}/{soname}"));
    let gbm = (name == "libnvidia-allocator").then(|| format!("{libraries}/gbm/nvidia-drm_gbm.so"));
    let mut links: Vec<String> = [development, loaded, gbm].into_iter().flatten().collect();
    links.sort();
    let path = format!("{directory}/{own}");
    DriverFile { soname: Some(soname), links, ..file(path, DriverFileKind::Library, Some(capability)) }
}

fn file(path: String, kind: DriverFileKind, capability: Option<Capability>) -> DriverFile {
    DriverFile { path, kind, soname: None, links: Vec::new(), capability }
}
