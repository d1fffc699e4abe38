//! The driver's user space on a host: what there is, and what should be and is not.

use gpupol_plan::capability::Capability;
use serde::{Deserialize, Serialize};

/// A file of the driver's user space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriverFile {
    /// Absolute path on the host, no symbolic link in its last component.
    pub path: String,
    /// What it is.
    pub kind: DriverFileKind,
    /// Libraries only: the name by which the loader finds it, such as `libcuda.so.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soname: Option<String>,
    /// Symbolic links of the host that lead to it and by which programs find it, ascending, such as
    /// `/usr/lib64/libcuda.so`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// The driver capability that needs it; absent: every use of a GPU may need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<Capability>,
}

/// What a driver file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriverFileKind {
    /// A 64-bit shared library.
    Library,
    /// A 32-bit shared library: its capability needs it in programs of `compat32`.
    Library32,
    /// A program.
    Binary,
    /// What the kernel module loads into the GPU, out of the file system of whoever opens it first.
    Firmware,
    /// The socket of a daemon of the driver.
    Socket,
    /// What libraries read: the entries of drivers for OpenCL, Vulkan and EGL, application profiles, tables.
    Data,
    /// A module of the X server, which it looks for in a directory of its own.
    Module,
}

impl DriverFileKind {
    /// Whether the loader looks for it by a soname.
    #[must_use]
    pub fn is_library(self) -> bool {
        matches!(self, Self::Library | Self::Library32)
    }
}

/// A file that the running driver's branch ships and that is nowhere on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MissingFile {
    /// Its name, of data with the directory that readers look into: `libcuda.so.550.163.01`,
    /// `vulkan/icd.d/nvidia_icd.json`.
    pub name: String,
    /// What it would be.
    pub kind: DriverFileKind,
    /// The driver capability that needs it; absent: every use of a GPU may need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<Capability>,
}
