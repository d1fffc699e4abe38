//! Docker: the wrapper as a daemon's default runtime or as a named one, and the program that dockerd calls for `--gpus`.

use gpupol_plan::config::DOCKER_GPUS_HOOK;
use gpupol_plan::entry::{Engine, Form};
use serde_json::{Value, json};

use super::{Step, Steps, entry, program};
use crate::installation::cdi;
use crate::installation::config::{self, Edit, Language};
use crate::installation::configured::Runtimes;
use crate::installation::configured::docker::{self, BUILT_IN, FILE as USUAL};
use crate::installation::put::faulty;
use crate::installation::tree::{Node, Tree};
use crate::installation::{Error, HOOK, HOOK_NAME, PROGRAMS, Places, link_of};

/// What puts a changed daemon.json into effect.
pub(super) const ACTIVATE: &str =
    "restart Docker: `systemctl restart docker` (containers go on meanwhile only with `live-restore`)";

/// What a daemon calls the runtime that is to be its default one.
const DEFAULT_NAME: &str = "gpupol";
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
        let configured = docker::runtimes(path, &settings);
        let link = Step::Program(format!("{PROGRAMS}/{DOCKER_GPUS_HOOK}"));
        let mut notes = nvidias_runtimes(&configured);
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
        let real = real_runtime(tree, &configured, places)?;
        let value = runtime(name, &configured, places);
        Ok(Steps {
            entry: self.entry(Form::Spec, places, Some(real)),
            is_wrapped: true,
            files: vec![
                link,
                Step::Settings(path.to_owned(), Language::Json, self.edits(tree, path, &configured, value)?),
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

    fn edits(
        &self,
        tree: &Tree<'_>,
        path: &str,
        configured: &Runtimes,
        value: Value,
    ) -> Result<Vec<Edit>, Error> {
        let runtime = self.runtime_name.as_deref().unwrap_or(DEFAULT_NAME);
        let found = configured.known.get(runtime);
        if found.is_some_and(|found| found.table != value) || runtime == BUILT_IN {
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
}

/// The runtime that makes the containers: that which the daemon has by default now.
fn real_runtime(tree: &Tree<'_>, configured: &Runtimes, places: &Places) -> Result<String, Error> {
    if let Some(named) = &places.real_runtime {
        return program::runtime(tree, named);
    }
    let default = configured.default_name().unwrap_or(BUILT_IN);
    let path = configured.known.get(default).and_then(|runtime| runtime.table.get("path")?.as_str());
    if let Some(behind) = path.map(|path| program::behind(tree, path)).transpose()?.flatten() {
        return program::runtime(tree, &behind);
    }
    match path {
        Some(path) if program::is_nvidias(path) => Err(program::nvidias(default)),
        Some(path) => program::runtime(tree, path),
        None if default == "nvidia" => Err(program::nvidias(default)),
        None if [BUILT_IN, "io.containerd.runc.v2"].contains(&default) => program::runtime(tree, BUILT_IN),
        None => Err(Error::refused(
            format!(
                "the default runtime `{default}` has no path, and gpupol stands in front of runc or crun"
            ),
            "name the runtime that is to stand behind gpupol by `--real-runtime`, such as `/usr/bin/runc`",
        )),
    }
}

/// Runtimes of NVIDIA's that somebody may still choose.
fn nvidias_runtimes(configured: &Runtimes) -> Vec<String> {
    let is_nvidias = |path: &String| program::is_nvidias(path);
    let names = configured.known.iter().filter(|(_, runtime)| runtime.programs.iter().any(is_nvidias));
    let names = names.map(|(name, _)| name);
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
    no_other_cdi(tree, &cdi::of_docker(settings))
}

/// The guard would contain whoever names such a device, and `--gpus-only` has no guard.
fn no_other_cdi(tree: &Tree<'_>, directories: &[String]) -> Result<(), Error> {
    const OFF: &str = "set `\"features\": {\"cdi\": false}` in Docker's configuration";
    if directories.is_empty() {
        return Ok(());
    }
    if let Some(path) = program::find(tree, cdi::NVIDIAS_HOOK)? {
        let message = format!(
            "with `{path}` there, dockerd 29 answers `--gpus` by NVIDIA's CDI devices, past every policy"
        );
        return Err(Error::refused(
            message,
            format!("remove the package nvidia-container-toolkit, or {OFF}"),
        ));
    }
    for directory in directories {
        for name in tree.list(directory)? {
            let path = format!("{directory}/{name}");
            if tree.text(&path)?.is_some_and(|text| cdi::is_of_gpus(&text)) {
                let message = format!(
                    "with `{path}` there, Docker since 28.3 has GPUs for whoever names one, past every policy"
                );
                return Err(Error::refused(message, format!("remove it and what writes it anew, or {OFF}")));
            }
        }
    }
    Ok(())
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

/// The wrapper as a runtime, called as the one is that it stands in front of.
fn runtime(name: &str, configured: &Runtimes, places: &Places) -> Value {
    let mut value = json!({"path": link_of(name)});
    let before = configured.default_name().and_then(|name| configured.known.get(name));
    let before = before.filter(|_| places.real_runtime.is_none());
    let arguments = before.and_then(|before| before.table.get("runtimeArgs"));
    if let (Some(arguments), Some(value)) = (arguments, value.as_object_mut()) {
        value.insert("runtimeArgs".to_owned(), arguments.clone());
    }
    value
}
