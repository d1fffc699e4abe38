//! Driver capabilities, NVIDIA's words for parts of its user-space driver.

use serde::{Deserialize, Serialize};

/// One driver capability, in the spelling of `NVIDIA_DRIVER_CAPABILITIES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// CUDA and OpenCL.
    Compute,
    /// 32-bit libraries of the other capabilities.
    Compat32,
    /// OpenGL and Vulkan.
    Graphics,
    /// `nvidia-smi` and NVML.
    Utility,
    /// The video codec SDK.
    Video,
    /// X11 display.
    Display,
    /// NGX.
    Ngx,
}

impl Capability {
    /// Every capability, in the order of their names' declaration.
    pub const ALL: [Self; 7] =
        [Self::Compute, Self::Compat32, Self::Graphics, Self::Utility, Self::Video, Self::Display, Self::Ngx];

    /// What a container gets that names no capability (NVIDIA's own default).
    pub const DEFAULT: [Self; 2] = [Self::Compute, Self::Utility];

    /// The word for it in policies, plans and `NVIDIA_DRIVER_CAPABILITIES`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Compat32 => "compat32",
            Self::Graphics => "graphics",
            Self::Utility => "utility",
            Self::Video => "video",
            Self::Display => "display",
            Self::Ngx => "ngx",
        }
    }

    /// The capability of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.name() == name)
    }
}
