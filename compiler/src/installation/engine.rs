//! The engines: for each, the entry, and what its own configuration needs so that its containers come through gpupol.

use gpupol_plan::entry::{ENTRY_VERSION, Engine, Entry, Form};

use super::config::{Edit, Language};
use super::put::Put;
use super::tree::Tree;
use super::{Error, Places};

mod docker;
mod drop_in;
mod podman;
mod program;

pub use docker::Docker;
pub use podman::{Podman, Way};

/// Which engine, and how.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Docker.
    Docker(Docker),
    /// Podman.
    Podman(Podman),
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
    /// Settings in the engine's file.
    Settings(String, Language, Vec<Edit>),
}

impl Step {
    /// Plans it.
    pub(super) fn put(&self, put: &mut Put<'_, '_>) -> Result<(), Error> {
        match self {
            Self::Program(path) => put.program(path, super::Node::Link(super::HOOK_NAME.to_owned())),
            Self::Own(path, text) => put.own(path, text, 0o644),
            Self::Settings(path, language, edits) => put.settings(path, *language, edits),
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
        }
    }

    /// The entry's name unless another is wished.
    #[must_use]
    pub fn usual_name(&self) -> String {
        match self {
            Self::Docker(wish) => wish.usual_name(),
            Self::Podman(_) => "podman".to_owned(),
        }
    }

    /// What it needs on such a host.
    pub(super) fn steps(&self, name: &str, places: &Places, tree: &Tree<'_>) -> Result<Steps, Error> {
        match self {
            Self::Docker(wish) => wish.steps(name, places, tree),
            Self::Podman(wish) => wish.steps(name, places, tree),
        }
    }
}

/// What puts an uninstallation of an engine into effect.
#[must_use]
pub fn reactivate(engine: &str) -> String {
    match engine {
        "docker" => docker::ACTIVATE.to_owned(),
        _ => podman::ACTIVATE.to_owned(),
    }
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
