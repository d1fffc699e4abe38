//! NVIDIA's lists: which file for which driver capabilities, as their container library and their CDI specifications
//! say, and since which branch of the driver there is one.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability::{self, Compat32, Compute, Display, Graphics, Ngx, Utility, Video};

use crate::drivers::Branch;

/// Where a container finds a file (`VERSION` is the driver's), for which capabilities (none: for each), and in which
/// branches.
pub(crate) struct Row {
    path: &'static str,
    capabilities: &'static [Capability],
    branches: [u32; 2],
}

const ALL: [u32; 2] = [0, u32::MAX];
const ALWAYS: &[Capability] = &[];
const FOR_UTILITY: &[Capability] = &[Utility];
const FOR_CUDA: &[Capability] = &[Compute, Video];
const FOR_VIDEO: &[Capability] = &[Video];
const FOR_NGX: &[Capability] = &[Ngx];
const FOR_PICTURES: &[Capability] = &[Graphics, Display];
const FOR_ALL_BUT_UTILITY: &[Capability] = &[Compute, Video, Graphics, Display];

const fn row(path: &'static str, capabilities: &'static [Capability], branches: [u32; 2]) -> Row {
    Row { path, capabilities, branches }
}

const fn since(branch: u32) -> [u32; 2] {
    [branch, u32::MAX]
}

const fn until(branch: u32) -> [u32; 2] {
    [0, branch]
}

