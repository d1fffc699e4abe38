//! Docker: `daemon.json`.

use serde_json::Value;

use super::{Runtime, Runtimes, word, words};

/// What dockerd reads unless its command line says otherwise.
pub const FILE: &str = "/etc/docker/daemon.json";
/// Docker's own name for the runtime that it brings, which is its default one unless a file says otherwise.
pub const BUILT_IN: &str = "runc";

/// What its file says. What is called is the runtime's path, or else its shim.
#[must_use]
pub fn runtimes(file: &str, settings: &Value) -> Runtimes {
    let known = settings.get("runtimes").and_then(Value::as_object).into_iter().flatten();
    let known = known.map(|(name, table)| {
        let program = word(table.get("path")).or_else(|| word(table.get("runtimeType")));
        let programs = program.into_iter().collect();
        (name.clone(), Runtime { file: file.to_owned(), programs, table: table.clone() })
    });
    let default = word(settings.get("default-runtime")).unwrap_or_else(|| BUILT_IN.to_owned());
    let options = settings.get("exec-opts").and_then(words).unwrap_or_default();
    let driver = options.iter().filter_map(|option| option.strip_prefix("native.cgroupdriver="));
    Runtimes {
        default: Some((default, file.to_owned())),
        known: known.collect(),
        cgroup_driver: driver.map(str::to_owned).next_back(),
        hooks: None,
    }
}
