//! Docker: `daemon.json`, and what `--gpus` calls.

use std::collections::BTreeSet;

use gpupol_plan::entry::Engine;
use serde_json::Value;

use super::{Configured, Kind, Way};
use crate::cli::doctor::entries::PATH;
use crate::cli::doctor::tree::Tree;

const FILE: &str = "/etc/docker/daemon.json";
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
    match tree.text(file) {
        None => found.default = Some("runc".to_owned()),
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
    let text = text.trim_start_matches('\u{feff}');
    let document: Value = match text.trim() {
        "" => Value::Null,
        text => serde_json::from_str(text).map_err(|error| error.to_string())?,
    };
    let word = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let default = word(&document, "default-runtime").unwrap_or_else(|| "runc".to_owned());
    let runtimes = document.get("runtimes").and_then(Value::as_object);
    for (name, runtime) in runtimes.into_iter().flatten() {
        let Some(program) = word(runtime, "path").or_else(|| word(runtime, "runtimeType")) else { continue };
        let kind = if *name == default { Kind::Default(name.clone()) } else { Kind::Runtime(name.clone()) };
        found.ways.push(Way { file: file.to_owned(), kind, program, arguments: Vec::new() });
    }
    found.default = Some(default);
    let options = document.get("exec-opts").and_then(Value::as_array).into_iter().flatten();
    let driver =
        options.filter_map(|option| option.as_str()?.strip_prefix("native.cgroupdriver=")).next_back();
    found.cgroup_driver = driver.map(str::to_owned);
    Ok(())
}
