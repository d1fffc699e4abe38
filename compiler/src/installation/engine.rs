//! The engines: for each, the entry, and what its own configuration needs so that its containers come through gpupol.

use gpupol_plan::entry::{ENTRY_VERSION, Engine, Entry, Form};

use super::config::{Edit, Language};
use super::put::Put;
use super::tree::Tree;
use super::{Error, Places};

mod containerd;
mod crio;
mod docker;
mod drop_in;
mod kubernetes;
mod podman;
mod program;
mod slurm;

pub use containerd::Containerd;
pub use crio::Crio;
pub use docker::Docker;
pub use kubernetes::Kubernetes;
pub use podman::{Podman, Way};
pub use slurm::Slurm;

/// Which engine, and how.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Docker.
    Docker(Docker),
    /// Podman.
    Podman(Podman),
    /// containerd's CRI plugin.
    Containerd(Containerd),
    /// CRI-O.
    Crio(Crio),
    /// Slurm.
    Slurm(Slurm),
}

/// What an engine needs.
pub(super) struct Steps {
    /// The entry.
    pub(super) entry: Entry,
    /// Whether a link stands in front of the runtime.
    pub(super) is_wrapped: bool,
    /// The files, in this order.
    pub(super) files: Vec<Step>,
    /// What whoever installs ought to know.
    pub(super) notes: Vec<String>,
    /// What puts it into effect.
    pub(super) activate: String,
}

/// One file that an engine needs.
pub(super) enum Step {
    /// A link to the hook in the directory of programs.
    Program(String),
    /// A file of gpupol's.
    Own(String, String),
    /// A program of gpupol's.
    Script(String, String),
    /// A link of gpupol's.
    Link(String, String),
    /// Settings in the engine's file.
    Settings(String, Language, Vec<Edit>),
    /// The same in a file that has to begin with such a text.
    SettingsIn(&'static str, String, Language, Vec<Edit>),
}

impl Step {
    /// Plans it.
    pub(super) fn put(&self, put: &mut Put<'_, '_>) -> Result<(), Error> {
        match self {
            Self::Program(path) => put.program(path, super::Node::Link(super::HOOK_NAME.to_owned())),
            Self::Own(path, text) => put.own(path, text, 0o644),
            Self::Script(path, text) => put.own(path, text, 0o755),
            Self::Link(path, target) => put.own_link(path, target),
            Self::Settings(path, language, edits) => put.settings(path, *language, edits, ""),
            Self::SettingsIn(begun, path, language, edits) => put.settings(path, *language, edits, begun),
        }
    }
}

impl Wish {
    /// The engine's word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Docker(_) => "docker",
            Self::Podman(_) => "podman",
            Self::Containerd(_) => "containerd",
            Self::Crio(_) => "crio",
            Self::Slurm(_) => "slurm",
        }
    }

    /// The entry's name unless another is wished.
    #[must_use]
    pub fn usual_name(&self) -> String {
        match self {
            Self::Docker(wish) => wish.usual_name(),
            Self::Containerd(Containerd { kubernetes, .. }) | Self::Crio(Crio { kubernetes }) => {
                kubernetes.runtime_name.clone().unwrap_or_else(|| self.word().to_owned())
            }
            Self::Podman(_) | Self::Slurm(_) => self.word().to_owned(),
        }
    }

    /// The names that whoever installs chose for engines to use.
    pub(super) fn given_names(&self) -> Vec<&str> {
        let names = match self {
            Self::Docker(Docker { runtime_name, daemon, .. }) => [runtime_name, daemon],
            Self::Containerd(Containerd { kubernetes, .. }) | Self::Crio(Crio { kubernetes }) => {
                [&kubernetes.runtime_name, &None]
            }
            Self::Podman(_) | Self::Slurm(_) => [&None, &None],
        };
        names.into_iter().filter_map(Option::as_deref).collect()
    }

    /// What it needs on such a host.
    pub(super) fn steps(&self, name: &str, places: &Places, tree: &Tree<'_>) -> Result<Steps, Error> {
        match self {
            Self::Docker(wish) => wish.steps(name, places, tree),
            Self::Podman(wish) => wish.steps(name, places, tree),
            Self::Containerd(wish) => wish.steps(name, places, tree),
            Self::Crio(wish) => wish.steps(name, places, tree),
            Self::Slurm(wish) => wish.steps(name, places, tree),
        }
    }
}

/// What puts an uninstallation of an engine into effect.
#[must_use]
pub fn reactivate(engine: &str) -> String {
    let words = match engine {
        "docker" => docker::ACTIVATE,
        "containerd" => containerd::ACTIVATE,
        "crio" => crio::ACTIVATE,
        "slurm" => slurm::ACTIVATE,
        _ => podman::ACTIVATE,
    };
    words.to_owned()
}

/// An entry in which only what every engine's has is said.
fn entry(engine: Engine, form: Form, places: &Places) -> Entry {
    Entry {
        entry_version: ENTRY_VERSION,
        engine,
        daemon: None,
        runtime: None,
        form,
        real_runtime: None,
        ask_by_env: false,
        allocate: true,
        allocation_by_env: false,
        plans: places.plans.clone(),
        state_dir: places.state.clone(),
        audit: places.audit.clone(),
    }
}
