//! The topology: what one host has, as a recorded document.
//!
//! What could not be learnt is *unknown* and says why; what the host does not have is *absent*: both have their own
//! form ([`Fact`]). Index, minor and UUID are facts of their own, never derived from one another.

use std::collections::BTreeMap;

use gpupol_plan::feature::Feature;
use serde::{Deserialize, Serialize};

pub mod builtin;
mod condition;
pub mod discover;
pub mod drift;
mod driver_file;
mod fact;
pub mod mig;
pub mod read;

pub use condition::{ComputeMode, FabricState, Fault, Faults, OutOfService, Outage, P2p};
pub use driver_file::{DriverFile, DriverFileKind, MissingFile};
pub use fact::Fact;

/// The version of [`Topology`] that this crate reads and writes.
pub const TOPOLOGY_VERSION: u32 = 1;

/// One host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Topology {
    /// Always [`TOPOLOGY_VERSION`].
    pub topology_version: u32,
    /// Host name.
    pub host: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: Fact<String>,
    /// The driver.
    pub driver: Driver,
    /// Version of the cgroup hierarchy that holds device rules: 1 or 2.
    pub cgroup: Fact<u8>,
    /// Character majors by their name in `/proc/devices`, only those of GPU drivers.
    pub majors: BTreeMap<String, u32>,
    /// Nodes that GPUs share, such as `/dev/nvidiactl`.
    pub nodes: Vec<DeviceNode>,
    /// GPUs in the order of their index.
    pub gpus: Vec<Gpu>,
    /// GPUs that nobody can use, by index, PCI address and UUID as far as these are known.
    pub out_of_service: Vec<OutOfService>,
    /// One for each unordered pair of GPUs whose relation is known, ascending.
    pub links: Vec<Link>,
    /// The driver's user-space files, sorted by path.
    pub driver_files: Vec<DriverFile>,
    /// What the running driver ships and the host lacks, sorted by name.
    pub missing_driver_files: Fact<Vec<MissingFile>>,
    /// What the host has for each feature, IMEX as a whole; of a feature that is not here nothing is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub features: BTreeMap<Feature, Fact<Vec<DeviceNode>>>,
    /// Files and directories of the host that a feature needs beside its nodes, sorted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub feature_files: BTreeMap<Feature, Vec<FeatureFile>>,
}

/// The driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Driver {
    /// Its version, such as `550.163.01`.
    pub version: Fact<String>,
    /// The newest CUDA version that it serves, such as `12.4`.
    pub cuda: Fact<String>,
}

impl Gpu {
    /// The profiles of its GPU instances, by their ids. A MIG device's own profile may be a part of its instance:
    /// `1c.3g.40gb` is one compute slice of a `3g.40gb`.
    #[must_use]
    pub fn instances(&self) -> BTreeMap<u32, &str> {
        self.mig_devices.iter().map(|device| (device.gi, instance_profile(&device.profile))).collect()
    }
}

/// The GPU instance's profile of a MIG device's: `3g.40gb` of `1c.3g.40gb`.
#[must_use]
pub fn instance_profile(profile: &str) -> &str {
    match profile.split_once('.') {
        Some((first, rest)) if first.ends_with('c') => rest,
        _ => profile,
    }
}

/// Whose GPU it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// NVIDIA.
    Nvidia,
    /// AMD.
    Amd,
    /// Intel.
    Intel,
}

impl Vendor {
    /// The word for it in documents and policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nvidia => "nvidia",
            Self::Amd => "amd",
            Self::Intel => "intel",
        }
    }
}

