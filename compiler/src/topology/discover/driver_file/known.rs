//! What NVIDIA's driver ships, branch by branch, and which driver capability needs it, as NVIDIA's container stack says.

use std::ops::RangeInclusive;

use gpupol_plan::capability::Capability::{self, Compute, Graphics, Ngx, Utility, Video};

/// The branches of which is known here what they ship, for x86_64.
pub(super) const BRANCHES: RangeInclusive<u32> = 470..=610;

/// The branch among them that only systems on a chip have, with a user space of its own.
pub(super) const CHIP_BRANCH: u32 = 540;

/// A library or program that the driver ships.
pub(super) struct Known {
    /// Its name, a library's without `.so.` and what follows.
    pub(super) name: &'static str,
    pub(super) capability: Capability,
    /// The first and the last branch that always has it.
    pub(super) shipped: [u32; 2],
}

/// For a file that comes in a package of its own, or of which nobody says which branches have it.
const PERHAPS: [u32; 2] = [1, 0];
const STILL: u32 = u32::MAX;
const ALL: [u32; 2] = [0, STILL];

const fn known(name: &'static str, capability: Capability, shipped: [u32; 2]) -> Known {
    Known { name, capability, shipped }
}

impl Known {
    /// Whether it says nothing of a file to know its branch.
    pub(super) fn may_be_anywhere(&self) -> bool {
        self.shipped == PERHAPS
    }

    /// Whether each driver of the branch has it.
    pub(super) fn is_shipped(&self, branch: u32) -> bool {
        let [first, last] = self.shipped;
        (first..=last).contains(&branch)
    }
}

