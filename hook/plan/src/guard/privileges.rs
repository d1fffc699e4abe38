//! Linux capabilities and namespaces.

use super::row::{
    CAP_BPF, CAP_SYS_ADMIN, CAP_SYS_MODULE, CAP_SYS_RAWIO, HOST_IPC, HOST_MOUNT, HOST_PID, JOINED_NAMESPACE,
    Row,
};
use super::{Surroundings, Trip};
use crate::config::{Config, Namespace};
use crate::entry::{Engine, Entry};

const CAPABILITIES: [(&str, &Row); 4] = [
    ("CAP_SYS_ADMIN", &CAP_SYS_ADMIN),
    ("CAP_BPF", &CAP_BPF),
    ("CAP_SYS_RAWIO", &CAP_SYS_RAWIO),
    ("CAP_SYS_MODULE", &CAP_SYS_MODULE),
];

const NAMESPACES: [(&str, &Row); 3] = [("pid", &HOST_PID), ("ipc", &HOST_IPC), ("mount", &HOST_MOUNT)];

pub(super) fn trips(entry: &Entry, config: &Config, surroundings: &Surroundings) -> Vec<Trip> {
    let namespaces =
        NAMESPACES.iter().filter_map(|(kind, row)| namespace(kind, row, entry, config, surroundings));
    capabilities(config, surroundings).into_iter().chain(namespaces).collect()
}

/// In a user namespace of the container's own they are worth nothing against the host.
fn capabilities(config: &Config, surroundings: &Surroundings) -> Vec<Trip> {
    let own_users = of_kind("user", config).is_some() && !surroundings.shared_with_host.contains("user");
    if own_users {
        return Vec::new();
    }
    let sets = &config.process.capabilities;
    let has = |name: &str| sets.bounding.iter().chain(&sets.permitted).any(|own| own == name);
    let held = CAPABILITIES.iter().filter(|(name, _)| has(name));
    held.map(|(name, row)| Trip { row, what: (*name).to_owned() }).collect()
}

fn namespace(
    kind: &str,
    host: &'static Row,
    entry: &Entry,
    config: &Config,
    surroundings: &Surroundings,
) -> Option<Trip> {
    let own = of_kind(kind, config);
    if own.is_none() || surroundings.shared_with_host.contains(kind) {
        return Some(Trip { row: host, what: format!("the host's {kind} namespace") });
    }
    // A pod's containers share namespaces by the orchestrator's word; elsewhere whoever calls names the other one.
    let by_pod = matches!(entry.engine, Engine::Containerd | Engine::Crio);
    let joined = own.filter(|own| !own.path.is_empty() && !by_pod)?;
    let what = format!("the {kind} namespace of `{}`", joined.path);
    Some(Trip { row: &JOINED_NAMESPACE, what })
}

fn of_kind<'c>(kind: &str, config: &'c Config) -> Option<&'c Namespace> {
    config.linux.namespaces.iter().find(|namespace| namespace.kind == kind)
}