const TABLE: [Row; 89] = [
    // Libraries: utility.
    row("{libdir}/libnvidia-ml.so.1", FOR_UTILITY, ALL),
    row("{libdir}/libnvidia-cfg.so.1", FOR_UTILITY, ALL),
    row("{libdir}/libnvidia-sandboxutils.so.1", FOR_UTILITY, since(570)),
    row("{libdir}/libnvidia-nscq.so.2", FOR_UTILITY, ALL),
    // Libraries: compute, which the codecs of video work through.
    row("{libdir}/libcuda.so.1", FOR_CUDA, ALL),
    row("{libdir}/libcuda.so", FOR_CUDA, ALL),
    row("{libdir}/libcudadebugger.so.1", FOR_CUDA, since(525)),
    row("{libdir}/libnvidia-opencl.so.1", FOR_CUDA, ALL),
    row("{libdir}/libnvidia-ptxjitcompiler.so.1", FOR_CUDA, ALL),
    row("{libdir}/libnvidia-compiler.so.VERSION", FOR_CUDA, until(525)),
    row("{libdir}/libnvidia-pkcs11.so.VERSION", FOR_CUDA, since(535)),
    row("{libdir}/libnvidia-pkcs11-openssl3.so.VERSION", FOR_CUDA, since(535)),
    row("{libdir}/libnvidia-nvvm.so.4", FOR_CUDA, ALL),
    row("{libdir}/libnvidia-nvvm70.so.4", FOR_CUDA, since(580)),
    row("{libdir}/libnvidia-tileiras.so.VERSION", FOR_CUDA, since(590)),
    row("{libdir}/libnvcuextend.so.1", FOR_CUDA, since(610)),
    row("{libdir}/libnvidia-fatbinaryloader.so.VERSION", FOR_CUDA, ALL),
    row("{libdir}/libnvidia-gpucomp.so.VERSION", FOR_ALL_BUT_UTILITY, since(545)),
    row("{libdir}/libnvidia-allocator.so.1", FOR_ALL_BUT_UTILITY, ALL),
    // Libraries: video.
    row("{libdir}/libvdpau_nvidia.so.1", FOR_VIDEO, ALL),
    row("{libdir}/vdpau/libvdpau_nvidia.so.1", FOR_VIDEO, ALL),
    row("{libdir}/libnvidia-encode.so.1", FOR_VIDEO, ALL),
    row("{libdir}/libnvidia-encode.so", FOR_VIDEO, ALL),
    row("{libdir}/libnvidia-opticalflow.so.1", FOR_VIDEO, ALL),
    row("{libdir}/libnvidia-opticalflow.so", FOR_VIDEO, ALL),
    row("{libdir}/libnvcuvid.so.1", FOR_VIDEO, ALL),
    row("{libdir}/libnvcuvid.so", FOR_VIDEO, ALL),
    // Libraries: graphics and display.
    row("{libdir}/libnvidia-eglcore.so.VERSION", FOR_PICTURES, ALL),
    row("{libdir}/libnvidia-glcore.so.VERSION", FOR_PICTURES, ALL),
    row("{libdir}/libnvidia-tls.so.VERSION", FOR_PICTURES, ALL),
    row("{libdir}/libnvidia-glsi.so.VERSION", FOR_PICTURES, ALL),
    row("{libdir}/libnvidia-fbc.so.1", FOR_PICTURES, ALL),
    row("{libdir}/libnvidia-ifr.so.1", FOR_PICTURES, until(470)),
    row("{libdir}/libnvidia-rtcore.so.VERSION", FOR_PICTURES, ALL),
    row("{libdir}/libnvoptix.so.1", FOR_PICTURES, ALL),
    row("{libdir}/libGLX_nvidia.so.0", FOR_PICTURES, ALL),
    row("{libdir}/libGLX_indirect.so.0", FOR_PICTURES, ALL),
    row("{libdir}/libEGL_nvidia.so.0", FOR_PICTURES, ALL),
    row("{libdir}/libGLESv2_nvidia.so.2", FOR_PICTURES, ALL),
    row("{libdir}/libGLESv1_CM_nvidia.so.1", FOR_PICTURES, ALL),
    row("{libdir}/libnvidia-glvkspirv.so.VERSION", FOR_PICTURES, ALL),
    row("{libdir}/libnvidia-cbl.so.VERSION", FOR_PICTURES, until(470)),
    row("{libdir}/libnvidia-api.so.1", FOR_PICTURES, since(525)),
    row("{libdir}/libnvidia-egl-gbm.so.1", FOR_PICTURES, since(515)),
    row("{libdir}/gbm/nvidia-drm_gbm.so", FOR_PICTURES, since(515)),
    row("{libdir}/libnvidia-present.so.VERSION", FOR_PICTURES, since(580)),
    row("{libdir}/libnvidia-vksc-core.so.1", FOR_PICTURES, since(560)),
    row("{libdir}/libnvidia-egl-wayland.so.1", FOR_PICTURES, ALL),
    row("{libdir}/libnvidia-egl-wayland2.so.1", FOR_PICTURES, ALL),
    row("{libdir}/libnvidia-egl-xcb.so.1", FOR_PICTURES, ALL),
    row("{libdir}/libnvidia-egl-xlib.so.1", FOR_PICTURES, ALL),
    row("{libdir}/libnvidia-vulkan-producer.so.VERSION", FOR_PICTURES, ALL),
    row("{libdir}/libnvidia-wayland-client.so.VERSION", FOR_PICTURES, ALL),
    row("{xorgdir}/drivers/nvidia_drv.so", FOR_PICTURES, ALL),
    row("{xorgdir}/extensions/libglxserver_nvidia.so", FOR_PICTURES, ALL),
    // Libraries: ngx.
    row("{libdir}/libnvidia-ngx.so.1", FOR_NGX, ALL),
    // Libraries: 32-bit ones.
    row("{libdir32}/libnvidia-ml.so.1", FOR_UTILITY, ALL),
    row("{libdir32}/libcuda.so.1", FOR_CUDA, ALL),
    row("{libdir32}/libcuda.so", FOR_CUDA, ALL),
    row("{libdir32}/libvdpau_nvidia.so.1", FOR_VIDEO, ALL),
    row("{libdir32}/vdpau/libvdpau_nvidia.so.1", FOR_VIDEO, ALL),
    row("{libdir32}/libnvidia-glcore.so.VERSION", FOR_PICTURES, ALL),
    row("{libdir32}/libGLX_nvidia.so.0", FOR_PICTURES, ALL),
    row("{libdir32}/libGLX_indirect.so.0", FOR_PICTURES, ALL),
    // Programs.
    row("/usr/bin/nvidia-smi", FOR_UTILITY, ALL),
    row("/usr/bin/nvidia-debugdump", FOR_UTILITY, ALL),
    row("/usr/bin/nvidia-persistenced", FOR_UTILITY, ALL),
    row("/usr/bin/nv-fabricmanager", FOR_UTILITY, since(610)),
    row("/usr/bin/nvidia-cuda-mps-control", FOR_CUDA, ALL),
    row("/usr/bin/nvidia-cuda-mps-server", FOR_CUDA, ALL),
    row("/usr/bin/nvidia-imex", FOR_CUDA, ALL),
    row("/usr/bin/nvidia-imex-ctl", FOR_CUDA, ALL),
    row("/usr/bin/nvidia-xconfig", FOR_PICTURES, ALL),
    // Firmware.
    row("/lib/firmware/nvidia/VERSION/gsp.bin", ALWAYS, until(470)),
    row("/lib/firmware/nvidia/VERSION/gsp_tu10x.bin", ALWAYS, since(515)),
    row("/lib/firmware/nvidia/VERSION/gsp_ga10x.bin", ALWAYS, since(515)),
    // Sockets.
    row("/var/run/nvidia-persistenced/socket", FOR_UTILITY, ALL),
    row("/var/run/nvidia-fabricmanager/socket", FOR_UTILITY, since(610)),
    // Data.
    row("/etc/OpenCL/vendors/nvidia.icd", FOR_CUDA, ALL),
    row("/etc/vulkan/icd.d/nvidia_icd.x86_64.json", FOR_PICTURES, ALL),
    row("/etc/vulkan/implicit_layer.d/nvidia_layers.json", FOR_PICTURES, since(535)),
    row("/usr/share/glvnd/egl_vendor.d/10_nvidia.json", FOR_PICTURES, ALL),
    row("/usr/share/egl/egl_external_platform.d/15_nvidia_gbm.json", FOR_PICTURES, since(515)),
    row("/usr/share/egl/egl_external_platform.d/10_nvidia_wayland.json", FOR_PICTURES, ALL),
    row("/usr/share/vulkansc/icd.d/nvidia_icd.json", FOR_PICTURES, since(560)),
    row("/usr/share/X11/xorg.conf.d/10-nvidia.conf", FOR_PICTURES, ALL),
    row("/usr/share/X11/xorg.conf.d/nvidia-drm-outputclass.conf", FOR_PICTURES, ALL),
    row("/usr/share/nvidia/nvoptix.bin", FOR_PICTURES, since(550)),
    row("/usr/share/nvidia/nvidia-application-profiles-VERSION-rc", FOR_PICTURES, ALL),
];

