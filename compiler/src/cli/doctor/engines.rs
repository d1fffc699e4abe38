//! What the engines of the host are configured to call: whether a container can come by without being asked.

use std::collections::BTreeMap;

use gpupol_plan::entry::{Engine, Entry, Form};
use gpupol_plan::guard::is_gpu_hook;
use serde::Serialize;

use super::entries::{Entries, base, is_foreign_runtime};
use super::finding;
use super::tree::Tree;
use crate::diag::{Code, Finding};

mod containerd;
mod crio;
mod docker;
mod hooks;
mod podman;
mod slurm;
mod toml;

/// What the name of a wrapper's link begins with; the rest is its entry's.
const WRAPPER: &str = "gpupol-runtime.";
/// The executor's own name.
const EXECUTOR: &str = "gpupol-hook";

/// An engine as it is configured.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Configured {
    /// Which.
    pub(super) engine: Engine,
    /// Whether its program is on the host.
    pub(super) present: bool,
    /// The files that say how it is configured.
    pub(super) files: Vec<String>,
    /// Its default runtime, as it calls that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<String>,
    /// Who makes its cgroups, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cgroup_driver: Option<String>,
    /// Files that cannot be understood, and why.
    #[serde(skip)]
    pub(super) broken: Vec<(String, String)>,
    /// What it calls.
    #[serde(skip)]
    pub(super) ways: Vec<Way>,
}

/// A program that an engine is told to call.
pub(super) struct Way {
    /// What says so.
    file: String,
    kind: Kind,
    program: String,
    /// Of a hook.
    arguments: Vec<String>,
}

/// When it is called.
enum Kind {
    /// For each container of which nobody says another runtime.
    Default(String),
    /// For containers that name this runtime.
    Runtime(String),
    /// For `docker run --gpus`.
    Gpus,
    /// For containers that match.
    Hook { stages: Vec<String>, always: bool },
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
        let (files, broken, ways) = (Vec::new(), Vec::new(), Vec::new());
        Self { engine, present, files, default: None, cgroup_driver: None, broken, ways }
    }

    /// Whether there is anything of it.
    pub(super) fn is_there(&self) -> bool {
        self.present || !self.files.is_empty()
    }
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
        findings.extend(engine.broken.iter().map(|(file, why)| unreadable(engine.engine, file, why)));
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

impl Way {
    /// In words.
    fn words(&self) -> String {
        let file = &self.file;
        match &self.kind {
            Kind::Default(_) => format!("the default runtime of `{file}`"),
            Kind::Runtime(name) => format!("runtime `{name}` of `{file}`"),
            Kind::Gpus => format!("`docker run --gpus`, as `{}`", self.program),
            Kind::Hook { stages, .. } => format!("`{file}` at {}", stages.join(", ")),
        }
    }

    /// The entry that it leads to, if it is one of gpupol's.
    fn entry(&self) -> Option<String> {
        let name = base(&self.program);
        match &self.kind {
            Kind::Gpus => Some("docker".to_owned()),
            _ if name.starts_with(WRAPPER) => name.strip_prefix(WRAPPER).map(str::to_owned),
            Kind::Hook { .. } if name == EXECUTOR => {
                let at = self.arguments.iter().position(|argument| argument == "--entry")?;
                self.arguments.get(at + 1).cloned()
            }
            _ => None,
        }
    }

    fn judge(
        &self,
        tree: &Tree,
        engine: Engine,
        entries: &Entries,
        callers: &mut BTreeMap<String, Callers>,
    ) -> Vec<Finding> {
        if self.is_foreign(tree) {
            return self.foreign(engine, entries).into_iter().collect();
        }
        let Some(name) = self.entry() else { return Vec::new() };
        let mut findings = Vec::new();
        let why = self.broken(tree, engine, &name, entries);
        let is_broken = why.is_some();
        findings.extend(why.map(|why| self.broken_way(engine, &why)));
        if let Some(callers) = callers.get_mut(&name) {
            callers.called_by.push(self.words());
            callers.fail_closed |= !is_broken && matches!(self.kind, Kind::Default(_));
        }
        findings.extend(self.skipped(engine));
        findings.extend(self.misnamed(&name, entries));
        findings
    }

    /// Another GPU stack's program. What dockerd calls for `--gpus` has NVIDIA's name even where it is ours.
    fn is_foreign(&self, tree: &Tree) -> bool {
        match self.kind {
            Kind::Gpus => tree.find(&self.program).is_some_and(|found| base(&found.place) != EXECUTOR),
            Kind::Hook { .. } => is_gpu_hook(&self.program) && self.entry().is_none(),
            _ => is_foreign_runtime(&self.program),
        }
    }

    fn foreign(&self, engine: Engine, entries: &Entries) -> Option<Finding> {
        let is_guarded = entries.values().any(|entry| entry.engine == engine);
        let (words, program, engine) = (self.words(), &self.program, engine.name());
        match &self.kind {
            Kind::Runtime(_) => is_guarded.then(|| {
                let message = format!("{words} is `{program}`: who starts a container of {engine} may choose it, and gets every GPU that it names");
                let help = format!("take the runtime out of `{}`, and restart {engine}", self.file);
                finding(Code::GpuStackBeside, message, help)
            }),
            Kind::Gpus if !is_guarded => None,
            kind => {
                let message = format!("{words} is another GPU stack's `{program}`, which gives GPUs and asks no policy");
                let help = match kind {
                    Kind::Gpus => format!("remove `{program}`, or the package that has it, and run `gpupol install docker`"),
                    Kind::Hook { .. } => format!("remove `{}`, or the package that has it", self.file),
                    _ => format!("run `gpupol install {engine}` once `{}` has runc or crun as the default", self.file),
                };
                Some(finding(Code::OtherGpuStack, message, help))
            }
        }
    }

