//! Who a container is, in the keys that its engine writes last.

use std::collections::BTreeMap;

use gpupol_plan::entry::Engine;
use gpupol_plan::glob::{Token, tokens};
use gpupol_plan::identity::CONTAINERD_KEYS;
use gpupol_plan::slurm::{JOB_VERSION, Job};

use super::{Workload, entry};
use crate::policy::{self, Glob, Identity, Possible};

/// Makes the workload one that this identity knows, with short texts that its globs match.
pub(super) fn instantiate(identity: &Identity, workload: &mut Workload) {
    match identity {
        Identity::Kubernetes { namespace, uid, name } => {
            let namespace = namespace.as_ref().map(|glob| witness(glob, Possible::Namespace));
            let name = name.as_ref().map(|glob| witness(glob, Possible::PodName));
            kubernetes([namespace.as_deref(), uid.as_deref(), name.as_deref()], workload);
        }
        Identity::Docker { daemon, runtime } => docker(daemon, runtime.as_deref(), workload),
        Identity::Podman { user } => {
            workload.entry = entry(Engine::Podman);
            workload.observed.user = *user;
        }
        Identity::Slurm { account, user, partition } => {
            let text = |glob: &Option<Glob>| {
                glob.as_ref().map(|glob| witness(glob, Possible::NotEmpty)).unwrap_or_default()
            };
            slurm(Some([account, user, partition].map(text)), workload);
        }
        Identity::Cgroup { path, engine } => {
            match engine {
                policy::Engine::Slurm => slurm(None, workload),
                policy::Engine::Kubernetes => kubernetes([None; 3], workload),
                // The policy refuses these: their callers choose the cgroup.
                policy::Engine::Docker | policy::Engine::Podman => {}
            }
            workload.observed.cgroup = Some(witness(path, Possible::Cgroup));
        }
    }
}

/// A container of a Slurm job, of which this account, user and partition are recorded; or nothing.
pub(super) fn slurm(job: Option<[String; 3]>, workload: &mut Workload) {
    workload.entry = entry(Engine::Slurm);
    workload.observed.job = job.map(|[account, user, partition]| record(account, user, partition));
}

/// The record of some job.
pub(crate) fn record(account: String, user: String, partition: String) -> Job {
    Job { job_version: JOB_VERSION, job: 1, uid: 1000, user, account, partition, gpus: Vec::new() }
}

/// Gives the job of a container these devices, by what a request would name them.
pub(crate) fn allocate(list: &str, workload: &mut Workload) {
    let none = || record(String::new(), String::new(), String::new());
    let names = list.split(',').map(str::trim).filter(|name| !matches!(*name, "" | "none" | "void"));
    workload.observed.job.get_or_insert_with(none).gpus = names.map(str::to_owned).collect();
}

/// A pod's container under containerd, as its CRI plugin writes it.
pub(super) fn kubernetes([namespace, uid, name]: [Option<&str>; 3], workload: &mut Workload) {
    workload.entry = entry(Engine::Containerd);
    let annotations = &mut workload.config.annotations;
    write(annotations, "io.kubernetes.cri.container-type", Some("container"));
    write(annotations, CONTAINERD_KEYS.namespace, namespace);
    write(annotations, CONTAINERD_KEYS.uid, uid);
    write(annotations, CONTAINERD_KEYS.name, name);
}

/// What containerd says of the image; another engine tells a hook nothing of it.
pub(super) fn image(name: Option<&str>, workload: &mut Workload) {
    if workload.entry.engine == Engine::Containerd {
        write(&mut workload.config.annotations, CONTAINERD_KEYS.image, name);
    }
}

/// A container of a Docker daemon through one of its runtimes.
pub(super) fn docker(daemon: &str, runtime: Option<&str>, workload: &mut Workload) {
    workload.entry = entry(Engine::Docker);
    workload.entry.daemon = Some(daemon.to_owned());
    workload.entry.runtime = runtime.map(str::to_owned);
}

/// The engine writes after the tenant, so its keys replace the container's own, and are gone where it has none.
fn write(annotations: &mut BTreeMap<String, String>, key: &str, value: Option<&str>) {
    annotations.remove(key);
    if let Some(value) = value {
        annotations.insert(key.to_owned(), value.to_owned());
    }
}

/// A short text of that kind that a glob matches. If there is none, one that it matches: such an identity knows nobody,
/// which is said where it stands.
fn witness(glob: &Glob, possible: Possible) -> String {
    possible.example(glob).unwrap_or_else(|| {
        let parts = tokens(&glob.0);
        let character = |token: &Token| match token {
            Token::Star | Token::DoubleStar => None,
            Token::One => Some('x'),
            Token::Literal(literal) => Some(*literal),
        };
        let shortest: String = parts.iter().filter_map(character).collect();
        if shortest.is_empty() && !parts.is_empty() { "x".to_owned() } else { shortest }
    })
}

#[cfg(test)]
mod tests {
    use gpupol_plan::glob;

    use super::{Glob, Possible, witness};

    #[test]
    fn a_witness_matches_its_glob() {
        for pattern in ["research-*", "*", "**", "a?c", "?", "*-x-*", "plain", "", "Team_?"] {
            for possible in [Possible::Namespace, Possible::PodName, Possible::Cgroup, Possible::NotEmpty] {
                let text = witness(&Glob(pattern.to_owned()), possible);
                assert!(glob::matches(pattern, &text), "{pattern} does not match {text}");
            }
        }
    }
}
