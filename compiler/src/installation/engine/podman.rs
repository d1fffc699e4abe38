//! Podman: the wrapper as its runtime; a hook before containers are made; or CDI devices that bring the hook.

use gpupol_plan::entry::{Engine, Entry, Form};
use serde_json::json;

use super::drop_in;
use super::{Step, Steps, entry, program};
use crate::installation::config::Edit;
use crate::installation::configured::podman::{self, DROP_INS};
use crate::installation::configured::{Layers, Runtimes};
use crate::installation::tree::Tree;
use crate::installation::{Error, HOOK, HOOK_NAME, Places, link_of};

/// Podman has no daemon that would have to read anything anew.
pub(super) const ACTIVATE: &str =
    "nothing needs a restart but Podman's API service, where it runs: `systemctl restart podman.service`";

/// It comes last, as far as names go.
const DROP_IN: &str = "/etc/containers/containers.conf.d/99-gpupol.conf";
const HOOK_FILE: &str = "/etc/containers/oci/hooks.d/gpupol.json";
/// Where packages put hooks.
const USUAL_HOOKS: &str = "/usr/share/containers/oci/hooks.d";
/// What Podman calls the runtime. Where its program is gone, Podman looks for one of this name, so it is no program's.
const RUNTIME: &str = "gpupol-runtime";
/// The runtimes that Podman takes by itself, the first that it finds.
const USUAL_RUNTIMES: [&str; 2] = ["crun", "runc"];

/// How Podman is to come through gpupol.
#[derive(Clone, Debug)]
pub struct Podman {
    /// Which way in.
    pub way: Way,
    /// A bare `NVIDIA_VISIBLE_DEVICES=all` asks.
    pub ask_by_env: bool,
}

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The wrapper is Podman's runtime.
    Runtime,
    /// A hook is asked before a container is made.
    Precreate,
    /// CDI devices bring the hook.
    Cdi,
}

impl Podman {
    pub(super) fn steps(&self, name: &str, places: &Places, tree: &Tree<'_>) -> Result<Steps, Error> {
        program::is_installed(tree, "Podman", "podman")?;
        let files = drop_in::read(tree, podman::files(tree.list(DROP_INS)?))?;
        let real = real_runtime(tree, &podman::runtimes(&files), places)?;
        let entry = Entry {
            ask_by_env: self.ask_by_env,
            real_runtime: (self.way != Way::Cdi).then_some(real),
            ..entry(Engine::Podman, if self.way == Way::Cdi { Form::Hook } else { Form::Spec }, places)
        };
        let (files, notes) = match self.way {
            Way::Runtime => (vec![runtime(name, &files)?], Vec::new()),
            Way::Precreate => (hook(name, &files)?, vec![LOST_BY_PRECREATE.to_owned()]),
            Way::Cdi => (Vec::new(), vec![LOST_BY_CDI.to_owned(), devices(name)]),
        };
        let is_wrapped = self.way == Way::Runtime;
        Ok(Steps { entry, is_wrapped, files, notes, activate: ACTIVATE.to_owned() })
    }
}

/// The runtime that makes the containers: that which Podman takes now.
fn real_runtime(tree: &Tree<'_>, configured: &Runtimes, places: &Places) -> Result<String, Error> {
    if let Some(named) = &places.real_runtime {
        return program::runtime(tree, named);
    }
    let Some(named) = configured.default_name() else {
        for usual in USUAL_RUNTIMES {
            if let Some(path) = program::find(tree, usual)? {
                return program::runtime(tree, &path);
            }
        }
        return program::runtime(tree, "runc");
    };
    if named == "nvidia" {
        return Err(program::nvidias(named));
    }
    let mut paths = configured.known.get(named).into_iter().flat_map(|runtime| &runtime.programs);
    let there = paths.find(|path| tree.is_program(path).unwrap_or_default());
    program::runtime(tree, there.map_or(named, String::as_str))
}

const LOST_BY_PRECREATE: &str = "Podman leaves out, without a word, a hook whose program is not there: then nobody guards its containers; \
     `--form runtime` stops them instead";
const LOST_BY_CDI: &str = "only containers that name a device of gpupol's are looked at: nothing guards the others; `--form runtime` does";

fn devices(name: &str) -> String {
    format!(
        "the devices are written by `gpupol export cdi --topology live --entry {name} --hook {HOOK} -o /etc/cdi/gpupol.json`"
    )
}

fn runtime(name: &str, files: &Layers) -> Result<Step, Error> {
    drop_in::nothing_after(files, DROP_IN, &["engine", "runtime"])?;
    drop_in::nothing_after(files, DROP_IN, &["engine", "runtimes", RUNTIME])?;
    let edits = [
        Edit::new(&["engine", "runtime"], RUNTIME),
        Edit::new(&["engine", "runtimes", RUNTIME], json!([link_of(name)])),
    ];
    Ok(Step::Own(DROP_IN.to_owned(), drop_in::text("podman", &edits)?))
}

/// The hook's file lies where Podman looks. Unless told where that is, Podman 4.3 reads hooks there and leaves those of this stage out.
fn hook(name: &str, files: &Layers) -> Result<Vec<Step>, Error> {
    let directory = HOOK_FILE.rsplit_once('/').map_or(HOOK_FILE, |(directory, _)| directory);
    let file = json!({"version": "1.0.0", "stages": ["precreate"], "when": {"always": true},
        "hook": {"path": HOOK, "args": [HOOK_NAME, "precreate", "--entry", name]}});
    let file = Step::Own(HOOK_FILE.to_owned(), format!("{file:#}\n"));
    let said = files.last(&["engine", "hooks_dir"]).filter(|(path, _)| *path != DROP_IN);
    let Some((path, value)) = said else {
        drop_in::nothing_after(files, DROP_IN, &["engine", "hooks_dir"])?;
        let edits = [Edit::new(&["engine", "hooks_dir"], json!([USUAL_HOOKS, directory]))];
        return Ok(vec![file, Step::Own(DROP_IN.to_owned(), drop_in::text("podman", &edits)?)]);
    };
    if value.as_array().is_some_and(|listed| listed.iter().any(|it| it.as_str() == Some(directory))) {
        return Ok(vec![file]);
    }
    let message = format!("`{path}` has Podman read hooks elsewhere than in `{directory}`");
    Err(Error::refused(message, format!("add `{directory}` to its `hooks_dir`")))
}
