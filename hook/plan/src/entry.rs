//! An entry: one installed way in, `/etc/gpupol/entries/NAME.json`, written by root.

use serde::{Deserialize, Serialize};

use crate::document;
use crate::refusal::{Reason, Refusal};

/// The version of [`Entry`] that this crate reads and writes.
pub const ENTRY_VERSION: u32 = 1;

/// What root said of one way in. Nothing else (no argument, variable or annotation) changes what the hook trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// Always [`ENTRY_VERSION`]; anything else is refused.
    pub entry_version: u32,
    /// The engine that calls.
    pub engine: Engine,
    /// Which daemon of that engine, Docker only; `default` when it is the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon: Option<String>,
    /// Under which runtime name the engine knows this entry, Docker only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Which form of a plan is applied.
    pub form: Form,
    /// Absolute path of the runtime that a wrapper calls; unused by [`Form::Hook`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real_runtime: Option<String>,
    /// Whether a bare `NVIDIA_VISIBLE_DEVICES=all` asks for GPUs.
    #[serde(default)]
    pub ask_by_env: bool,
    /// Whether gpupol chooses the devices; otherwise somebody else (a device plugin, Slurm) allocates, and gpupol is the
    /// ceiling.
    #[serde(default)]
    pub allocate: bool,
    /// Whether `NVIDIA_VISIBLE_DEVICES` counts as an allocation under Kubernetes; never beside `allocate`.
    #[serde(default)]
    pub allocation_by_env: bool,
    /// Directory of the plan sets; the symlink `current` in it names the one in force.
    pub plans: String,
    /// Directory of the leases, on a file system that a reboot empties.
    pub state_dir: String,
    /// File of the audit records, one JSON line each.
    pub audit: String,
}

impl Entry {
    /// Reads an entry file.
    ///
    /// # Errors
    ///
    /// [`Reason::PlanSet`] if it is of another version or not such a document, or if it trusts the environment where that
    /// says nothing or where every image says `all`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let entry: Self = document::parse("entry", ENTRY_VERSION, bytes)?;
        match entry.contradiction() {
            None => Ok(entry),
            Some(why) => Err(Refusal::new(Reason::PlanSet, format!("entry contradicts itself: {why}"))),
        }
    }

    fn contradiction(&self) -> Option<&'static str> {
        if self.engine == Engine::Slurm && (self.allocate || self.ask_by_env) {
            return Some("Slurm allocates; leave `allocate` and `askByEnv` out");
        }
        if self.engine == Engine::Slurm && self.form == Form::Spec {
            return Some(
                "Slurm's users call their runtimes, so that nothing is enforced; write the form `hook`",
            );
        }
        let is_ceiling = self.engine.is_kubernetes() && !self.allocate;
        if self.allocation_by_env && self.allocate {
            Some(
                "`allocationByEnv` is about what others allocate, and with `allocate` gpupol does; leave one out",
            )
        } else if self.allocation_by_env && !is_ceiling {
            Some("`allocationByEnv` is for entries of containerd and crio; leave it out")
        } else if self.ask_by_env && is_ceiling {
            Some("`askByEnv` lets every image ask, and through this entry Kubernetes allocates; leave it out")
        } else {
            None
        }
    }
}

/// A container engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// containerd's CRI plugin.
    Containerd,
    /// CRI-O.
    Crio,
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// Slurm's OCI container support.
    Slurm,
}

impl Engine {
    /// Every engine, in the order of the bits by which an index names some of them.
    pub const ALL: [Self; 5] = [Self::Containerd, Self::Crio, Self::Docker, Self::Podman, Self::Slurm];

    /// Whether it is an engine of Kubernetes' nodes.
    #[must_use]
    pub fn is_kubernetes(self) -> bool {
        matches!(self, Self::Containerd | Self::Crio)
    }

    /// The word for it in entries, leases and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Crio => "crio",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Slurm => "slurm",
        }
    }
}

/// The form of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Edits of `config.json` before the runtime creates the container.
    Spec,
    /// What a prestart or createRuntime hook can do.
    Hook,
}
