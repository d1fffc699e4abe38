//! One program that an engine is told to call: whether it leads to an entry, and what is wrong with that.

use std::collections::BTreeMap;

use gpupol_plan::entry::{Engine, Form};
use gpupol_plan::guard::is_gpu_hook;

use super::Callers;
use crate::cli::doctor::entries::{Entries, base, is_foreign_runtime};
use crate::cli::doctor::finding;
use crate::cli::doctor::tree::{Found, Tree};
use crate::diag::{Code, Finding};

/// What the name of a wrapper's link begins with; the rest is its entry's.
const WRAPPER: &str = "gpupol-runtime.";
/// The executor's own name.
const EXECUTOR: &str = "gpupol-hook";

/// A program that an engine is told to call.
pub(in crate::cli::doctor) struct Way {
    /// What says so.
    pub(super) file: String,
    pub(super) kind: Kind,
    pub(super) program: String,
    /// Of a hook.
    pub(super) arguments: Vec<String>,
}

/// When it is called.
pub(super) enum Kind {
    /// For each container of which nobody says another runtime.
    Default(String),
    /// For containers that name this runtime.
    Runtime(String),
    /// For `docker run --gpus`.
    Gpus,
    /// For containers that match.
    Hook { stages: Vec<String>, always: bool },
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
    pub(super) fn entry(&self) -> Option<String> {
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

    pub(super) fn judge(
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
        findings.extend(why.map(|why| self.broken_way(tree, engine, &why)));
        if let Some(callers) = callers.get_mut(&name) {
            callers.called_by.push(self.words());
            callers.fail_closed |= !is_broken && matches!(self.kind, Kind::Default(_));
        }
        findings.extend(self.skipped(engine));
        findings.extend(self.misnamed(&name, entries));
        findings
    }

    /// Another GPU stack's program. What dockerd calls for `--gpus` has NVIDIA's name even where it is ours.
    pub(super) fn is_foreign(&self, tree: &Tree) -> bool {
        match self.kind {
            Kind::Gpus => tree.find(&self.program).is_some_and(|found| base(&found.place) != EXECUTOR),
            Kind::Hook { .. } => is_gpu_hook(&self.program) && self.entry().is_none(),
            _ => is_foreign_runtime(tree, &self.program),
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
        if let Some(why) = misled(program, &found).or_else(|| tree.wrong_hands(&found.place)) {
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

    fn broken_way(&self, tree: &Tree, engine: Engine, why: &str) -> Finding {
        let is_other = |found: &Found| found.is_program() && misled(&self.program, found).is_some();
        let what = match self.kind {
            _ if tree.find(&self.program).is_some_and(|found| is_other(&found)) => {
                "nobody asks its containers anything".to_owned()
            }
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

/// A name says what something was meant to be; the executor's link that leads elsewhere lets everybody by.
fn misled(program: &str, found: &Found) -> Option<String> {
    let place = &found.place;
    (base(place) != EXECUTOR).then(|| match program == place {
        true => format!("`{program}` is no link to `{EXECUTOR}`"),
        false => format!("`{program}` leads to `{place}`, which is not `{EXECUTOR}`"),
    })
}
