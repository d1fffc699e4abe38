//! What the engines of the host are configured to call: whether a container can come by without being asked.

use std::collections::BTreeMap;

use gpupol_plan::entry::{Engine, Entry};
use serde::Serialize;

use super::entries::Entries;
use super::finding;
use super::tree::Tree;
use crate::diag::{Code, Finding};
use crate::installation::config::{self, Language};
use crate::installation::configured::{Layers, Runtime, Runtimes};

mod containerd;
mod crio;
mod docker;
mod hooks;
mod podman;
mod slurm;
mod way;

use way::{Kind, Way};

/// An engine as it is configured.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Configured {
    /// Which.
    pub(super) engine: Engine,
    /// Whether its program is on the host.
    pub(super) present: bool,
    /// Whether it makes containers that an entry could be for.
    #[serde(skip)]
    pub(super) serves: bool,
    /// The files that say how it is configured.
    pub(super) files: Vec<String>,
    /// Its default runtime, as it calls that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<String>,
    /// Who makes its cgroups, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cgroup_driver: Option<String>,
    /// Where it looks for specifications of CDI, as far as it has been asked; empty: nowhere.
    #[serde(skip)]
    pub(super) cdi: Vec<String>,
    /// Files that cannot be understood, and why.
    #[serde(skip)]
    pub(super) broken: Vec<(String, String)>,
    /// What it calls.
    #[serde(skip)]
    pub(super) ways: Vec<Way>,
}

/// By what containers come to an entry.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Callers {
    /// In words.
    pub(super) called_by: Vec<String>,
    /// Whether every container of its engine comes to it that names no other runtime, and none starts without it.
    pub(super) fail_closed: bool,
}

impl Configured {
    fn of(engine: Engine, tree: &Tree, programs: &[&str]) -> Self {
        let present = programs.iter().any(|program| tree.find(program).is_some());
        Self {
            engine,
            present,
            serves: true,
            files: Vec::new(),
            default: None,
            cgroup_driver: None,
            cdi: Vec::new(),
            broken: Vec::new(),
            ways: Vec::new(),
        }
    }

    /// Takes note of what it is configured to call, each by the program that `there` picks.
    fn call(&mut self, configured: &Runtimes, built_in: &str, there: impl Fn(&Runtime) -> Option<String>) {
        let default = configured.default_name().unwrap_or(built_in);
        for (name, runtime) in &configured.known {
            let Some(program) = there(runtime) else { continue };
            let kind = if name == default { Kind::Default } else { Kind::Runtime };
            let (file, kind) = (runtime.file.clone(), kind(name.clone()));
            self.ways.push(Way { file, kind, program, arguments: Vec::new() });
        }
        self.default = Some(default.to_owned());
    }

    /// Whether there is anything of it.
    pub(super) fn is_there(&self) -> bool {
        self.present || !self.files.is_empty()
    }
}

/// Those of these files that are there, of an engine whose configuration is in TOML.
fn layers(tree: &Tree, files: Vec<String>, found: &mut Configured) -> Layers {
    let mut layers = Layers::default();
    for file in files {
        let Some(text) = tree.text(&file) else { continue };
        found.files.push(file.clone());
        let look = |text: String| config::look(Language::Toml, &text).map_err(|fault| fault.to_string());
        match text.and_then(look) {
            Ok(value) => layers.push(file, value),
            Err(why) => found.broken.push((file, why)),
        }
    }
    layers
}

/// All engines.
pub(super) fn look(tree: &Tree) -> Vec<Configured> {
    let mut all = vec![containerd::look(tree), crio::look(tree)];
    all.extend(docker::look(tree));
    all.extend([podman::look(tree), slurm::look(tree)]);
    all
}

