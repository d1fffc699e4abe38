//! `gpus` lines: which devices, how many, where, and how they are shared.

use std::fmt;

use crate::source::{Span, Spanned};

/// A `gpus` line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The gpu-set.
    pub gpu_set: Spanned<String>,
    /// The whole line.
    pub span: Span,
    /// `at-most=`, 1 when absent.
    pub at_most: Amount,
    /// `default=`, 1 when absent; never above `at_most`.
    pub default: Amount,
    /// `place=`
    pub place: Place,
    /// Its own `sharing`, or the grant's, or exclusive.
    pub sharing: Spanned<Sharing>,
}

/// How many devices of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Amount {
    /// So many.
    Count(u32),
    /// `all`: every device that the line has on the host.
    All,
}

impl Amount {
    /// How many that is where the line has so many devices; at least one if it is all, for a line without a device
    /// gives none by having none.
    #[must_use]
    pub fn of(self, devices: usize) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::All => u32::try_from(devices).unwrap_or(u32::MAX).max(1),
        }
    }

    /// Whether it is more than another, wherever that is.
    #[must_use]
    pub fn exceeds(self, other: Self) -> bool {
        match (self, other) {
            (Self::Count(one), Self::Count(other)) => one > other,
            (Self::All, Self::Count(_)) => true,
            (_, Self::All) => false,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(out, "{count}"),
            Self::All => out.write_str("all"),
        }
    }
}

/// `place=`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Nothing said.
    #[default]
    Any,
    /// Condition: each pair joined by NVLink.
    Nvlink,
    /// Condition: all on one NUMA node.
    SameNuma,
    /// Preference: near each other, busy devices first.
    Packed,
    /// Preference: far from each other, idle devices first.
    Spread,
}

/// How a device is shared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharing {
    /// One container a device.
    Exclusive {
        /// How much of the device's memory a container may use, bytes.
        memory: Option<u64>,
    },
    /// Several, one after the other.
    TimeSlicing {
        /// At most so many, at least 1.
        replicas: u32,
        /// The wished length of a slice.
        timeslice: Option<Timeslice>,
        /// How much of the device's memory all containers together may use, bytes.
        memory: Option<u64>,
    },
    /// Several at a time through one MPS daemon.
    Mps {
        /// At most so many, at least 1.
        clients: u32,
        /// Share of the GPU's threads for each process, per cent, 1 to 100.
        threads: Option<u32>,
        /// How much of the device's memory each process may use, bytes.
        memory: Option<u64>,
    },
}

impl Sharing {
    /// What is said when nothing is.
    pub const ABSENT: Self = Self::Exclusive { memory: None };

    /// Whether it is one container a device.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        matches!(self, Self::Exclusive { .. })
    }

    /// Whether it is through an MPS daemon.
    #[must_use]
    pub fn is_mps(&self) -> bool {
        matches!(self, Self::Mps { .. })
    }

    /// How many containers have one device at a time.
    #[must_use]
    pub fn containers(&self) -> u32 {
        match self {
            Self::Exclusive { .. } => 1,
            Self::TimeSlicing { replicas, .. } => *replicas,
            Self::Mps { clients, .. } => *clients,
        }
    }

    /// `memory=`, bytes.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        match self {
            Self::Exclusive { memory } | Self::TimeSlicing { memory, .. } | Self::Mps { memory, .. } => {
                *memory
            }
        }
    }
}

/// `timeslice=`, the words of `nvidia-smi compute-policy --set-timeslice`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timeslice {
    /// `default`
    Default,
    /// `short`
    Short,
    /// `medium`
    Medium,
    /// `long`
    Long,
}