/// The branch of a driver: 550 of `550.163.01`.
pub(super) fn branch(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// Libraries called `NAME.so.` and the driver's version.
pub(super) const LIBRARIES: [Known; 40] = [
    known("libEGL_nvidia", Graphics, ALL),
    known("libGLESv1_CM_nvidia", Graphics, ALL),
    known("libGLESv2_nvidia", Graphics, ALL),
    known("libGLX_nvidia", Graphics, ALL),
    known("libcuda", Compute, ALL),
    known("libcudadebugger", Compute, [525, STILL]),
    known("libnvcuextend", Compute, [610, STILL]),
    known("libnvcuvid", Video, ALL),
    known("libnvidia-allocator", Compute, ALL),
    known("libnvidia-cbl", Graphics, [470, 470]),
    known("libnvidia-cfg", Utility, ALL),
    known("libnvidia-compiler", Compute, [470, 525]),
    known("libnvidia-eglcore", Graphics, ALL),
    known("libnvidia-encode", Video, ALL),
    known("libnvidia-fatbinaryloader", Compute, PERHAPS),
    known("libnvidia-fbc", Graphics, ALL),
    known("libnvidia-glcore", Graphics, ALL),
    known("libnvidia-glsi", Graphics, ALL),
    known("libnvidia-glvkspirv", Graphics, ALL),
    known("libnvidia-gpucomp", Compute, [545, STILL]),
    known("libnvidia-ifr", Graphics, [470, 470]),
    known("libnvidia-ml", Utility, ALL),
    known("libnvidia-ngx", Ngx, ALL),
    known("libnvidia-nscq", Utility, PERHAPS),
    known("libnvidia-nvvm", Compute, [515, STILL]),
    known("libnvidia-opencl", Compute, ALL),
    known("libnvidia-opticalflow", Video, ALL),
    known("libnvidia-pkcs11", Compute, [535, STILL]),
    known("libnvidia-pkcs11-openssl3", Compute, [535, STILL]),
    known("libnvidia-present", Graphics, [580, STILL]),
    known("libnvidia-ptxjitcompiler", Compute, ALL),
    known("libnvidia-rtcore", Graphics, ALL),
    known("libnvidia-sandboxutils", Utility, [570, STILL]),
    known("libnvidia-tileiras", Compute, [590, STILL]),
    known("libnvidia-tls", Graphics, ALL),
    known("libnvidia-vksc-core", Graphics, [560, STILL]),
    known("libnvidia-vulkan-producer", Graphics, PERHAPS),
    known("libnvidia-wayland-client", Graphics, PERHAPS),
    known("libnvoptix", Graphics, ALL),
    known("libvdpau_nvidia", Video, ALL),
];

/// Libraries with a version of their own, by what their file's name begins with.
pub(super) const OTHER_LIBRARIES: [Known; 8] = [
    known("libnvidia-api.so.1", Graphics, [525, STILL]),
    known("libnvidia-egl-gbm.so.", Graphics, PERHAPS),
    known("libnvidia-egl-wayland.so.", Graphics, PERHAPS),
    known("libnvidia-egl-wayland2.so.", Graphics, PERHAPS),
    known("libnvidia-egl-xcb.so.", Graphics, PERHAPS),
    known("libnvidia-egl-xlib.so.", Graphics, PERHAPS),
    known("libnvidia-nvvm.so.4.0.0", Compute, [470, 470]),
    known("libnvidia-nvvm70.so.4", Compute, [580, STILL]),
];

/// Links under which programs look for a library that is called otherwise: before `.so`.
pub(super) const OTHER_LINKS: [&str; 2] = ["libGLX_indirect", "nvidia-drm_gbm"];

/// Modules of the X server; the first has no version in its name.
pub(super) const MODULES: [(&str, bool); 2] = [("nvidia_drv.so", false), ("libglxserver_nvidia.so", true)];

pub(super) const BINARIES: [Known; 9] = [
    known("nv-fabricmanager", Utility, PERHAPS),
    known("nvidia-cuda-mps-control", Compute, ALL),
    known("nvidia-cuda-mps-server", Compute, ALL),
    known("nvidia-debugdump", Utility, ALL),
    known("nvidia-imex", Compute, PERHAPS),
    known("nvidia-imex-ctl", Compute, PERHAPS),
    known("nvidia-persistenced", Utility, PERHAPS),
    known("nvidia-smi", Utility, ALL),
    known("nvidia-xconfig", Graphics, PERHAPS),
];

/// Data: what one kind of reader looks for in one directory.
pub(super) struct Data {
    /// The directory, below those of shared data and of settings.
    pub(super) directory: &'static str,
    /// The pattern of the names of its files; `VERSION` is the running driver's.
    pub(super) names: &'static str,
    pub(super) capability: Capability,
    /// The first branch that always has one, and what it is called there; absent: none always does.
    pub(super) shipped: Option<(u32, &'static str)>,
}

const fn data(
    directory: &'static str,
    names: &'static str,
    capability: Capability,
    shipped: Option<(u32, &'static str)>,
) -> Data {
    Data { directory, names, capability, shipped }
}

pub(super) const DATA: [Data; 10] = [
    data("OpenCL/vendors", "nvidia*.icd", Compute, Some((470, "nvidia.icd"))),
    data("egl/egl_external_platform.d", "*nvidia*.json", Graphics, None),
    data("glvnd/egl_vendor.d", "*nvidia*.json", Graphics, Some((470, "10_nvidia.json"))),
    data("nvidia", "nvidia-application-profiles-VERSION-*", Graphics, Some((470, PROFILES))),
    data("nvidia", "nvoptix.bin", Graphics, Some((550, "nvoptix.bin"))),
    data("vulkan/icd.d", "nvidia*.json", Graphics, Some((470, "nvidia_icd.json"))),
    data("vulkan/implicit_layer.d", "nvidia*.json", Graphics, Some((535, "nvidia_layers.json"))),
    data("vulkansc/icd.d", "nvidia*.json", Graphics, Some((560, "nvidia_icd.json"))),
    data("X11/xorg.conf.d", "10-nvidia.conf", Graphics, None),
    data("X11/xorg.conf.d", "nvidia-drm-outputclass.conf", Graphics, None),
];

/// The rules of an application profile are what the driver's libraries read.
const PROFILES: &str = "nvidia-application-profiles-VERSION-rc";
