//! CRI-O: `crio.conf` and its drop-ins, of which the last wins.

use std::collections::BTreeMap;

use gpupol_plan::entry::Engine;

use super::toml::{names, parse, word, words};
use super::{Configured, Kind, Way, hooks};
use crate::cli::doctor::tree::Tree;

const FILE: &str = "/etc/crio/crio.conf";
const DROP_INS: &str = "/etc/crio/crio.conf.d";
const PROGRAMS: [&str; 3] = ["/usr/bin/crio", "/usr/local/bin/crio", "/usr/sbin/crio"];
const HOOKS: [&str; 2] = ["/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"];

pub(super) fn look(tree: &Tree) -> Configured {
    let mut found = Configured::of(Engine::Crio, tree, &PROGRAMS);
    let drop_ins = tree.names(DROP_INS).into_iter().map(|name| format!("{DROP_INS}/{name}"));
    let files = std::iter::once(FILE.to_owned()).chain(drop_ins);
    // A later file's runtime replaces one of the same name.
    let (mut runtimes, mut directories) = (BTreeMap::new(), HOOKS.map(str::to_owned).to_vec());
    for file in files {
        let Some(text) = tree.text(&file) else { continue };
        found.files.push(file.clone());
        let document = match text.and_then(|text| parse(&text)) {
            Ok(document) => document,
            Err(why) => {
                found.broken.push((file, why));
                continue;
            }
        };
        let runtime = ["crio", "runtime"];
        let of = |keys: &[&str]| word(&document, &[runtime.as_slice(), keys].concat());
        found.default = of(&["default_runtime"]).or(found.default);
        found.cgroup_driver = of(&["cgroup_manager"]).or(found.cgroup_driver);
        directories = words(&document, &["crio", "runtime", "hooks_dir"]).unwrap_or(directories);
        for name in names(&document, &["crio", "runtime", "runtimes"]) {
            let program = of(&["runtimes", &name, "runtime_path"]).filter(|program| !program.is_empty());
            // Without a path CRI-O looks for a program of the runtime's name.
            let program = program.unwrap_or_else(|| name.clone());
            runtimes.insert(name, (file.clone(), program));
        }
    }
    let default = found.default.clone().unwrap_or_else(|| "runc".to_owned());
    found.ways.extend(runtimes.into_iter().map(|(name, (file, program))| {
        let kind = if name == default { Kind::Default(name) } else { Kind::Runtime(name) };
        Way { file, kind, program, arguments: Vec::new() }
    }));
    found.default = Some(default);
    if found.present || !found.files.is_empty() {
        hooks::look(tree, &directories, &mut found);
    }
    found
}
