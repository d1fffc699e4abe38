//! The plan: what one tenant's containers get by one grant, as plain data.
//!
//! Field names are those of CDI (`hostPath`, `containerPath`, `fileMode`, `permissions`, `major`, `minor`,
//! `options`). Readers refuse fields and kinds that they do not know.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::document;
use crate::edit::Edit;
use crate::entry::Form;
use crate::feature::Feature;
use crate::refusal::{Reason, Refusal};
use crate::vendor::Vendor;

mod shared;

pub use shared::Shared;

/// The version of [`Plan`] that this crate reads and writes.
pub const PLAN_VERSION: u32 = 1;

/// What containers of one tenant get by one grant on one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Always [`PLAN_VERSION`]; anything else is refused.
    pub plan_version: u32,
    /// The tenant.
    pub tenant: String,
    /// The grant's name.
    pub grant: String,
    /// Where the grant stands in the policy.
    pub rule: Rule,
    /// SHA-256 of the policy's files, `sha256:HEX`.
    pub policy_digest: String,
    /// SHA-256 of the topology document, `sha256:HEX`.
    pub topology_digest: String,
    /// What must still be true of the host when the plan is applied.
    pub host: Host,
    /// At most so many leases of the tenant at a time on this host, over all its grants; absent: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Whether the policy trusts them: each gets all devices of all lines, without a lease, whoever else holds them.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub trusted: bool,
    /// UUIDs of the devices that a `guarantee` keeps for this tenant; they are in no other tenant's plans.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reserved: BTreeSet<String>,
    /// Whether something that the grant gives exists in the spec form alone; the hook form refuses such a plan.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub needs_spec: bool,
    /// The ceiling: at most these driver capabilities.
    pub capabilities: BTreeSet<Capability>,
    /// Where the policy says so: the rule behind each of `edits`.
    pub capabilities_rule: Rule,
    /// What is given together: one line for each `gpus` of the grant, in its order.
    pub lines: Vec<Line>,
    /// Edits that every container gets which gets a GPU of this vendor, in the order in which they are applied.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub edits: BTreeMap<Vendor, Vec<Edit>>,
    /// The features that the grant gives to those who ask, ascending, each IMEX channel on its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<GrantedFeature>,
}

impl Plan {
    /// Reads one plan.
    ///
    /// # Errors
    ///
    /// [`crate::refusal::Reason::PlanSet`] if it is of another version or not such a document.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        document::parse("plan", PLAN_VERSION, bytes)
    }

    /// Every edit that somebody may get by it.
    pub fn all_edits(&self) -> impl Iterator<Item = &Edit> {
        let of_devices = self.lines.iter().flat_map(|line| &line.devices).map(|device| &device.edits);
        let of_features = self.features.iter().map(|granted| &granted.edits);
        self.edits.values().chain(of_devices).chain(of_features).flatten()
    }

    /// Whether it can be applied in this form.
    ///
    /// # Errors
    ///
    /// [`Reason::NotSupported`] if what the grant gives exists only in the other form.
    pub fn require(&self, form: Form) -> Result<(), Refusal> {
        if form == Form::Spec || !self.needs_spec {
            return Ok(());
        }
        let message = format!(
            "grant `{}` gives variables or groups, which only an entry of the spec form can give",
            self.grant
        );
        Err(Refusal::new(Reason::NotSupported, message))
    }
}

/// A feature that a grant gives to those who ask for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantedFeature {
    /// Which; never IMEX as a whole.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub feature: Feature,
    /// Where the policy grants it: the rule behind each of `edits`.
    pub rule: Rule,
    /// Why this host cannot give it; who asks is refused with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacking: Option<String>,
    /// What who asks gets; nothing where it is lacking.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
}

/// A place in the policy, for audit records and messages only. Exactly one stands behind each edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// File, as it was named to the compiler.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// What stands there, such as `grant training-jobs`.
    pub name: String,
}

/// Facts of the host that a plan rests on. `None` is unknown: such a plan can be read and tested, never applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Host {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: Option<String>,
    /// The version of NVIDIA's driver as `/proc/driver/nvidia/version` gives it; NVIDIA's GPUs rest on it.
    pub driver_version: Option<String>,
    /// The newest CUDA version that this driver serves, such as `12.4`; judges what images require.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuda_version: Option<String>,
}

