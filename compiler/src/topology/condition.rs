//! In what condition GPUs are: how they are set, what is wrong with them, and which of them are out of service.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Fact, Vendor};

/// Who may compute on a GPU at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComputeMode {
    /// Any number of processes.
    Default,
    /// One thread of one process; drivers of today lack it.
    ExclusiveThread,
    /// Nobody.
    Prohibited,
    /// One process, which may be a daemon of MPS.
    ExclusiveProcess,
}

impl ComputeMode {
    /// The word for it in documents and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::ExclusiveThread => "exclusive-thread",
            Self::Prohibited => "prohibited",
            Self::ExclusiveProcess => "exclusive-process",
        }
    }
}

/// What is wrong with a GPU.
pub type Faults = BTreeSet<Fault>;

/// One thing that is wrong with a GPU which still works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Memory rows are remapped at its next reset.
    RowRemapPending,
    /// A memory row could not be remapped: the board should be replaced.
    RowRemapFailed,
    /// Memory pages are retired when the driver is loaded again.
    PageRetirementPending,
    /// A memory page could not be retired.
    PageRetirementFailed,
    /// A memory channel is repaired at its next reset.
    ChannelRepairPending,
    /// A cluster of its processors is repaired at its next reset.
    TpcRepairPending,
}

impl Fault {
    /// The word for it in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RowRemapPending => "row-remap-pending",
            Self::RowRemapFailed => "row-remap-failed",
            Self::PageRetirementPending => "page-retirement-pending",
            Self::PageRetirementFailed => "page-retirement-failed",
            Self::ChannelRepairPending => "channel-repair-pending",
            Self::TpcRepairPending => "tpc-repair-pending",
        }
    }
}

/// How far a GPU has come in joining the fabric of its NVSwitches: until it has, nothing can compute on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FabricState {
    /// It waits for the fabric manager.
    NotStarted,
    /// It is joining.
    InProgress,
    /// It has joined.
    Completed,
}

/// Whether two GPUs can read and write each other's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum P2p {
    /// They can.
    Ok,
    /// The chipset cannot.
    ChipsetNotSupported,
    /// One of the GPUs cannot.
    GpuNotSupported,
    /// What lies between them cannot.
    TopologyNotSupported,
    /// The driver was told not to.
    DisabledByRegkey,
    /// They cannot, and the driver does not say why.
    NotSupported,
}

/// A GPU that the host has and that nobody can use. What is known of it comes from whoever still tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutOfService {
    /// Index, as of a [`Gpu`](super::Gpu).
    pub index: Fact<u32>,
    /// Vendor.
    pub vendor: Vendor,
    /// `GPU-…`.
    pub uuid: Fact<String>,
    /// PCI address.
    pub pci: Fact<String>,
    /// Minor number that its device node has or had.
    pub minor: Fact<u32>,
    /// Its name.
    pub model: Fact<String>,
    /// What has become of it.
    pub state: Outage,
    /// Who says so, in words.
    pub reason: String,
}

/// Why a GPU is out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outage {
    /// It has fallen off the bus.
    Lost,
    /// It does not answer in time.
    Unresponsive,
    /// NVML counts it and cannot say which one it is.
    Unreadable,
    /// The driver was told to leave it out.
    Excluded,
    /// The kernel module lists it, and NVML does not count it.
    Uncounted,
}

impl Outage {
    /// The word for it in documents and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Unresponsive => "unresponsive",
            Self::Unreadable => "unreadable",
            Self::Excluded => "excluded",
            Self::Uncounted => "uncounted",
        }
    }
}

/// What it is called: by its UUID, else by whatever else is known.
impl fmt::Display for OutOfService {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.uuid, &self.pci, &self.index) {
            (Fact::Known(uuid), _, _) => write!(out, "GPU `{uuid}`"),
            (_, Fact::Known(pci), _) => write!(out, "GPU at `{pci}`"),
            (_, _, Fact::Known(index)) => write!(out, "GPU of index {index}"),
            _ => out.write_str("a GPU without a name"),
        }
    }
}
