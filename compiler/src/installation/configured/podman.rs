//! Podman: `containers.conf` and its drop-ins, of which the last wins.

use serde_json::Value;

use super::{Layers, Runtime, Runtimes, word, words};

/// That of its packages, and the host's.
const FILES: [&str; 2] = ["/usr/share/containers/containers.conf", "/etc/containers/containers.conf"];
/// What is read after these, in the order of their names.
pub const DROP_INS: &str = "/etc/containers/containers.conf.d";

/// Its files, in the order in which they are read, where these names are in [`DROP_INS`].
#[must_use]
pub fn files(drop_ins: Vec<String>) -> Vec<String> {
    let drop_ins = drop_ins.into_iter().filter(|name| name.ends_with(".conf"));
    FILES.map(str::to_owned).into_iter().chain(drop_ins.map(|name| format!("{DROP_INS}/{name}"))).collect()
}

/// What they say.
#[must_use]
pub fn runtimes(files: &Layers) -> Runtimes {
    let said = |key: &str| files.last(&["engine", key]);
    let default = said("runtime").and_then(|(file, value)| Some((word(Some(value))?, file.to_owned())));
    let known = files.entries(&["engine", "runtimes"]).map(|(file, name, value)| {
        let runtime =
            Runtime { file: file.to_owned(), programs: words(value).unwrap_or_default(), table: Value::Null };
        (name.to_owned(), runtime)
    });
    Runtimes {
        default,
        known: known.collect(),
        cgroup_driver: said("cgroup_manager").and_then(|(_, value)| word(Some(value))),
        hooks: said("hooks_dir").and_then(|(_, value)| words(value)),
    }
}