/// One `gpus` line of a grant: alike devices, shared in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Line {
    /// Name of the gpu-set.
    pub gpu_set: String,
    /// Where the line stands: the rule behind each edit of its devices.
    pub rule: Rule,
    /// A container gets at most so many devices of this line.
    pub at_most: u32,
    /// A container that says no number gets so many; 0: only when named.
    pub default: u32,
    /// How each device is shared.
    pub sharing: Sharing,
    /// How much of each device's memory may be used, if something bounds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// In which order free devices are taken.
    pub order: Order,
    /// The devices, in rank order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// The choices that satisfy the grant, as ascending positions in `devices`, best first for each size.
    /// `None`: any devices will do.
    pub slots: Option<Vec<Vec<u32>>>,
}

/// In which order free devices of a line are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As ranked.
    Ranked,
    /// Those with the fewest leases first, then as ranked.
    LeastLeased,
}

/// A bound on the use of a device's memory. What nothing enforces is in no plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Memory {
    /// At most so many bytes.
    pub bytes: u64,
    /// What keeps it so.
    pub enforced_by: Enforcer,
}

/// What keeps the use of a device's memory within a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Enforcer {
    /// The MIG device has no more: all its containers together are bound.
    Mig,
    /// The MPS daemon: each process is bound, not each container.
    MpsDaemon,
}

/// How one device is shared among containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "mode", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Sharing {
    /// One container a device.
    Exclusive {},
    /// Up to `replicas` containers a device, one after the other on the GPU.
    TimeSlicing {
        /// At most so many leases of a device at a time.
        replicas: u32,
    },
    /// Up to `clients` containers of this grant a device, through the grant's MPS daemon.
    Mps {
        /// At most so many leases of a device at a time.
        clients: u32,
        /// The share of the GPU's threads that each process gets at most, per cent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        threads: Option<u32>,
    },
}

impl Sharing {
    /// The word for it in policies and messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exclusive {} => "exclusive",
            Self::TimeSlicing { .. } => "time-slicing",
            Self::Mps { .. } => "mps",
        }
    }

    /// How many containers may hold one device at a time.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        match self {
            Self::Exclusive {} => 1,
            Self::TimeSlicing { replicas } => *replicas,
            Self::Mps { clients, .. } => *clients,
        }
    }
}

/// A device: a GPU or a MIG device, with what a container that gets it needs beyond the common edits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Device {
    /// `GPU-…` or `MIG-…`; leases are named after it.
    pub uuid: String,
    /// What a number in `NVIDIA_VISIBLE_DEVICES` names: the GPU's index `3`, or `0:1` for MIG device 1 of GPU 0.
    pub index: String,
    /// PCI address of the GPU, `0000:07:00.0`.
    pub pci: String,
    /// What the kernel must say of the GPU for the plan still to be true.
    pub gpu: GpuCheck,
    /// Compute capability of the GPU, such as `9.0`; judges what images require.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_capability: Option<String>,
    /// Brand of the GPU, such as `Tesla`; judges what images require.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    /// The instance ids of a MIG device; absent for a whole GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mig: Option<MigCheck>,
    /// Its own edits, after the common ones.
    pub edits: Vec<Edit>,
}

/// What the GPU behind a device must be, by what its vendor's part of the kernel says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum GpuCheck {
    /// As `/proc/driver/nvidia/gpus/<pci>/information` must show it.
    Nvidia {
        /// `GPU UUID`.
        uuid: String,
        /// `Device Minor`.
        minor: u32,
    },
    /// As a node below `/sys/class/kfd/kfd/topology/nodes` must show it, which [`crate::kfd`] names.
    Amd {
        /// Minor number of its render node.
        minor: u32,
        /// Which partition of its board it is; absent: the whole board.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partition: Option<u32>,
    },
}

impl Device {
    /// Whether its PCI address names it alone: not if it is a part of the GPU or board that has the address.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.mig.is_none() && !matches!(self.gpu, GpuCheck::Amd { partition: Some(_), .. })
    }
}

impl GpuCheck {
    /// Whose GPU it is.
    #[must_use]
    pub fn vendor(&self) -> Vendor {
        match self {
            Self::Nvidia { .. } => Vendor::Nvidia,
            Self::Amd { .. } => Vendor::Amd,
        }
    }
}

/// The instances behind a MIG device as `/proc/driver/nvidia/capabilities/gpu<minor>/mig` must show them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MigCheck {
    /// GPU instance id.
    pub gi: u32,
    /// Compute instance id within it.
    pub ci: u32,
    /// All of the GPU's, this one among them, each as the ids of its GPU and its compute instance.
    pub instances: BTreeSet<[u32; 2]>,
}
