//! Whose container it is, from keys that it cannot forge ([`facts`] has which keys each engine writes last).
//!
//! A key counts only under the engine that owns it: a Kubernetes annotation says nothing under Docker, where
//! whoever calls may write it.

use serde::Serialize;

use crate::automaton::Kind;
use crate::config::Config;
use crate::entry::{Engine, Entry};
use crate::glob;
use crate::index::{Found, Identity, Index, ReadAt, Tenant};
use crate::observed::Observed;
use crate::refusal::{Reason, Refusal};
use crate::slurm::Job;

/// Who a container is, as far as its entry, its engine and the kernel say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'c> {
    /// Through which engine it comes.
    pub engine: Engine,
    /// What the engine says.
    pub who: Who<'c>,
    /// The path of its cgroup, if anybody asked for it.
    pub cgroup: Option<&'c str>,
}

/// What an engine says of a container, each key absent if it did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who<'c> {
    /// Under containerd or CRI-O.
    Kubernetes {
        /// The pod's namespace.
        namespace: Option<&'c str>,
        /// The pod's uid.
        uid: Option<&'c str>,
        /// The pod's name.
        name: Option<&'c str>,
    },
    /// Under Docker.
    Docker {
        /// The daemon.
        daemon: &'c str,
        /// The runtime; absent: the daemon's default one.
        runtime: Option<&'c str>,
    },
    /// Under Podman.
    Podman {
        /// Whose Podman, by the uid on the host; absent: root's.
        user: Option<u32>,
    },
    /// Under Slurm.
    Slurm {
        /// What is recorded of the job, if it is in one.
        job: Option<&'c Job>,
    },
}

/// The annotations in which an engine of Kubernetes says of which pod a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodKeys {
    /// The pod's namespace.
    pub namespace: &'static str,
    /// The pod's uid.
    pub uid: &'static str,
    /// The pod's name.
    pub name: &'static str,
    /// The name of the container's image, which the pod chooses: no identity.
    pub image: &'static str,
}

/// What containerd's CRI plugin writes, after all that the pod says.
pub const CONTAINERD_KEYS: PodKeys = PodKeys {
    namespace: "io.kubernetes.cri.sandbox-namespace",
    uid: "io.kubernetes.cri.sandbox-uid",
    name: "io.kubernetes.cri.sandbox-name",
    image: "io.kubernetes.cri.image-name",
};

/// What CRI-O writes; by its `io.kubernetes.cri-o.` keys nobody is known, because a pod may write such keys as well.
pub const CRIO_KEYS: PodKeys = PodKeys {
    namespace: "io.kubernetes.pod.namespace",
    uid: "io.kubernetes.pod.uid",
    name: "io.kubernetes.pod.name",
    image: "io.kubernetes.cri-o.ImageName",
};

/// The daemon that an entry means when it names none.
const DEFAULT_DAEMON: &str = "default";

/// The facts of a container that came in through `entry`.
#[must_use]
pub fn facts<'c>(entry: &'c Entry, config: &'c Config, observed: &'c Observed) -> Facts<'c> {
    let who = match entry.engine {
        Engine::Containerd => pod(&CONTAINERD_KEYS, config),
        Engine::Crio => pod(&CRIO_KEYS, config),
        Engine::Docker => Who::Docker {
            daemon: entry.daemon.as_deref().unwrap_or(DEFAULT_DAEMON),
            runtime: entry.runtime.as_deref(),
        },
        Engine::Podman => Who::Podman { user: observed.user },
        Engine::Slurm => Who::Slurm { job: observed.job.as_ref() },
    };
    Facts { engine: entry.engine, who, cgroup: observed.cgroup.as_deref() }
}

/// The name of a container's image, where the engine tells it.
#[must_use]
pub fn image<'c>(entry: &Entry, config: &'c Config) -> Option<&'c str> {
    let keys = match entry.engine {
        Engine::Containerd => &CONTAINERD_KEYS,
        Engine::Crio => &CRIO_KEYS,
        Engine::Docker | Engine::Podman | Engine::Slurm => return None,
    };
    config.annotations.get(keys.image).map(String::as_str)
}

