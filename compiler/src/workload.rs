//! A container of a policy's test or of a workload file, as the engine would describe it to the hook.
//!
//! From here on nothing is simulated: the same functions of `gpupol_plan` that the hook calls read what is made here.

use gpupol_plan::config::{Config, DOCKER_GPUS_HOOK, DeviceRule, HookCall, Namespace};
use gpupol_plan::entry::{ENTRY_VERSION, Engine, Entry, Form};
use gpupol_plan::observed::Observed;
use gpupol_plan::request::{DRIVER_CAPABILITIES, FEATURES, GPUS, LIST_LIMIT, VISIBLE_DEVICES};

use crate::policy::{Container, Devices, Identity, Policy, Request, Tenant, Who};

pub(crate) mod identity;

/// What the hook would be given for a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The way in.
    pub entry: Entry,
    /// The container's configuration.
    pub config: Config,
    /// What the hook would find out besides.
    pub observed: Observed,
}

/// Describes a container. A tenant of the policy is stood for by the simplest container that its first identity
/// knows; a tenant without identities by one that no engine knows.
#[must_use]
pub fn describe(container: &Container, policy: &Policy) -> Workload {
    let mut workload =
        Workload { entry: entry(Engine::Podman), config: Config::default(), observed: Observed::default() };
    let config = &mut workload.config;
    confine(config);
    config.annotations = container.annotations.clone();
    config.annotations.extend(container.labels.clone());
    config.process.env = container.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let tenant = |name: &String| policy.tenants.get(name).and_then(Tenant::first_identity);
    match &container.who.value {
        Who::Tenant(name) => match tenant(name) {
            Some(known) => identity::instantiate(known, &mut workload),
            // Nobody's uid: the kernel keeps it for "none".
            None => workload.observed.user = Some(u32::MAX),
        },
        Who::Kubernetes { namespace, uid, name, cgroup } => {
            identity::kubernetes([namespace, uid, name].map(Option::as_deref), &mut workload);
            workload.observed.cgroup.clone_from(cgroup);
        }
        Who::Docker { daemon, runtime } => identity::docker(daemon, runtime.as_deref(), &mut workload),
        Who::Podman { user } => workload.observed.user = *user,
        Who::Slurm { job, cgroup } => {
            identity::slurm(job.clone(), &mut workload);
            workload.observed.cgroup.clone_from(cgroup);
        }
    }
    identity::image(container.image.as_deref(), &mut workload);
    if let Some(request) = &container.request {
        ask(&request.value, &mut workload);
    }
    workload
}

/// What every engine writes for an ordinary container: namespaces of its own, and no device but those it is given.
fn confine(config: &mut Config) {
    let own = |kind: &str| Namespace { kind: kind.to_owned(), path: String::new() };
    config.linux.namespaces = ["pid", "ipc", "mount"].map(own).into();
    config.linux.resources.devices = vec![DeviceRule::default()];
}

impl Tenant {
    fn first_identity(&self) -> Option<&Identity> {
        self.identities.first().map(|identity| &identity.value)
    }
}

/// An entry of that engine as `gpupol` installs it on a host where nobody but Slurm allocates.
fn entry(engine: Engine) -> Entry {
    Entry {
        entry_version: ENTRY_VERSION,
        engine,
        daemon: None,
        runtime: None,
        form: Form::Hook,
        real_runtime: None,
        ask_by_env: false,
        allocate: engine != Engine::Slurm,
        allocation_by_env: false,
        plans: "/etc/gpupol/plans".to_owned(),
        state_dir: "/run/gpupol".to_owned(),
        audit: "/var/log/gpupol/audit.jsonl".to_owned(),
    }
}

/// Writes a request where the engine's users would: Docker's as its own `--gpus`, the others' as an annotation. Under Slurm a list is
/// what it has allocated.
fn ask(request: &Request, workload: &mut Workload) {
    if let (Engine::Slurm, Devices::Visible(list)) = (workload.entry.engine, &request.devices) {
        identity::allocate(list, workload);
    }
    let by_docker = workload.entry.engine == Engine::Docker;
    let word = match &request.devices {
        Devices::Count(count) if by_docker => numbers(*count),
        Devices::Count(count) => count.to_string(),
        Devices::All => "all".to_owned(),
        Devices::Visible(list) => list.clone(),
    };
    // A list in the variable asks by itself; a bare `all` there is in every CUDA image and does not.
    let named = matches!(request.devices, Devices::Visible(_)) && word != "all";
    let Config { annotations, process, hooks, .. } = &mut workload.config;
    if by_docker || named {
        process.env.push(format!("{VISIBLE_DEVICES}={word}"));
    }
    if by_docker && !named {
        hooks.prestart.push(docker_gpus());
    } else if !named {
        annotations.insert(GPUS.to_owned(), word);
    }
    if let Some(features) = &request.features {
        annotations.insert(FEATURES.to_owned(), features.clone());
    }
    if let Some(capabilities) = &request.capabilities {
        process.env.push(format!("{DRIVER_CAPABILITIES}={capabilities}"));
    }
}

/// dockerd writes a count as that many numbers from 0. One more than the hook reads is as good as any number more.
fn numbers(count: u32) -> String {
    let most = u32::try_from(LIST_LIMIT).unwrap_or(u32::MAX).saturating_add(1);
    let numbers: Vec<String> = (0..count.min(most)).map(|number| number.to_string()).collect();
    numbers.join(",")
}

fn docker_gpus() -> HookCall {
    HookCall { path: format!("/usr/bin/{DOCKER_GPUS_HOOK}"), args: Vec::new() }
}