/// Who comes to which entry, and what is wrong with that.
pub(super) fn judge(
    tree: &Tree,
    engines: &[Configured],
    entries: &Entries,
) -> (BTreeMap<String, Callers>, Vec<Finding>) {
    let mut callers: BTreeMap<String, Callers> =
        entries.keys().map(|name| (name.clone(), Callers::default())).collect();
    let mut findings = Vec::new();
    for engine in engines {
        if engine.concerns(entries) {
            findings.extend(engine.broken.iter().map(|(file, why)| unreadable(engine.engine, file, why)));
        }
        for way in &engine.ways {
            findings.extend(way.judge(tree, engine.engine, entries, &mut callers));
        }
        findings.extend(engine.gaps(tree, entries));
    }
    findings.extend(callers.iter().filter_map(|(name, callers)| uncalled(name, entries.get(name)?, callers)));
    (callers, findings)
}

/// Under Slurm the bundles of users call it.
fn uncalled(name: &str, entry: &Entry, callers: &Callers) -> Option<Finding> {
    let engine = entry.engine.name();
    let message = format!("nothing that {engine} is configured to call leads to entry `{name}`");
    let help =
        format!("run `gpupol install {engine} --name {name}`, or `gpupol uninstall {engine} --name {name}`");
    let is_missed = callers.called_by.is_empty() && entry.engine != Engine::Slurm;
    is_missed.then(|| finding(Code::WayInMissing, message, help))
}

fn unreadable(engine: Engine, file: &str, why: &str) -> Finding {
    let message = format!("`{file}` of {} cannot be understood: {why}", engine.name());
    finding(
        Code::EngineConfigUnreadable,
        message,
        format!("mend `{file}`; nobody can say what {} calls", engine.name()),
    )
}

impl Configured {
    /// Whether anybody rests on its configuration. A containerd that serves no Kubernetes is Docker's, whose file is another.
    fn concerns(&self, entries: &Entries) -> bool {
        let has_entry = || entries.values().any(|entry| entry.engine == self.engine);
        self.engine != Engine::Containerd || self.present || has_entry()
    }

    /// Who comes by nobody.
    fn gaps(&self, tree: &Tree, entries: &Entries) -> Vec<Finding> {
        let mut own =
            entries.iter().filter(|(_, entry)| entry.engine == self.engine).map(|(name, _)| name).peekable();
        if own.peek().is_none() {
            return self.unguarded(tree).into_iter().collect();
        }
        if self.engine == Engine::Slurm {
            return own.flat_map(|name| slurm::judge(tree, self, name)).collect();
        }
        let is_open = self.serves && self.broken.is_empty() && !self.is_said(tree);
        is_open.then(|| self.open()).into_iter().collect()
    }

    /// Whether its default runtime is gpupol's wrapper, which starts nothing if it is broken, or another GPU stack's: then the worst has
    /// been said of it.
    fn is_said(&self, tree: &Tree) -> bool {
        let is_said = |way: &Way| way.entry().is_some() || way.is_foreign(tree);
        self.ways.iter().any(|way| matches!(way.kind, Kind::Default(_)) && is_said(way))
    }

    fn unguarded(&self, tree: &Tree) -> Option<Finding> {
        let engine = self.engine.name();
        let message =
            format!("{engine} is on this host and no entry is for it: nobody asks its containers anything");
        let help = format!("run `gpupol install {engine}`");
        (self.present && self.serves && !self.is_said(tree))
            .then(|| finding(Code::EngineUnguarded, message, help))
    }

    fn open(&self) -> Finding {
        let (engine, default) = (self.engine.name(), self.default.as_deref().unwrap_or("another"));
        let what = match self.engine {
            Engine::Docker => "`--privileged`, `--device` and `-v /dev:/dev` reach GPUs",
            _ => "containers with devices or privileges of their own reach GPUs",
        };
        let message = format!(
            "the default runtime of {engine} is `{default}`, which is no wrapper of gpupol's: by it {what} and nobody asks"
        );
        finding(
            Code::FailOpen,
            message,
            format!("run `gpupol install {engine}`, which makes the wrapper the default runtime"),
        )
    }
}
