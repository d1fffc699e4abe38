//! containerd: `config.toml` of the versions 2 and 3, and what it imports.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Runtime, Runtimes, at, word, words};

mod imports;

pub use imports::{Imports, Unfollowed};

/// A file, and what it says.
pub type Document = (String, Value);

/// What it reads unless its command line says otherwise.
pub const FILE: &str = "/etc/containerd/config.toml";
/// The handler that it has by itself, which is the default one unless a file says otherwise.
pub const BUILT_IN: &str = "runc";
/// The plugin that starts pods' containers, by the version of the configuration.
const PLUGINS: [(i64, &str); 2] = [(2, "io.containerd.grpc.v1.cri"), (3, "io.containerd.cri.v1.runtime")];
/// The version in which tables that two files have of one plugin are put together.
pub const SHARED_VERSION: i64 = 3;
/// The only shims that call what `BinaryName` names.
const SHIMS: [&str; 2] = ["io.containerd.runc.v2", "io.containerd.runc.v1"];

/// The version of a file, without a word of it the first; nothing if it is no number.
#[must_use]
pub fn version(settings: &Value) -> Option<i64> {
    settings.get("version").map_or(Some(1), Value::as_i64)
}

/// What the plugin is called in a version, if that is one in which it has runtimes.
#[must_use]
pub fn plugin(version: i64) -> Option<&'static str> {
    PLUGINS.into_iter().find(|(known, _)| *known == version).map(|(_, plugin)| plugin)
}

/// Whether a file says anything of the plugin, by whichever of its names.
#[must_use]
pub fn names_plugin(settings: &Value) -> bool {
    PLUGINS.iter().any(|(_, plugin)| at(settings, &["plugins", plugin]).is_some())
}

/// By what name a file disables the plugin: a containerd that is Docker's alone has no runtime handlers. Before version 2 that is shorter.
#[must_use]
pub fn disabled(settings: &Value) -> Option<&str> {
    let disabled = settings.get("disabled_plugins").and_then(Value::as_array).into_iter().flatten();
    let is_plugin = |name: &&str| *name == "cri" || PLUGINS.iter().any(|(_, plugin)| plugin == name);
    disabled.filter_map(Value::as_str).find(is_plugin)
}

/// What a file says of the plugin's runtimes.
#[must_use]
pub fn said<'v>(settings: &'v Value, plugin: &str) -> Option<&'v Value> {
    at(settings, &["plugins", plugin, "containerd"])
}

/// The documents that count for the plugin, of all in the order in which they are read.
#[must_use]
pub fn counting(documents: &[Document]) -> Vec<&Document> {
    let Some(first) = documents.first() else { return Vec::new() };
    let mut counting = vec![first];
    for later in documents.iter().skip(1) {
        let own = later.1.get("version").map(Value::as_i64);
        if own == Some(Some(1)) {
            // Then containerd takes all files for such.
            return Vec::new();
        }
        // containerd 1 drops what earlier files say of a plugin of which a later one says anything, and containerd 2 does unless both
        // are of version 3, whose tables it puts together.
        if names_plugin(&later.1) {
            let is_shared = |value: &Value| version(value) == Some(SHARED_VERSION);
            counting.retain(|earlier| own == Some(Some(SHARED_VERSION)) && is_shared(&earlier.1));
            counting.push(later);
        }
    }
    counting
}

/// What these documents say together.
#[must_use]
pub fn runtimes(documents: &[&Document], plugin: &str) -> Runtimes {
    let (mut default, mut known) = ((BUILT_IN.to_owned(), String::new()), BTreeMap::new());
    for (file, settings) in documents {
        let Some(said) = said(settings, plugin) else { continue };
        if let Some(name) = said.get("default_runtime_name").and_then(Value::as_str) {
            default = (name.to_owned(), file.clone());
        }
        for (name, table) in said.get("runtimes").and_then(Value::as_object).into_iter().flatten() {
            let runtime: &mut Runtime = known.entry(name.clone()).or_default();
            runtime.file.clone_from(file);
            overrule(&mut runtime.table, table);
            runtime.programs = program(&runtime.table).into_iter().collect();
        }
    }
    let by_systemd =
        |runtime: &Runtime| at(&runtime.table, &["options", "SystemdCgroup"]) == Some(&Value::Bool(true));
    let is_systemds = known.values().any(by_systemd);
    let cgroup_driver = is_systemds.then(|| "systemd".to_owned());
    Runtimes { default: Some(default), known, cgroup_driver, hooks: None }
}

/// What makes the containers: another shim than runc's is that itself.
fn program(table: &Value) -> Option<String> {
    let shim = word(table.get("runtime_type")).filter(|shim| !SHIMS.contains(&shim.as_str()));
    let program = shim.or_else(|| word(table.get("runtime_path")));
    program.or_else(|| word(at(table, &["options", "BinaryName"])))
}

/// Puts what one file says over what others have said; a text that is empty says nothing.
fn overrule(known: &mut Value, more: &Value) {
    match (known, more) {
        (known, Value::Object(more)) => {
            if !known.is_object() {
                *known = Value::Object(serde_json::Map::new());
            }
            for (name, value) in more {
                if let Some(known) = known.as_object_mut() {
                    overrule(known.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        (known, Value::String(text)) if text.is_empty() && !known.is_null() => {}
        (known, more) => *known = more.clone(),
    }
}