/// Whose container it is: a tenant's, nobody's, or that it cannot be said.
pub type Whose = Result<Option<Tenant>, Refusal>;

/// The tenant of a container, if it is anybody's.
///
/// # Errors
///
/// [`Reason::NoTenant`] if two tenants' identities match: the compiler refuses such a policy, so the index is
/// damaged or forged, and nobody can say whose devices these would be. [`Reason::PlanSet`] if the index is damaged.
pub fn tenant<S: ReadAt>(index: &Index<S>, facts: &Facts<'_>) -> Whose {
    let mut found = of_engine(index, facts.who)?;
    if let Some(path) = facts.cgroup {
        let by_cgroup = index.whose(Kind::Cgroup, &[Some(facts.engine.name()), Some(path)])?;
        [by_cgroup.first, by_cgroup.second].into_iter().flatten().for_each(|number| found.add(number));
    }
    let Some(first) = found.first else { return Ok(None) };
    let first = index.tenant(first)?;
    let Some(second) = found.second else { return Ok(Some(first)) };
    let (first, second) = (first.name, index.tenant(second)?.name);
    Err(Refusal::new(Reason::NoTenant, format!("the container is of two tenants, `{first}` and `{second}`")))
}

/// Whose it is by what its engine says.
fn of_engine<S: ReadAt>(index: &Index<S>, who: Who<'_>) -> Result<Found, Refusal> {
    match who {
        Who::Kubernetes { namespace, uid, name } => index.whose(Kind::Kubernetes, &[namespace, uid, name]),
        Who::Docker { daemon, runtime } => index.whose(Kind::Docker, &[Some(daemon), runtime]),
        Who::Podman { user } => index.whose(Kind::Podman, &[user.map(|uid| uid.to_string()).as_deref()]),
        Who::Slurm { job: None } => Ok(Found::default()),
        Who::Slurm { job: Some(job) } => {
            index.whose(Kind::Slurm, &[Some(&job.account), Some(&job.user), Some(&job.partition)])
        }
    }
}

/// The first key in which a container is not as an identity says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// As policies name it; `engine` if the identity is one of another engine.
    pub key: &'static str,
    /// What the container has there.
    pub has: Option<String>,
}

/// Whether the identity knows the container of these facts. The index has the same answer for all identities at once.
#[must_use]
pub fn matches(identity: &Identity, facts: &Facts<'_>) -> bool {
    mismatch(identity, facts).is_none()
}

/// What keeps the identity from knowing the container of these facts; nothing: it knows it.
#[must_use]
pub fn mismatch(identity: &Identity, facts: &Facts<'_>) -> Option<Mismatch> {
    match (identity, facts.who) {
        (
            Identity::Kubernetes { namespace, uid, name },
            Who::Kubernetes { namespace: in_namespace, uid: of_uid, name: named },
        ) => {
            // An identity that names nothing would be everybody's.
            let names_any = namespace.is_some() || uid.is_some();
            first([
                ("namespace", names_any && like(namespace.as_deref(), in_namespace), in_namespace),
                ("name", like(name.as_deref(), named), named),
                ("uid", uid.is_none() || uid.as_deref() == of_uid, of_uid),
            ])
        }
        (Identity::Docker { daemon, runtime }, Who::Docker { daemon: of_daemon, runtime: through }) => {
            first([
                ("daemon", daemon == of_daemon, Some(of_daemon)),
                ("runtime", runtime.as_deref() == through, through),
            ])
        }
        (Identity::Podman { user }, Who::Podman { user: of_user }) => {
            first([("user", *user == of_user, of_user.map(|uid| uid.to_string()).as_deref())])
        }
        (Identity::Slurm { account, user, partition }, Who::Slurm { job: Some(job) }) => {
            let names_any = account.is_some() || user.is_some() || partition.is_some();
            first([
                ("account", names_any && like(account.as_deref(), Some(&job.account)), Some(&job.account)),
                ("user", like(user.as_deref(), Some(&job.user)), Some(&job.user)),
                ("partition", like(partition.as_deref(), Some(&job.partition)), Some(&job.partition)),
            ])
        }
        (Identity::Slurm { .. }, Who::Slurm { job: None }) => first([("job", false, None)]),
        (Identity::Cgroup { path, engines }, _) => first([
            ("engine", engines.contains(&facts.engine), Some(facts.engine.name())),
            ("path", like(Some(path), facts.cgroup), facts.cgroup),
        ]),
        _ => first([("engine", false, Some(facts.engine.name()))]),
    }
}

