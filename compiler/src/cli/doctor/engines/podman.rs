//! Podman: `containers.conf` and its drop-ins, of which the last wins; its directories of hooks.

use std::collections::BTreeMap;

use gpupol_plan::entry::Engine;

use super::toml::{names, parse, word, words};
use super::{Configured, Kind, Way, hooks};
use crate::cli::doctor::tree::Tree;

const FILES: [&str; 2] = ["/usr/share/containers/containers.conf", "/etc/containers/containers.conf"];
const DROP_INS: &str = "/etc/containers/containers.conf.d";
const PROGRAMS: [&str; 2] = ["/usr/bin/podman", "/usr/local/bin/podman"];
const HOOKS: [&str; 2] = ["/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"];

/// Of each runtime's name the file that counts, and its programs.
type Runtimes = BTreeMap<String, (String, Vec<String>)>;

pub(super) fn look(tree: &Tree) -> Configured {
    let mut found = Configured::of(Engine::Podman, tree, &PROGRAMS);
    let drop_ins = tree.names(DROP_INS).into_iter().filter(|name| name.ends_with(".conf"));
    let drop_ins = drop_ins.map(|name| format!("{DROP_INS}/{name}"));
    let files = FILES.map(str::to_owned).into_iter().chain(drop_ins);
    // A later file's runtime replaces one of the same name.
    let (mut runtimes, mut directories) = (Runtimes::new(), HOOKS.map(str::to_owned).to_vec());
    let mut said = String::new();
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
        if let Some(default) = word(&document, &["engine", "runtime"]) {
            (found.default, said) = (Some(default), file.clone());
        }
        found.cgroup_driver = word(&document, &["engine", "cgroup_manager"]).or(found.cgroup_driver);
        directories = words(&document, &["engine", "hooks_dir"]).unwrap_or(directories);
        for name in names(&document, &["engine", "runtimes"]) {
            let paths = words(&document, &["engine", "runtimes", &name]).unwrap_or_default();
            runtimes.insert(name, (file.clone(), paths));
        }
    }
    ways(tree, runtimes, &said, &mut found);
    if found.present || !found.files.is_empty() {
        hooks::look(tree, &directories, &mut found);
    }
    found
}

/// Of the paths of a runtime Podman takes the first that is there; a default may be a path itself.
fn ways(tree: &Tree, runtimes: Runtimes, said: &str, found: &mut Configured) {
    let default = found.default.clone().unwrap_or_else(|| "the built-in one".to_owned());
    if default.starts_with('/') {
        let kind = Kind::Default(default.clone());
        found.ways.push(Way { file: said.to_owned(), kind, program: default.clone(), arguments: Vec::new() });
    }
    for (name, (file, paths)) in runtimes {
        let program = paths.iter().find(|path| tree.find(path).is_some()).or(paths.first());
        let Some(program) = program.cloned() else { continue };
        let kind = if name == default { Kind::Default(name) } else { Kind::Runtime(name) };
        found.ways.push(Way { file, kind, program, arguments: Vec::new() });
    }
    found.default = Some(default);
}
