//! CRI-O: `crio.conf` and its drop-ins, and its directories of hooks.

use gpupol_plan::entry::Engine;

use super::{Configured, hooks};
use crate::cli::doctor::tree::Tree;
use crate::installation::configured::crio::{self, DROP_INS};

const PROGRAMS: [&str; 3] = ["/usr/bin/crio", "/usr/local/bin/crio", "/usr/sbin/crio"];

pub(super) fn look(tree: &Tree) -> Configured {
    let mut found = Configured::of(Engine::Crio, tree, &PROGRAMS);
    let files = super::layers(tree, crio::files(tree.names(DROP_INS)), &mut found);
    let configured = crio::runtimes(&files);
    found.cgroup_driver.clone_from(&configured.cgroup_driver);
    found.call(&configured, "runc", |runtime| runtime.programs.first().cloned());
    hooks::look(tree, configured.hooks.as_deref(), &mut found);
    found
}
