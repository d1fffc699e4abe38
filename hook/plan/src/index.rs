//! The index of a plan set: who the tenants are, which grants they have, and where each plan lies.

use serde::{Deserialize, Serialize};

use crate::document;
use crate::entry::Engine;
use crate::refusal::Refusal;

/// The version of [`Index`] that this crate reads and writes.
pub const INDEX_VERSION: u32 = 1;

/// The file `index` of a plan set. It needs no GPU to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Index {
    /// Always [`INDEX_VERSION`]; anything else is refused.
    pub index_version: u32,
    /// What a container gets that asks and may not.
    pub on_denied: OnDenied,
    /// How a list of numbers is understood.
    pub request_indices: RequestIndices,
    /// What a container gets whose own configuration goes around its plan; absent: it is contained.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_bypass: OnBypass,
    /// Whether devices are given that nobody can write down; absent: never.
    #[serde(default, skip_serializing_if = "is_default")]
    pub audit: Auditing,
    /// The tenants, by name. A container is of at most one.
    pub tenants: Vec<Tenant>,
    /// One record for each tenant of each grant: by tenant, then higher rank first, then by the grant's name.
    pub grants: Vec<Grant>,
}

impl Index {
    /// Reads the file `index`.
    ///
    /// # Errors
    ///
    /// [`crate::refusal::Reason::PlanSet`] if it is of another version or not such a document.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        document::parse("index", INDEX_VERSION, bytes)
    }
}

/// The policy's `on-denied`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDenied {
    /// It does not start.
    #[default]
    Refuse,
    /// It starts without a GPU.
    RunWithoutGpu,
}

/// The policy's `on-bypass`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnBypass {
    /// It starts, and the kernel denies it every GPU number outside of its plan.
    #[default]
    Contain,
    /// It does not start.
    Refuse,
    /// It starts, and the audit says so.
    Report,
}

/// The policy's `audit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auditing {
    /// No device is given unaudited.
    #[default]
    Required,
    /// A record that cannot be written is said on standard error, and the container starts.
    BestEffort,
}

/// What stands for its absence is not written, so that an index says only what a policy says.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The policy's `request-indices`: what numbers in `NVIDIA_VISIBLE_DEVICES` mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestIndices {
    /// Beside Docker's own `--gpus` entry exactly `0…n-1` is a count, else NVML indices.
    #[default]
    Auto,
    /// Always NVML indices.
    Host,
    /// Always the number of distinct entries.
    Count,
}

/// A tenant and how its containers are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tenant {
    /// Name.
    pub name: String,
    /// Any one of these is enough.
    pub identities: Vec<Identity>,
    /// Whether it is a `trust`: its containers pass the guard, and get all devices of their grant, without leases.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trusted: bool,
}

/// One `identity` line. All that it names must match; strings are globs where so said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Identity {
    /// A pod's container under containerd or CRI-O.
    Kubernetes {
        /// Glob over the namespace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        /// The pod's uid, exactly.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<String>,
        /// Glob over the pod's name; only narrows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// A container of one Docker daemon, through one of its runtimes.
    Docker {
        /// The daemon's name, exactly; `default` when the policy says none.
        daemon: String,
        /// The runtime's name, exactly; absent: the daemon's default runtime, an entry without `runtime`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runtime: Option<String>,
    },
    /// A container of Podman.
    Podman {
        /// Of this user's own Podman, by the uid on the host; absent: of root's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<u32>,
    },
    /// A container of a Slurm job, by what root's Prolog recorded of it; at least one is there.
    Slurm {
        /// Glob over the account.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// Glob over the user's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// Glob over the partition.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partition: Option<String>,
    },
    /// A container in one of some cgroups, under an engine whose callers cannot choose the cgroup.
    Cgroup {
        /// Glob over the cgroup's path.
        path: String,
        /// The engines.
        engines: Vec<Engine>,
    },
}

impl Identity {
    /// Whether a container is known so by its cgroup.
    #[must_use]
    pub fn reads_cgroup(&self, engine: Engine) -> bool {
        matches!(self, Self::Cgroup { engines, .. } if engines.contains(&engine))
    }
}

/// Where the plan of one tenant for one grant lies, and to which of its workloads it applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// The tenant.
    pub tenant: String,
    /// The grant's name.
    pub name: String,
    /// Higher wins.
    pub rank: i64,
    /// Whether it applies only to workloads that name it.
    pub named: bool,
    /// All of these must hold.
    pub when: Vec<Clause>,
    /// Where its plan begins in the file `plans`, in bytes.
    pub offset: u64,
    /// How long its plan is, in bytes.
    pub length: u64,
}

/// One positive test of a `when`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "test", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Clause {
    /// The label is there and its value matches one of the globs.
    Label {
        /// The label's key.
        key: String,
        /// Globs over its value.
        values: Vec<String>,
    },
    /// Kubernetes names the container's image, and the name matches one of the globs.
    Image {
        /// Globs over the name.
        values: Vec<String>,
    },
    /// The container came in through one of these engines.
    Engine {
        /// The engines.
        engines: Vec<Engine>,
    },
}