/// The rows of a branch.
pub(crate) fn rows((branch, _): Branch) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| (row.branches[0]..=row.branches[1]).contains(&branch))
}

/// The path of every row.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.path)
}

/// Where a container with these capabilities finds the files of a branch.
pub(crate) fn paths(branch: Branch, in_force: &[Capability]) -> BTreeSet<String> {
    let given = |row: &&Row| {
        let is_one = row.capabilities.is_empty() || row.capabilities.iter().any(|one| in_force.contains(one));
        is_one && (!row.path.starts_with("{libdir32}") || in_force.contains(&Compat32))
    };
    rows(branch).filter(given).map(|row| row.path.replace("VERSION", branch.1)).collect()
}

/// The whole table as the documentation shows it.
pub(crate) fn shown() -> String {
    let branches = |[first, last]: [u32; 2]| match (first, last) {
        (0, u32::MAX) => "all".to_owned(),
        (0, last) => format!("to R{last}"),
        (first, _) => format!("R{first}"),
    };
    let words = |capabilities: &[Capability]| {
        let words: Vec<&str> = capabilities.iter().map(|capability| capability.name()).collect();
        if words.is_empty() { "each".to_owned() } else { words.join(", ") }
    };
    let line = |row: &Row| {
        let beside = if row.path.starts_with("{libdir32}") { " (and compat32)" } else { "" };
        format!("| `{}` | {}{beside} | {} |\n", row.path, words(row.capabilities), branches(row.branches))
    };
    TABLE.iter().map(line).collect()
}