/// The first of some keys, each with whether it is as it should be and what is there, that is not.
fn first<const N: usize>(keys: [(&'static str, bool, Option<&str>); N]) -> Option<Mismatch> {
    let (key, _, has) = keys.into_iter().find(|(_, is_right, _)| !is_right)?;
    Some(Mismatch { key, has: has.map(str::to_owned) })
}

/// Whose word a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The kernel's.
    Kernel,
    /// An orchestrator's, written after all that its users say.
    Orchestrator,
    /// A file's that is root's.
    Root,
    /// That of whoever calls the engine, who is root there.
    Caller,
    /// The tenant's own: it narrows what another key says, and says nothing by itself.
    Tenant,
}

/// One thing by which a container is known, for audit records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    /// As policies name it, such as `namespace`.
    pub key: &'static str,
    /// What was found.
    pub value: String,
    /// Whose word it is.
    pub class: Class,
}

/// Each key that is there.
#[must_use]
pub fn keys(facts: &Facts<'_>) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut add = |key, value: Option<&str>, class| {
        keys.extend(value.map(|value| Key { key, value: value.to_owned(), class }));
    };
    match facts.who {
        Who::Kubernetes { namespace, uid, name } => {
            add("namespace", namespace, Class::Orchestrator);
            add("uid", uid, Class::Orchestrator);
            add("name", name, Class::Tenant);
        }
        Who::Docker { daemon, runtime } => {
            add("daemon", Some(daemon), Class::Root);
            add("runtime", runtime, Class::Caller);
        }
        Who::Podman { user } => add("user", user.map(|uid| uid.to_string()).as_deref(), Class::Kernel),
        Who::Slurm { job: None } => {}
        Who::Slurm { job: Some(job) } => {
            add("account", Some(&job.account), Class::Orchestrator);
            add("user", Some(&job.user), Class::Orchestrator);
            add("partition", Some(&job.partition), Class::Orchestrator);
        }
    }
    add("cgroup", facts.cgroup, Class::Kernel);
    keys
}

/// The facts in words, for messages and audit records: `kubernetes namespace=research-7`.
#[must_use]
pub fn describe(facts: &Facts<'_>) -> String {
    let pair =
        |key: &str, value: Option<&str>| value.map(|value| format!(" {key}={value}")).unwrap_or_default();
    let who = match facts.who {
        Who::Kubernetes { namespace, uid, name } => {
            format!("kubernetes{}{}{}", pair("namespace", namespace), pair("uid", uid), pair("name", name))
        }
        Who::Docker { daemon, runtime } => format!("docker daemon={daemon}{}", pair("runtime", runtime)),
        Who::Podman { user } => format!("podman{}", pair("user", user.map(|uid| uid.to_string()).as_deref())),
        Who::Slurm { job: None } => "slurm".to_owned(),
        Who::Slurm { job: Some(job) } => {
            format!("slurm account={} user={} partition={}", job.account, job.user, job.partition)
        }
    };
    format!("{who}{}", pair("cgroup", facts.cgroup))
}

fn pod<'c>(keys: &PodKeys, config: &'c Config) -> Who<'c> {
    let annotation = |key: &str| config.annotations.get(key).map(String::as_str);
    Who::Kubernetes {
        namespace: annotation(keys.namespace),
        uid: annotation(keys.uid),
        name: annotation(keys.name),
    }
}

/// Whether a value is as a pattern says; no pattern says nothing.
fn like(pattern: Option<&str>, value: Option<&str>) -> bool {
    match (pattern, value) {
        (None, _) => true,
        (Some(pattern), Some(value)) => glob::matches(pattern, value),
        (Some(_), None) => false,
    }
}
