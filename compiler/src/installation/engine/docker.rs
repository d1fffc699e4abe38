//! Docker: the wrapper as a daemon's default runtime or as a named one, and the program that dockerd calls for `--gpus`.

use gpupol_plan::config::DOCKER_GPUS_HOOK;
use gpupol_plan::entry::{Engine, Form};
use serde_json::{Value, json};

use super::{Step, Steps, entry, program};
use crate::installation::config::{self, Edit, Language};
use crate::installation::put::faulty;
use crate::installation::tree::{Node, Tree};
use crate::installation::{Error, HOOK, HOOK_NAME, PROGRAMS, Places, link_of};

/// What puts a changed daemon.json into effect.
pub(super) const ACTIVATE: &str =
    "restart Docker: `systemctl restart docker` (containers go on meanwhile only with `live-restore`)";

/// What a daemon calls the runtime that is to be its default one.
const DEFAULT_NAME: &str = "gpupol";
/// Docker's own name for the runtime that it brings.
const BUILT_IN: &str = "runc";
/// With this program in its `PATH` dockerd 29 (moby #50228) gives GPUs by NVIDIA's CDI specification, and calls no hook.
const CDI_HOOK: &str = "nvidia-cdi-hook";
/// Where a command line of dockerd may stand.
const UNITS: [&str; 4] = [
    "/etc/default/docker",
    "/etc/systemd/system/docker.service",
    "/lib/systemd/system/docker.service",
    "/usr/lib/systemd/system/docker.service",
];
/// Where more of it may stand.
const DROP_INS: [&str; 2] =
    ["/etc/systemd/system/docker.service.d", "/usr/lib/systemd/system/docker.service.d"];
/// What dockerd reads unless its command line says otherwise.
const USUAL: &str = "/etc/docker/daemon.json";

/// How Docker is to come through gpupol.
#[derive(Clone, Debug, Default)]
pub struct Docker {
    /// Which daemon, if not the only one.
    pub daemon: Option<String>,
    /// Its configuration file, if not the usual one.
    pub config: Option<String>,
    /// A runtime of this name beside the default one, instead of it.
    pub runtime_name: Option<String>,
    /// A bare `NVIDIA_VISIBLE_DEVICES=all` asks; of a named runtime only.
    pub ask_by_env: bool,
    /// Only what dockerd calls for `--gpus`, and no runtime.
    pub gpus_only: bool,
}

impl Docker {
    pub(super) fn usual_name(&self) -> String {
        let name = self.runtime_name.as_deref().unwrap_or("docker");
        self.daemon.as_ref().map_or_else(|| name.to_owned(), |daemon| format!("{name}-{daemon}"))
    }

    pub(super) fn steps(&self, name: &str, places: &Places, tree: &Tree<'_>) -> Result<Steps, Error> {
        if self.config.is_none() {
            program::is_installed(tree, "Docker", "dockerd")?;
            reads_the_usual_file(tree)?;
        }
        let path = self.config.as_deref().unwrap_or(USUAL);
        let text = tree.text(path)?.unwrap_or_default();
        let settings = config::read(Language::Json, &text).map_err(|fault| faulty(path, &fault))?;
        no_other_hook(tree, &settings)?;
        let link = Step::Program(format!("{PROGRAMS}/{DOCKER_GPUS_HOOK}"));
        let mut notes = nvidias_runtimes(&settings);
        if self.gpus_only {
            if name != "docker" {
                let message = format!(
                    "`--gpus-only` as `{name}`: what dockerd calls for `--gpus` is the entry `docker`"
                );
                return Err(Error::refused(message, "leave out `--name`"));
            }
            notes.push("without a runtime of gpupol's nothing guards containers that are given a GPU's node by `--device`, `-v` or \
                        `--privileged`".to_owned());
            return Ok(Steps {
                entry: self.entry(Form::Hook, places, None),
                is_wrapped: false,
                files: vec![link],
                notes,
                activate: ACTIVATE.to_owned(),
            });
        }
        let real = self.real_runtime(tree, &settings, places)?;
        let value = runtime(name, &settings, places);
        Ok(Steps {
            entry: self.entry(Form::Spec, places, Some(real)),
            is_wrapped: true,
            files: vec![
                link,
                Step::Settings(path.to_owned(), Language::Json, self.edits(tree, path, &settings, value)?),
            ],
            notes,
            activate: ACTIVATE.to_owned(),
        })
    }

    fn entry(&self, form: Form, places: &Places, real_runtime: Option<String>) -> gpupol_plan::entry::Entry {
        gpupol_plan::entry::Entry {
            daemon: self.daemon.clone(),
            runtime: self.runtime_name.clone(),
            ask_by_env: self.ask_by_env,
            real_runtime,
            ..entry(Engine::Docker, form, places)
        }
    }

    fn edits(&self, tree: &Tree<'_>, path: &str, settings: &Value, value: Value) -> Result<Vec<Edit>, Error> {
        let runtime = self.runtime_name.as_deref().unwrap_or(DEFAULT_NAME);
        let found = settings.pointer("/runtimes").and_then(|runtimes| runtimes.get(runtime));
        if found.is_some_and(|found| *found != value) || runtime == BUILT_IN {
            let message = format!("`{path}` has a runtime `{runtime}` already, which is not this one");
            return Err(Error::refused(message, "take it out, or choose another name by `--runtime-name`"));
        }
        let mut edits = vec![Edit::new(&["runtimes", runtime], value)];
        if self.runtime_name.is_none() {
            if self.daemon.is_none() {
                no_flag(tree)?;
            }
            edits.push(Edit::new(&["default-runtime"], runtime));
        }
        Ok(edits)
    }

