//! The index of a plan set: who the tenants are, which grants they have, and where each plan lies.
//!
//! On disk it is a table of fixed records ([`layout`] has every field) that are read one by one, so that looking a
//! container up costs the same however many others there are. [`Index`] is the open file, [`Contents`] what is
//! in one as a whole: what the compiler writes, and what tests and people read.

use serde::{Deserialize, Serialize};

use crate::automaton::Pattern;
use crate::entry::Engine;
use crate::refusal::{Reason, Refusal};

mod contents;
mod decode;
pub mod layout;
mod read;
mod states;
mod tables;
mod walk;
mod window;
mod write;

pub use read::{Index, ReadAt};
pub use states::states;
pub(crate) use tables::{ClauseRecord, GrantRecord, Grants, Test, engines};
pub(crate) use walk::Found;
pub use write::{automaton, write};

/// The version of the index that this crate reads and writes.
pub const INDEX_VERSION: u32 = 1;

/// What holds for all tenants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What a container gets that asks and may not.
    pub on_denied: OnDenied,
    /// How a list of numbers is understood.
    pub request_indices: RequestIndices,
    /// What a container gets whose own configuration goes around its plan.
    pub on_bypass: OnBypass,
    /// Whether devices are given that nobody can write down.
    pub audit: Auditing,
}

/// All that an index says. It needs no GPU to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contents {
    /// Always [`INDEX_VERSION`].
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
    pub tenants: Vec<TenantRecord>,
    /// One record for each tenant of each grant: by tenant, then higher rank first, then by the grant's name.
    pub grants: Vec<Grant>,
}

/// A tenant, as far as looking a container up needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Name.
    pub name: String,
    /// Whether it is a `trust`: its containers pass the guard, and get all devices of their grant, without leases.
    pub trusted: bool,
    pub(crate) number: u32,
    pub(crate) grants: Records,
}

/// Some records of a table, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) first: u32,
    pub(crate) count: u32,
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
pub struct TenantRecord {
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
    /// The patterns of which a container matches one if it is known so.
    pub fn patterns(&self) -> Vec<Pattern<'_>> {
        match self {
            Self::Kubernetes { namespace, uid, name } => {
                Pattern::kubernetes(namespace.as_deref(), uid.as_deref(), name.as_deref())
                    .into_iter()
                    .collect()
            }
            Self::Docker { daemon, runtime } => vec![Pattern::docker(daemon, runtime.as_deref())],
            Self::Podman { user } => vec![Pattern::podman(*user)],
            Self::Slurm { account, user, partition } => {
                Pattern::slurm(account.as_deref(), user.as_deref(), partition.as_deref())
                    .into_iter()
                    .collect()
            }
            Self::Cgroup { path, engines } => {
                engines.iter().map(|engine| Pattern::cgroup(*engine, path)).collect()
            }
        }
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
    /// Where its own part of the plan lies in the file `plans`.
    pub plan: Slice,
    /// Where the part lies that other plans have as well.
    pub shared: Slice,
}

/// The grant by which a container is given devices, and where the plan for it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantPlan {
    /// The tenant.
    pub tenant: String,
    /// The grant's name.
    pub name: String,
    /// Where its own part of the plan lies in the file `plans`.
    pub plan: Slice,
    /// Where the part lies that other plans have as well.
    pub shared: Slice,
}

/// Some bytes of the file `plans`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slice {
    /// Where they begin.
    pub offset: u64,
    /// How many.
    pub length: u64,
}

impl Slice {
    /// These bytes of the whole file.
    ///
    /// # Errors
    ///
    /// [`Reason::PlanSet`] if the file does not have them.
    pub fn of(self, plans: &[u8]) -> Result<&[u8], Refusal> {
        let range = usize::try_from(self.offset).ok().zip(usize::try_from(self.length).ok());
        let slice = range.and_then(|(offset, length)| plans.get(offset..)?.get(..length));
        slice.ok_or_else(|| Refusal::new(Reason::PlanSet, "a plan lies outside of `plans`"))
    }
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
