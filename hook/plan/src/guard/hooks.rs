//! Hooks of other GPU stacks, which give devices after us or beside us.

use super::Trip;
use super::row::GPU_HOOK;
use crate::config::{Config, DOCKER_GPUS_HOOK, HookCall, Hooks};
use crate::entry::{Engine, Entry};

/// Programs that NVIDIA's and AMD's container stacks install as hooks.
const PROGRAMS: [&str; 6] = [
    DOCKER_GPUS_HOOK,
    "nvidia-container-toolkit",
    "nvidia-cdi-hook",
    "nvidia-ctk",
    "oci-nvidia-hook",
    "amd-container-hook",
];

pub(super) fn trips(entry: &Entry, config: &Config) -> Vec<Trip> {
    let found = config.hooks.before_start().find(|call| is_foreign(entry, call));
    found.map(|call| Trip { row: &GPU_HOOK, what: format!("the hook `{}`", call.path) }).into_iter().collect()
}

/// What NVIDIA's CDI specifications have done at createContainer: links, the loader's cache and files that say which GPUs there are.
/// None of it gives a device. A word that is not known here might.
const OF_CDI: [&str; 6] = [
    "chmod",
    "create-symlinks",
    "disable-device-node-modification",
    "enable-cuda-compat",
    "update-application-profile",
    "update-ldcache",
];

/// Takes out the hooks that NVIDIA's CDI devices bring, which are no stack that gives devices; says whether there were any.
pub(super) fn remove_of_cdi(hooks: &mut Hooks) -> bool {
    let before = hooks.create_container.len();
    hooks.create_container.retain(|call| !is_of_cdi(call));
    hooks.create_container.len() < before
}

/// `nvidia-cdi-hook WORD …`, which older specifications call `nvidia-ctk hook WORD …`.
fn is_of_cdi(call: &HookCall) -> bool {
    let word = |at: usize| call.args.get(at).map_or("", String::as_str);
    match name(&call.path) {
        "nvidia-cdi-hook" => OF_CDI.contains(&word(1)),
        "nvidia-ctk" => word(1) == "hook" && OF_CDI.contains(&word(2)),
        _ => false,
    }
}

/// Under Docker NVIDIA's name is that of our own link.
fn is_foreign(entry: &Entry, call: &HookCall) -> bool {
    let ours = entry.engine == Engine::Docker && name(&call.path) == DOCKER_GPUS_HOOK;
    is_gpu_hook(&call.path) && !ours
}

/// Whether a hook's program is one of those.
#[must_use]
pub fn is_gpu_hook(path: &str) -> bool {
    PROGRAMS.contains(&name(path))
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}
