//! Docker: `daemon.json`, and what `--gpus` calls.

use std::collections::BTreeSet;

use gpupol_plan::entry::Engine;
use serde_json::Value;

use super::{Configured, Kind, Way};
use crate::cli::doctor::entries::PATH;
use crate::cli::doctor::tree::Tree;
use crate::installation::cdi;
use crate::installation::config::{self, Language};
use crate::installation::configured::docker::{self, BUILT_IN, FILE};

/// Where installations leave what they changed.
const INSTALLED: &str = "/etc/gpupol/installed";
const PROGRAMS: [&str; 3] = ["/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd"];
/// The name of the program of `--gpus`, for which dockerd looks in its `PATH` when it starts.
const GPUS: &str = "nvidia-container-runtime-hook";

/// The host's own daemon, and those for which gpupol was installed beside it.
pub(super) fn look(tree: &Tree) -> Vec<Configured> {
    let mut own = daemon(tree, FILE);
    let hooks = PATH.iter().map(|directory| format!("{directory}/{GPUS}"));
    for path in hooks.filter(|path| tree.find(path).is_some()).take(1) {
        let file = "dockerd's PATH".to_owned();
        own.ways.push(Way { file, kind: Kind::Gpus, program: path, arguments: Vec::new() });
    }
    let others = installed(tree).into_iter().filter(|file| file != FILE);
    let others: Vec<Configured> = others.map(|file| daemon(tree, &file)).collect();
    std::iter::once(own).chain(others).collect()
}

/// The files of daemons that installations have changed, by their records.
fn installed(tree: &Tree) -> BTreeSet<String> {
    let names = tree.names(INSTALLED).into_iter().filter(|name| name.ends_with(".json"));
    let texts = names.filter_map(|name| tree.text(&format!("{INSTALLED}/{name}"))?.ok());
    let records = texts.filter_map(|text| serde_json::from_str::<Value>(&text).ok());
    let of_docker = records.filter(|record| record.get("engine").and_then(Value::as_str) == Some("docker"));
    let files = of_docker
        .flat_map(|record| record.get("files").and_then(Value::as_array).cloned().unwrap_or_default());
    let settings = files.filter(|file| file.get("kind").and_then(Value::as_str) == Some("json"));
    settings.filter_map(|file| Some(file.get("path")?.as_str()?.to_owned())).collect()
}

fn daemon(tree: &Tree, file: &str) -> Configured {
    let mut found = Configured::of(Engine::Docker, tree, &PROGRAMS);
    found.cdi = cdi::of_docker(&Value::Null);
    match tree.text(file) {
        None => found.default = Some(BUILT_IN.to_owned()),
        Some(text) => {
            found.files.push(file.to_owned());
            if let Err(why) = text.and_then(|text| read(file, &text, &mut found)) {
                found.broken.push((file.to_owned(), why));
            }
        }
    }
    found
}

/// dockerd itself takes no comments, so neither does this.
fn read(file: &str, text: &str, found: &mut Configured) -> Result<(), String> {
    let settings = config::look(Language::Json, text).map_err(|fault| fault.to_string())?;
    let configured = docker::runtimes(file, &settings);
    found.cgroup_driver.clone_from(&configured.cgroup_driver);
    found.cdi = cdi::of_docker(&settings);
    found.call(&configured, BUILT_IN, |runtime| runtime.programs.first().cloned());
    Ok(())
}
