//! `--identity KEY=VALUE`: who a container is, in the place of what its engine, its entry or the kernel say.

use gpupol_plan::entry::Engine;
use gpupol_plan::identity;

use crate::cli::Failure;
use crate::workload::Workload;
use crate::workload::identity::{allocate, record};

/// Says one thing of who the container is.
pub(super) fn identify(pair: &str, container: &mut Workload) -> Result<(), Failure> {
    let Some((key, value)) = pair.split_once('=') else {
        return Err(Failure::usage(format!("`{pair}` names no value"), "write `--identity KEY=VALUE`"));
    };
    if (container.entry.engine, key) == (Engine::Slurm, "gpus") {
        if value.contains('/') {
            let message = format!("`{value}` is a path, and of a recorded host no node can be asked");
            return Err(Failure::usage(message, "write `gpus=0,1`, or UUIDs or PCI addresses"));
        }
        allocate(value, container);
        return Ok(());
    }
    let value = value.to_owned();
    let Workload { entry, config, observed } = container;
    match (entry.engine, key) {
        (Engine::Docker, "daemon") => entry.daemon = Some(value),
        (Engine::Docker, "runtime") => entry.runtime = Some(value),
        (Engine::Podman, "user") => observed.user = uid(&value)?,
        (Engine::Slurm, "account" | "user" | "partition") => {
            let none = || record(String::new(), String::new(), String::new());
            let job = observed.job.get_or_insert_with(none);
            match key {
                "account" => job.account = value,
                "user" => job.user = value,
                _ => job.partition = value,
            }
        }
        (Engine::Containerd | Engine::Crio | Engine::Slurm, "cgroup") => observed.cgroup = Some(value),
        (engine, _) => {
            let annotation = annotation(engine, key).ok_or_else(|| no_such_key(engine, key))?;
            config.annotations.insert(annotation.to_owned(), value);
        }
    }
    Ok(())
}

/// A user's own Podman; that of uid 0 is root's.
fn uid(value: &str) -> Result<Option<u32>, Failure> {
    let uid: Result<u32, _> = value.parse();
    let uid = uid.map_err(|_| Failure::usage(format!("`user={value}` is no uid"), "write `user=1000`"))?;
    Ok(Some(uid).filter(|uid| *uid != 0))
}

/// The annotation by which an engine of Kubernetes says this of a pod.
fn annotation(engine: Engine, key: &str) -> Option<&'static str> {
    let keys = match engine {
        Engine::Containerd => identity::CONTAINERD_KEYS,
        Engine::Crio => identity::CRIO_KEYS,
        Engine::Docker | Engine::Podman | Engine::Slurm => return None,
    };
    match key {
        "namespace" => Some(keys.namespace),
        "uid" => Some(keys.uid),
        "name" => Some(keys.name),
        _ => None,
    }
}

fn no_such_key(engine: Engine, key: &str) -> Failure {
    let known = match engine {
        Engine::Containerd | Engine::Crio => "write `namespace=`, `uid=`, `name=` or `cgroup=`",
        Engine::Docker => "write `daemon=` or `runtime=`",
        Engine::Podman => "write `user=`",
        Engine::Slurm => "write `account=`, `user=`, `partition=`, `gpus=` or `cgroup=`",
    };
    Failure::usage(format!("identity `{key}` does not exist under {}", engine.name()), known)
}
