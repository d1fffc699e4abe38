//! What the engines of Kubernetes' nodes have in common.

use gpupol_plan::entry::{Engine, Entry, Form};

use super::entry;
use crate::installation::Places;

/// The handler that becomes the default one.
const DEFAULT_HANDLER: &str = "gpupol";

/// How an engine of Kubernetes is to come through gpupol.
#[derive(Clone, Debug, Default)]
pub struct Kubernetes {
    /// A runtime handler of this name beside the default one, instead of it.
    pub runtime_name: Option<String>,
    /// gpupol chooses the devices, and no device plugin does.
    pub allocate: bool,
    /// `NVIDIA_VISIBLE_DEVICES` is what a device plugin allocated.
    pub allocation_by_env: bool,
}

impl Kubernetes {
    pub(super) fn handler(&self) -> &str {
        self.runtime_name.as_deref().unwrap_or(DEFAULT_HANDLER)
    }

    pub(super) fn is_default(&self) -> bool {
        self.runtime_name.is_none()
    }

    pub(super) fn entry(&self, engine: Engine, form: Form, places: &Places) -> Entry {
        Entry {
            allocate: self.allocate,
            allocation_by_env: self.allocation_by_env,
            ..entry(engine, form, places)
        }
    }

    pub(super) fn notes(&self, of_engine: &str) -> Vec<String> {
        let handler = self.runtime_name.as_ref().map(|name| {
            format!("only pods of a RuntimeClass with `handler: {name}` come through gpupol; nothing guards the others")
        });
        handler.into_iter().chain([of_engine.to_owned()]).collect()
    }
}
