//! What engines are configured to run, by what their files say: which file counts, which runtime is the default one, and what each of them
//! calls. `install` asks before it changes a file, and the doctor afterwards; neither knows of it by itself. Nothing here reads a file.

use std::collections::BTreeMap;

use serde_json::Value;

pub mod containerd;
pub mod crio;
pub mod docker;
mod layers;
pub mod podman;

pub use layers::Layers;

/// A runtime that an engine knows by a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runtime {
    /// The file that says so last.
    pub file: String,
    /// Paths or names of the program, of which the engine takes the first that is there.
    pub programs: Vec<String>,
    /// All that is said of it.
    pub table: Value,
}

/// What is said of an engine's runtimes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runtimes {
    /// What the engine calls its default one, and the file that says so; nothing if none does.
    pub default: Option<(String, String)>,
    /// Those that it knows by name, but for what it brings itself.
    pub known: BTreeMap<String, Runtime>,
    /// Who makes its cgroups, if it is said.
    pub cgroup_driver: Option<String>,
    /// Where it looks for hooks, if it is said.
    pub hooks: Option<Vec<String>>,
}

impl Runtimes {
    /// The name of the default one.
    #[must_use]
    pub fn default_name(&self) -> Option<&str> {
        self.default.as_ref().map(|(name, _)| name.as_str())
    }
}

/// What stands at a path of keys.
fn at<'v>(value: &'v Value, keys: &[&str]) -> Option<&'v Value> {
    keys.iter().try_fold(value, |value, key| value.get(key))
}

/// The texts of a list.
fn words(list: &Value) -> Option<Vec<String>> {
    Some(list.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// A text that is not empty.
fn word(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).filter(|word| !word.is_empty()).map(str::to_owned)
}
