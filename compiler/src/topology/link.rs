//! How the GPUs of a host are joined.

use serde::{Deserialize, Serialize};

use super::{Fact, P2p};

/// How two GPUs are joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    /// Indices of the two GPUs, ascending.
    pub gpus: [u32; 2],
    /// NVLink links between them, through switches too; 0: none.
    pub nvlinks: Fact<u32>,
    /// XGMI links between them; a pair of one hive has at least one.
    #[serde(default, skip_serializing_if = "is_none")]
    pub xgmi: u32,
    /// Whether each can read and write the other's memory.
    pub p2p: Fact<P2p>,
    /// The nearest common ancestor in the PCI tree.
    pub level: Fact<Level>,
}

fn is_none(count: &u32) -> bool {
    *count == 0
}

impl Link {
    /// Links of their own that are known to join the two, whatever their vendor calls them: without going through the processor.
    #[must_use]
    pub fn direct(&self) -> u32 {
        self.nvlinks.known().map_or(self.xgmi, |links| links.saturating_add(self.xgmi))
    }
}

/// NVML's topology levels, nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// On one board.
    Internal,
    /// One PCIe switch (`PIX`).
    Single,
    /// Several PCIe switches (`PXB`).
    Multiple,
    /// One host bridge (`PHB`).
    Hostbridge,
    /// One NUMA node (`NODE`).
    Node,
    /// Across the system (`SYS`).
    System,
}