    /// Why containers that come by it do not start, or are not asked.
    fn broken(&self, tree: &Tree, engine: Engine, name: &str, entries: &Entries) -> Option<String> {
        let program = &self.program;
        let Some(found) = tree.find(program) else { return Some(format!("`{program}` is not there")) };
        if !found.is_program() {
            return Some(format!("`{program}` is no program that can be run"));
        }
        if let Some(why) = tree.wrong_hands(&found.place) {
            return Some(why);
        }
        let Some(entry) = entries.get(name) else {
            return Some(format!("there is no sound entry `{name}`"));
        };
        let is_wrapper = matches!(self.kind, Kind::Default(_) | Kind::Runtime(_));
        if entry.engine != engine {
            Some(format!("entry `{name}` is for {}", entry.engine.name()))
        } else if is_wrapper && entry.form != Form::Spec {
            Some(format!("entry `{name}` is of form `hook`, and a wrapper needs form `spec`"))
        } else {
            None
        }
    }

    fn broken_way(&self, engine: Engine, why: &str) -> Finding {
        let what = match self.kind {
            Kind::Default(_) => format!("no new container of {} starts", engine.name()),
            Kind::Runtime(_) => "no container starts that names it".to_owned(),
            Kind::Gpus => "no container with `--gpus` starts".to_owned(),
            Kind::Hook { .. } if engine == Engine::Podman => {
                "its containers start all the same, and nobody asks".to_owned()
            }
            Kind::Hook { .. } => format!("no new container of {} starts", engine.name()),
        };
        let message = format!("{} is broken, and {what}: {why}", self.words());
        finding(Code::WayInBroken, message, format!("run `gpupol install {}` again", engine.name()))
    }

    /// A hook that its engine may leave out.
    fn skipped(&self, engine: Engine) -> Option<Finding> {
        let Kind::Hook { always, .. } = &self.kind else { return None };
        let message = if !always {
            format!(
                "`{}` is not for every container, but for those that match what they say of themselves",
                self.file
            )
        } else if engine == Engine::Podman {
            format!(
                "`{}` is left out by Podman, without a word, whenever `{}` is not there",
                self.file, self.program
            )
        } else {
            return None;
        };
        let help = match always {
            false => format!("write `\"when\": {{\"always\": true}}` into `{}`", self.file),
            true => "run `gpupol install podman`: its wrapper cannot be left out".to_owned(),
        };
        Some(finding(Code::FailOpen, message, help))
    }

    /// The entry says under which name the daemon knows it, and tenants are known by that.
    fn misnamed(&self, name: &str, entries: &Entries) -> Option<Finding> {
        let entry = entries.get(name).filter(|entry| entry.engine == Engine::Docker)?;
        let (called, is_default) = match &self.kind {
            Kind::Default(called) => (called, true),
            Kind::Runtime(called) => (called, false),
            _ => return None,
        };
        let said = entry.runtime.as_deref();
        if said == Some(called.as_str()) || (said.is_none() && is_default) {
            return None;
        }
        let said = said.map_or("the default one".to_owned(), |said| format!("`{said}`"));
        let message = format!(
            "entry `{name}` says that its runtime is {said}, and `{}` calls it `{called}`: its containers count as another tenant's",
            self.file
        );
        let help = format!("write `\"runtime\": \"{called}\"` into `/etc/gpupol/entries/{name}.json`");
        Some(finding(Code::BadEntry, message, help))
    }
}

impl Configured {
    /// Who comes by nobody.
    fn gaps(&self, tree: &Tree, entries: &Entries) -> Vec<Finding> {
        let mut own =
            entries.iter().filter(|(_, entry)| entry.engine == self.engine).map(|(name, _)| name).peekable();
        if own.peek().is_none() {
            return self.unguarded().into_iter().collect();
        }
        if self.engine == Engine::Slurm {
            return own.flat_map(|name| slurm::judge(tree, self, name)).collect();
        }
        let is_open = self.broken.is_empty() && !self.is_said();
        is_open.then(|| self.open()).into_iter().collect()
    }

    /// Whether its default runtime is gpupol's wrapper, which starts nothing if it is broken, or another GPU stack's: then the worst has
    /// been said of it.
    fn is_said(&self) -> bool {
        let is_said = |way: &Way| way.entry().is_some() || is_foreign_runtime(&way.program);
        self.ways.iter().any(|way| matches!(way.kind, Kind::Default(_)) && is_said(way))
    }

    fn unguarded(&self) -> Option<Finding> {
        let engine = self.engine.name();
        let message =
            format!("{engine} is on this host and no entry is for it: nobody asks its containers anything");
        let help = format!("run `gpupol install {engine}`");
        (self.present && !self.is_said()).then(|| finding(Code::EngineUnguarded, message, help))
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
