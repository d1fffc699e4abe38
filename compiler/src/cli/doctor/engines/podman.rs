//! Podman: `containers.conf` and its drop-ins, and its directories of hooks.

use gpupol_plan::entry::Engine;

use super::{Configured, Kind, Way, hooks};
use crate::cli::doctor::tree::Tree;
use crate::installation::configured::podman::{self, DROP_INS};
use crate::installation::configured::{Runtime, Runtimes};

const PROGRAMS: [&str; 2] = ["/usr/bin/podman", "/usr/local/bin/podman"];

pub(super) fn look(tree: &Tree) -> Configured {
    let mut found = Configured::of(Engine::Podman, tree, &PROGRAMS);
    let files = super::layers(tree, podman::files(tree.names(DROP_INS)), &mut found);
    let configured = podman::runtimes(&files);
    found.cgroup_driver.clone_from(&configured.cgroup_driver);
    ways(tree, &configured, &mut found);
    hooks::look(tree, configured.hooks.as_deref(), &mut found);
    found
}

/// Of the paths of a runtime Podman takes the first that is there; a default may be a path itself.
fn ways(tree: &Tree, configured: &Runtimes, found: &mut Configured) {
    let there = |runtime: &Runtime| {
        let paths = &runtime.programs;
        paths.iter().find(|path| tree.find(path).is_some()).or(paths.first()).cloned()
    };
    if let Some((path, file)) = configured.default.as_ref().filter(|(name, _)| name.starts_with('/')) {
        let (file, kind) = (file.clone(), Kind::Default(path.clone()));
        found.ways.push(Way { file, kind, program: path.clone(), arguments: Vec::new() });
    }
    found.call(configured, "the built-in one", there);
}
