//! Hooks of other GPU stacks, which give devices after us or beside us.

use super::Trip;
use super::row::GPU_HOOK;
use crate::config::{Config, DOCKER_GPUS_HOOK, HookCall};
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
