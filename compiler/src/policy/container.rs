//! Containers as a policy's tests and workload files describe them, and what a test expects of them.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;

use crate::source::{Span, Spanned};

/// An in-policy test: containers start in order and keep their leases.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// Its name.
    pub name: Spanned<String>,
    /// Only on these topologies, as in [`super::Settings::topologies`]; none: on each.
    pub on: Vec<Spanned<String>>,
    /// The containers.
    pub containers: Vec<Container>,
    /// What is expected of each, in order.
    pub expectations: Vec<Expect>,
}

/// A container of a test or of a workload file.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// The node.
    pub span: Span,
    /// Its name, if it has one.
    pub name: Option<Spanned<String>>,
    /// Whose it is.
    pub who: Spanned<Who>,
    /// The name of its image.
    pub image: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// OCI annotations.
    pub annotations: BTreeMap<String, String>,
    /// Environment, in order.
    pub env: Vec<(String, String)>,
    /// `request gpus=…`, absent: it asks by annotation or environment, or for nothing.
    pub request: Option<Spanned<Request>>,
}

/// Whose container it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// `tenant=NAME`
    Tenant(String),
    /// `engine=kubernetes [namespace=] [uid=] [name=] [cgroup=]`
    Kubernetes {
        /// Namespace.
        namespace: Option<String>,
        /// The pod's uid.
        uid: Option<String>,
        /// The pod's name.
        name: Option<String>,
        /// The path of its cgroup.
        cgroup: Option<String>,
    },
    /// `engine=docker [daemon=] [runtime=]`
    Docker {
        /// `default` when absent.
        daemon: String,
        /// Absent: the default runtime.
        runtime: Option<String>,
    },
    /// `engine=podman [user=]`
    Podman {
        /// The uid of whose Podman it is; absent: root's.
        user: Option<u32>,
    },
    /// `engine=slurm [account=] [user=] [partition=] [cgroup=]`
    Slurm {
        /// What is recorded of its job: account, user's name and partition; absent: nothing.
        job: Option<[String; 3]>,
        /// The path of its cgroup.
        cgroup: Option<String>,
    },
}

impl Who {
    /// What it is known by, in the order of the keys.
    pub(crate) fn texts(&self) -> Vec<String> {
        let texts: Vec<&Option<String>> = match self {
            Self::Tenant(name) => return vec![name.clone()],
            Self::Kubernetes { namespace, uid, name, cgroup } => vec![namespace, uid, name, cgroup],
            Self::Docker { daemon, runtime } => {
                return [daemon.clone()].into_iter().chain(runtime.clone()).collect();
            }
            Self::Podman { user } => return user.iter().map(u32::to_string).collect(),
            Self::Slurm { job, cgroup } => {
                let job = job.iter().flatten().filter(|text| !text.is_empty());
                return job.chain(cgroup).cloned().collect();
            }
        };
        texts.into_iter().flatten().cloned().collect()
    }
}

/// A `request` node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it asks for.
    pub devices: Devices,
    /// `capabilities=`, as `NVIDIA_DRIVER_CAPABILITIES` would say it.
    pub capabilities: Option<String>,
    /// `features=`, as the annotation `gpupol.io/features` would say it.
    pub features: Option<String>,
}

/// What a `request` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Devices {
    /// `gpus=N`
    Count(u32),
    /// `gpus=all`
    All,
    /// `visible-devices=`, as `NVIDIA_VISIBLE_DEVICES` would say it.
    Visible(String),
}

/// `expect [NAME] …`
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// The node.
    pub span: Span,
    /// Of which container; absent: of the next one without an expectation.
    pub container: Option<Spanned<String>>,
    /// What.
    pub outcome: Outcome,
}

/// The expected outcome.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// `denied [reason=SLUG]`
    Denied {
        /// The slug of a [`gpupol_plan::refusal::Reason`], known to exist.
        reason: Option<Spanned<String>>,
    },
    /// Anything else.
    Granted(Box<Expected>),
}

/// What a container is expected to get: every property that is given must be so.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// `grant=`
    pub grant: Option<Spanned<String>>,
    /// `gpus=`; 0: it asked for nothing.
    pub gpus: Option<Spanned<u32>>,
    /// `sharing=`
    pub sharing: Option<Spanned<String>>,
    /// `devices=`, NVML indices or UUIDs, comma-separated.
    pub devices: Option<Spanned<String>>,
    /// `capabilities=`
    pub capabilities: Option<Spanned<BTreeSet<Capability>>>,
    /// `features=`, each IMEX channel on its own; empty: it gets none.
    pub features: Option<Spanned<BTreeSet<Feature>>>,
}