/// One GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gpu {
    /// NVML index.
    pub index: u32,
    /// `GPU-…`.
    pub uuid: String,
    /// Minor number of its device node.
    pub minor: Fact<u32>,
    /// PCI address, `0000:07:00.0`: domain of at least four digits, lower case; absent: it is on no PCI bus, as the GPU
    /// of a system on a chip.
    pub pci: Fact<String>,
    /// Vendor.
    pub vendor: Vendor,
    /// The name that NVML gives, such as `NVIDIA H100 80GB HBM3`.
    pub model: String,
    /// Brand, in the words of `NVIDIA_REQUIRE_CUDA`, such as `geforcertx`; documents older than it do not say.
    #[serde(default = "not_recorded")]
    pub brand: Fact<String>,
    /// Architecture, such as `Hopper`.
    pub architecture: Fact<String>,
    /// CUDA compute capability, such as `9.0`.
    pub compute_capability: Fact<String>,
    /// Total memory in bytes.
    pub memory: Fact<u64>,
    /// NUMA nodes near it.
    pub numa: Fact<Vec<u32>>,
    /// The NUMA node that its own memory is; absent: its memory is none.
    pub memory_node: Fact<u32>,
    /// CPUs near it, as a list such as `0-47,96-143`.
    pub cpus: Fact<String>,
    /// Who may compute on it at a time.
    pub compute_mode: Fact<ComputeMode>,
    /// Whether its memory corrects errors; absent: it cannot.
    pub ecc: Fact<bool>,
    /// Whether the driver keeps it awake while nobody uses it; absent: there is no such choice.
    pub persistence: Fact<bool>,
    /// What is wrong with it, nothing if it is healthy; absent: it cannot tell.
    pub faults: Fact<Faults>,
    /// How far it has joined the fabric of its NVSwitches; absent: it is on none.
    pub fabric: Fact<FabricState>,
    /// The NVLink domain that it has joined, `CLUSTER-UUID.CLIQUE`: GPUs of one clique reach each other, on other hosts too.
    /// Absent: it is in none that has a name.
    pub clique: Fact<String>,
    /// Whether MIG mode is on; absent: it has no MIG.
    pub mig: Fact<bool>,
    /// Its MIG devices.
    pub mig_devices: Vec<MigDevice>,
    /// Its own nodes, such as `/dev/nvidia0`.
    pub nodes: Vec<DeviceNode>,
}

fn not_recorded() -> Fact<String> {
    Fact::unknown("the document does not say")
}

/// One MIG device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MigDevice {
    /// MIG index within its GPU.
    pub index: u32,
    /// `MIG-…`.
    pub uuid: String,
    /// Profile, such as `1g.10gb`.
    pub profile: String,
    /// GPU instance id, as read.
    pub gi: u32,
    /// Compute instance id, as read.
    pub ci: u32,
    /// Memory in bytes.
    pub memory: Fact<u64>,
    /// The nvcap nodes of its instances.
    pub nodes: Vec<DeviceNode>,
}

/// A character device node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceNode {
    /// Where containers expect it, such as `/dev/nvidia0`.
    pub path: String,
    /// Where the host has it, if elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_path: Option<String>,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits, such as 438 (0666).
    pub mode: u32,
    /// The group that owns it; 0 is root's, and stands where the host has not made the node yet.
    #[serde(default, skip_serializing_if = "is_root")]
    pub gid: u32,
}

fn is_root(gid: &u32) -> bool {
    *gid == 0
}

/// How two GPUs are joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    /// Indices of the two GPUs, ascending.
    pub gpus: [u32; 2],
    /// NVLink links between them, through switches too; 0: none.
    pub nvlinks: Fact<u32>,
    /// Whether each can read and write the other's memory.
    pub p2p: Fact<P2p>,
    /// The nearest common ancestor in the PCI tree.
    pub level: Fact<Level>,
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

/// The minor of `/dev/nvidia-nvswitchctl`; those of the switches are their numbers.
const NVSWITCH_CONTROL: u32 = 255;

/// What GPUDirect Storage reads beside its nodes, ascending.
const GDS_FILES: [&str; 2] = ["/etc/cufile.json", "/run/udev"];

/// A file or directory that a feature needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FeatureFile {
    /// Where containers expect it, such as `/etc/cufile.json`.
    pub path: String,
    /// Where the host has it, if elsewhere; no symbolic link in its last component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_path: Option<String>,
}
