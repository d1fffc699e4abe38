//! The policy's words in the words of the index.

use gpupol_plan::{index, plan};

use crate::policy;

pub(super) fn on_denied(word: policy::OnDenied) -> index::OnDenied {
    match word {
        policy::OnDenied::Refuse => index::OnDenied::Refuse,
        policy::OnDenied::RunWithoutGpu => index::OnDenied::RunWithoutGpu,
    }
}

pub(super) fn on_bypass(word: policy::OnBypass) -> index::OnBypass {
    match word {
        policy::OnBypass::Contain => index::OnBypass::Contain,
        policy::OnBypass::Refuse => index::OnBypass::Refuse,
        policy::OnBypass::Report => index::OnBypass::Report,
    }
}

pub(super) fn auditing(word: policy::Auditing) -> index::Auditing {
    match word {
        policy::Auditing::Required => index::Auditing::Required,
        policy::Auditing::BestEffort => index::Auditing::BestEffort,
    }
}

pub(super) fn request_indices(word: policy::RequestIndices) -> index::RequestIndices {
    match word {
        policy::RequestIndices::Auto => index::RequestIndices::Auto,
        policy::RequestIndices::Host => index::RequestIndices::Host,
        policy::RequestIndices::Count => index::RequestIndices::Count,
    }
}

pub(super) fn tenant(tenant: &policy::Tenant) -> index::TenantRecord {
    let mut identities: Vec<index::Identity> =
        tenant.identities.iter().map(|written| identity(&written.value)).collect();
    identities.sort();
    identities.dedup();
    index::TenantRecord { name: tenant.name.value.clone(), identities, trusted: tenant.trust.is_some() }
}

/// One identity.
pub(crate) fn identity(identity: &policy::Identity) -> index::Identity {
    let glob = |glob: &Option<policy::Glob>| glob.as_ref().map(|glob| glob.0.clone());
    match identity {
        policy::Identity::Kubernetes { namespace, uid, name } => {
            index::Identity::Kubernetes { namespace: glob(namespace), uid: uid.clone(), name: glob(name) }
        }
        policy::Identity::Docker { daemon, runtime } => {
            index::Identity::Docker { daemon: daemon.clone(), runtime: runtime.clone() }
        }
        policy::Identity::Podman { user } => index::Identity::Podman { user: *user },
        policy::Identity::Slurm { account, user, partition } => {
            index::Identity::Slurm { account: glob(account), user: glob(user), partition: glob(partition) }
        }
        policy::Identity::Cgroup { path, engine } => {
            index::Identity::Cgroup { path: path.0.clone(), engines: engine.entries().to_vec() }
        }
    }
}

pub(super) fn clause(clause: &policy::Clause) -> index::Clause {
    let globs = |globs: &[policy::Glob]| globs.iter().map(|glob| glob.0.clone()).collect();
    match clause {
        policy::Clause::Label { key, values } => {
            index::Clause::Label { key: key.clone(), values: globs(values) }
        }
        policy::Clause::Image(images) => index::Clause::Image { values: globs(images) },
        policy::Clause::Engine(engines) => index::Clause::Engine {
            engines: engines.iter().flat_map(|engine| engine.entries()).copied().collect(),
        },
    }
}

pub(super) fn sharing(sharing: &policy::Sharing) -> plan::Sharing {
    match sharing {
        policy::Sharing::Exclusive { .. } => plan::Sharing::Exclusive {},
        policy::Sharing::TimeSlicing { replicas, .. } => plan::Sharing::TimeSlicing { replicas: *replicas },
        policy::Sharing::Mps { clients, threads, .. } => {
            plan::Sharing::Mps { clients: *clients, threads: *threads }
        }
    }
}
