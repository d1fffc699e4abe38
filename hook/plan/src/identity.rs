//! Whose container it is, from keys that it cannot forge ([`facts`] has which keys each engine writes last).
//!
//! A key counts only under the engine that owns it: a Kubernetes annotation says nothing under Docker, where
//! whoever calls may write it.

use crate::config::Config;
use crate::entry::{Engine, Entry};
use crate::glob;
use crate::index::{Identity, Index, Tenant};
use crate::refusal::{Reason, Refusal};

/// What the entry's engine says of a container, each key absent if the engine did not write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facts<'c> {
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
    /// Under rootful Podman.
    Podman,
    /// Under an engine whose identities this version does not know.
    Unknown(Engine),
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
pub fn facts<'c>(entry: &'c Entry, config: &'c Config) -> Facts<'c> {
    match entry.engine {
        Engine::Containerd => pod(&CONTAINERD_KEYS, config),
        Engine::Crio => pod(&CRIO_KEYS, config),
        Engine::Docker => Facts::Docker {
            daemon: entry.daemon.as_deref().unwrap_or(DEFAULT_DAEMON),
            runtime: entry.runtime.as_deref(),
        },
        Engine::Podman => Facts::Podman,
        Engine::Slurm => Facts::Unknown(Engine::Slurm),
    }
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

/// The tenant of a container, if it is anybody's.
///
/// # Errors
///
/// [`Reason::NoTenant`] if two tenants' identities match: the compiler refuses such a policy, so the index is
/// damaged or forged, and nobody can say whose devices these would be.
pub fn tenant<'i>(index: &'i Index, entry: &Entry, config: &Config) -> Result<Option<&'i Tenant>, Refusal> {
    let facts = facts(entry, config);
    let mut matching = index
        .tenants
        .iter()
        .filter(|tenant| tenant.identities.iter().any(|identity| matches(identity, &facts)));
    match (matching.next(), matching.next()) {
        (Some(first), Some(second)) => Err(Refusal::new(
            Reason::NoTenant,
            format!("the container is of two tenants, `{}` and `{}`", first.name, second.name),
        )),
        (first, _) => Ok(first),
    }
}

/// The facts in words, for messages and audit records: `kubernetes namespace=research-7`.
#[must_use]
pub fn describe(facts: &Facts<'_>) -> String {
    let pair =
        |key: &str, value: Option<&str>| value.map(|value| format!(" {key}={value}")).unwrap_or_default();
    match facts {
        Facts::Kubernetes { namespace, uid, name } => {
            format!("kubernetes{}{}{}", pair("namespace", *namespace), pair("uid", *uid), pair("name", *name))
        }
        Facts::Docker { daemon, runtime } => format!("docker daemon={daemon}{}", pair("runtime", *runtime)),
        Facts::Podman => "podman".to_owned(),
        Facts::Unknown(engine) => engine.name().to_owned(),
    }
}

fn pod<'c>(keys: &PodKeys, config: &'c Config) -> Facts<'c> {
    let annotation = |key: &str| config.annotations.get(key).map(String::as_str);
    Facts::Kubernetes {
        namespace: annotation(keys.namespace),
        uid: annotation(keys.uid),
        name: annotation(keys.name),
    }
}

fn matches(identity: &Identity, facts: &Facts<'_>) -> bool {
    let like = |pattern: &Option<String>, value: &Option<&str>| match (pattern, value) {
        (None, _) => true,
        (Some(pattern), Some(value)) => glob::matches(pattern, value),
        (Some(_), None) => false,
    };
    match (identity, facts) {
        (
            Identity::Kubernetes { namespace, uid, name },
            Facts::Kubernetes { namespace: in_namespace, uid: of_uid, name: named },
        ) => {
            // An identity that names nothing would be everybody's.
            (namespace.is_some() || uid.is_some())
                && like(namespace, in_namespace)
                && like(name, named)
                && (uid.is_none() || uid.as_deref() == *of_uid)
        }
        (Identity::Docker { daemon, runtime }, Facts::Docker { daemon: of_daemon, runtime: through }) => {
            daemon == of_daemon && runtime.as_deref() == *through
        }
        (Identity::Podman {}, Facts::Podman) => true,
        _ => false,
    }
}
