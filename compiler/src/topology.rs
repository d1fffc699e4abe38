//! The topology: what one host has, as a recorded document.
//!
//! What could not be learnt is *unknown* and says why; what the host does not have is *absent*: both have their own
//! form ([`Fact`]). Index, minor and UUID are facts of their own, never derived from one another.

use std::collections::BTreeMap;

use gpupol_plan::feature::Feature;
pub use gpupol_plan::vendor::Vendor;
use serde::{Deserialize, Serialize};

pub mod builtin;
mod condition;
mod cuda_compat;
pub mod discover;
pub mod drift;
mod driver_file;
mod fact;
mod link;
pub mod mig;
pub mod numa;
pub mod read;

pub use condition::{ComputeMode, FabricState, Fault, Faults, OutOfService, Outage, P2p};
pub use cuda_compat::CudaCompat;
pub use driver_file::{DriverFile, DriverFileKind, MissingFile};
pub use fact::Fact;
pub use link::{Level, Link};
pub use numa::NumaNode;

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
    /// The driver of each vendor that has one here.
    pub drivers: BTreeMap<Vendor, Driver>,
    /// Version of the cgroup hierarchy that holds device rules: 1 or 2.
    pub cgroup: Fact<u8>,
    /// Its NUMA nodes, ascending; absent: its kernel knows of none.
    pub numa_nodes: Fact<Vec<NumaNode>>,
    /// Character majors by their name in `/proc/devices`, only those of GPU drivers.
    pub majors: BTreeMap<String, u32>,
    /// Nodes that all GPUs of a vendor share, such as `/dev/nvidiactl` and `/dev/kfd`.
    pub nodes: BTreeMap<Vendor, Vec<DeviceNode>>,
    /// GPUs in the order of their index.
    pub gpus: Vec<Gpu>,
    /// GPUs that nobody can use, by index, PCI address and UUID as far as these are known.
    pub out_of_service: Vec<OutOfService>,
    /// One for each unordered pair of GPUs whose relation is known, ascending.
    pub links: Vec<Link>,
    /// The user-space files of NVIDIA's driver, sorted by path.
    pub driver_files: Vec<DriverFile>,
    /// What NVIDIA's running driver ships and the host lacks, sorted by name; absent: it has no such driver.
    pub missing_driver_files: Fact<Vec<MissingFile>>,
    /// CUDA's libraries of a newer driver, if discovery was told of some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuda_compat: Option<CudaCompat>,
    /// What the host has for each feature, IMEX as a whole; of a feature that is not here nothing is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub features: BTreeMap<Feature, Fact<Vec<DeviceNode>>>,
    /// Files and directories of the host that a feature needs beside its nodes, sorted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub feature_files: BTreeMap<Feature, Vec<FeatureFile>>,
}

/// A vendor's driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Driver {
    /// Its version, such as `550.163.01`; absent: it is a part of the kernel, without a version of its own.
    pub version: Fact<String>,
    /// The newest CUDA version that it serves, such as `12.4`; absent: it serves none.
    pub cuda: Fact<String>,
}

impl Topology {
    /// The driver of a vendor.
    #[must_use]
    pub fn driver(&self, vendor: Vendor) -> &Driver {
        static NONE: Driver = Driver { version: Fact::Absent, cuda: Fact::Absent };
        self.drivers.get(&vendor).unwrap_or(&NONE)
    }
}

impl Gpu {
    /// Which of several parts of its board it is; absent: it is the whole board, which its PCI address names.
    #[must_use]
    pub fn partition_number(&self) -> Option<u32> {
        self.partition.as_ref()?.number.known().copied()
    }

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

/// One GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gpu {
    /// NVIDIA's have the index that NVML gives; AMD's follow, in the order of their KFD nodes.
    pub index: u32,
    /// `GPU-…`: NVIDIA's as NVML gives it, AMD's as [`gpupol_plan::kfd`] makes it.
    pub uuid: String,
    /// Minor number of its device node: of `/dev/nvidia3`, of `/dev/dri/renderD128`.
    pub minor: Fact<u32>,
    /// PCI address, `0000:07:00.0`: domain of at least four digits, lower case; partitions of a board share it; absent: it
    /// is on no PCI bus, as the GPU of a system on a chip.
    pub pci: Fact<String>,
    /// Which part of its board it is, where a board is divided into GPUs or could be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// Vendor.
    pub vendor: Vendor,
    /// The name that its driver gives, such as `NVIDIA H100 80GB HBM3`.
    pub model: String,
    /// Brand, in the words of `NVIDIA_REQUIRE_CUDA`, such as `geforcertx`; absent: its vendor has no such words.
    pub brand: Fact<String>,
    /// Architecture, such as `Hopper` and `gfx90a`.
    pub architecture: Fact<String>,
    /// CUDA compute capability, such as `9.0`; absent: it is not for CUDA.
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
    /// Its own nodes, such as `/dev/nvidia0` and `/dev/dri/renderD128`.
    pub nodes: Vec<DeviceNode>,
}

/// The part of a board that a GPU is. A partition is a GPU of its own, with a node and memory of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Partition {
    /// Which of several, from 0; absent: it is the whole board.
    pub number: Fact<u32>,
    /// How the board's compute units are divided: `SPX` not at all, `CPX` into as many GPUs as it has dies.
    pub compute: Fact<String>,
    /// How the board's memory is divided, such as `NPS1`.
    pub memory: Fact<String>,
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
    /// The memory unit at which its GPU instance begins; absent: not told, as NVML tells it only root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u8>,
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