    /// The runtime that makes the containers: that which the daemon has by default now.
    fn real_runtime(&self, tree: &Tree<'_>, settings: &Value, places: &Places) -> Result<String, Error> {
        if let Some(named) = &places.real_runtime {
            return program::runtime(tree, named);
        }
        let default = default(settings);
        let path = |runtime: &str| settings.get("runtimes")?.get(runtime)?.get("path")?.as_str();
        if let Some(behind) = path(default).map(|path| program::behind(tree, path)).transpose()?.flatten() {
            return program::runtime(tree, &behind);
        }
        match path(default) {
            Some(path) if program::is_nvidias(path) => Err(program::nvidias(default)),
            Some(path) => program::runtime(tree, path),
            None if default == "nvidia" => Err(program::nvidias(default)),
            None if [BUILT_IN, "io.containerd.runc.v2"].contains(&default) => {
                program::runtime(tree, BUILT_IN)
            }
            None => Err(Error::refused(
                format!(
                    "the default runtime `{default}` has no path, and gpupol stands in front of runc or crun"
                ),
                "name the runtime that is to stand behind gpupol by `--real-runtime`, such as `/usr/bin/runc`",
            )),
        }
    }
}

/// Runtimes of NVIDIA's that somebody may still choose.
fn nvidias_runtimes(settings: &Value) -> Vec<String> {
    let runtimes = settings.get("runtimes").and_then(Value::as_object).into_iter().flatten();
    let path = |value: &Value| value.get("path").and_then(Value::as_str).is_some_and(program::is_nvidias);
    let names = runtimes.filter(|(_, value)| path(value)).map(|(name, _)| name);
    names
        .map(|name| {
            format!("`docker run --runtime {name}` still gives GPUs past every policy: take that runtime out")
        })
        .collect()
}

/// Only one program can answer `docker run --gpus`.
fn no_other_hook(tree: &Tree<'_>, settings: &Value) -> Result<(), Error> {
    let place = format!("{PROGRAMS}/{DOCKER_GPUS_HOOK}");
    let is_ours = match tree.look(&place)? {
        Node::Absent => true,
        Node::Link(target) => target == HOOK_NAME || target == HOOK,
        _ => false,
    };
    if !is_ours {
        let message = format!("`{place}` is not gpupol's: dockerd would ask it who may have which GPU");
        return Err(Error::refused(
            message,
            "take it away, as by removing the package nvidia-container-toolkit",
        ));
    }
    let is_off = settings.pointer("/features/cdi") == Some(&Value::Bool(false));
    match program::find(tree, CDI_HOOK)? {
        Some(path) if !is_off => Err(Error::refused(
            format!(
                "with `{path}` there, dockerd 29 answers `--gpus` by NVIDIA's CDI devices, past every policy"
            ),
            "remove the package nvidia-container-toolkit, or set `\"features\": {\"cdi\": false}` in Docker's configuration",
        )),
        _ => Ok(()),
    }
}

/// dockerd does not start with a default runtime in both its command line and its file.
fn no_flag(tree: &Tree<'_>) -> Result<(), Error> {
    if let Some((path, _)) = flag(tree, "--default-runtime")? {
        let message =
            format!("`{path}` gives dockerd a `--default-runtime`, which daemon.json must not say again");
        return Err(Error::refused(message, "take it out there"));
    }
    Ok(())
}

/// What dockerd does not read would have no effect, and nobody would see that.
fn reads_the_usual_file(tree: &Tree<'_>) -> Result<(), Error> {
    match flag(tree, "--config-file")? {
        Some((path, file)) if file != USUAL => {
            let message = format!("`{path}` has dockerd read `{file}`, and not `{USUAL}`");
            Err(Error::refused(message, format!("say `--config {file}`")))
        }
        _ => Ok(()),
    }
}

/// The value of a flag on dockerd's command line, and the file that says so.
fn flag(tree: &Tree<'_>, flag: &str) -> Result<Option<(String, String)>, Error> {
    let mut paths = UNITS.map(str::to_owned).to_vec();
    for directory in DROP_INS {
        paths.extend(tree.list(directory)?.into_iter().map(|name| format!("{directory}/{name}")));
    }
    for path in paths {
        let text = tree.text(&path)?.unwrap_or_default();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        if let Some((_, rest)) = lines.filter_map(|line| line.split_once(flag)).next() {
            let value = rest.trim_start_matches('=').split_whitespace().next().unwrap_or_default();
            return Ok(Some((path, value.trim_matches(['"', '\'']).to_owned())));
        }
    }
    Ok(None)
}

/// What the daemon calls its default runtime now.
fn default(settings: &Value) -> &str {
    settings.get("default-runtime").and_then(Value::as_str).unwrap_or(BUILT_IN)
}

/// The wrapper as a runtime, called as the one is that it stands in front of.
fn runtime(name: &str, settings: &Value, places: &Places) -> Value {
    let mut value = json!({"path": link_of(name)});
    let before = settings.get("runtimes").and_then(|runtimes| runtimes.get(default(settings)));
    let arguments = before.filter(|_| places.real_runtime.is_none()).and_then(|it| it.get("runtimeArgs"));
    if let (Some(arguments), Some(value)) = (arguments, value.as_object_mut()) {
        value.insert("runtimeArgs".to_owned(), arguments.clone());
    }
    value
}
