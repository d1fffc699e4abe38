//! CRI-O: `crio.conf` and its drop-ins, of which the last wins.

use super::{Layers, Runtime, Runtimes, word, words};

const FILE: &str = "/etc/crio/crio.conf";
/// What is read after it, in the order of their names: every file, whatever it is called.
pub const DROP_INS: &str = "/etc/crio/crio.conf.d";

/// Its files, in the order in which they are read, where these names are in [`DROP_INS`].
#[must_use]
pub fn files(drop_ins: Vec<String>) -> Vec<String> {
    let drop_ins = drop_ins.into_iter().map(|name| format!("{DROP_INS}/{name}"));
    std::iter::once(FILE.to_owned()).chain(drop_ins).collect()
}

/// What they say. Without a path CRI-O looks for a program of the runtime's name.
#[must_use]
pub fn runtimes(files: &Layers) -> Runtimes {
    let said = |key: &str| files.last(&["crio", "runtime", key]);
    let default =
        said("default_runtime").and_then(|(file, value)| Some((word(Some(value))?, file.to_owned())));
    let known = files.entries(&["crio", "runtime", "runtimes"]).map(|(file, name, table)| {
        let program = word(table.get("runtime_path")).unwrap_or_else(|| name.to_owned());
        let runtime = Runtime { file: file.to_owned(), programs: vec![program], table: table.clone() };
        (name.to_owned(), runtime)
    });
    Runtimes {
        default,
        known: known.collect(),
        cgroup_driver: said("cgroup_manager").and_then(|(_, value)| word(Some(value))),
        hooks: said("hooks_dir").and_then(|(_, value)| words(value)),
    }
}
