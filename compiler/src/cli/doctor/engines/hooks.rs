//! Directories of hooks, as Podman and CRI-O read them. Of equal names in two directories the later one counts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Configured, Kind, Way};
use crate::cli::doctor::tree::Tree;

/// Where both look unless they are told otherwise.
const DIRECTORIES: [&str; 2] = ["/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"];

/// Those in directories that are named, or in the usual ones, of an engine that is there.
pub(super) fn look(tree: &Tree, named: Option<&[String]>, found: &mut Configured) {
    if !found.is_there() {
        return;
    }
    let usual = DIRECTORIES.map(str::to_owned);
    let directories = named.unwrap_or(&usual);
    let mut files = BTreeMap::new();
    for directory in directories {
        let names = tree.names(directory).into_iter().filter(|name| name.ends_with(".json"));
        files.extend(names.map(|name| (name.clone(), format!("{directory}/{name}"))));
    }
    for file in files.into_values() {
        let Some(text) = tree.text(&file) else { continue };
        match text.and_then(|text| way(&file, &text)) {
            Ok(way) => {
                found.files.push(file);
                found.ways.push(way);
            }
            Err(why) => found.broken.push((file, why)),
        }
    }
}

fn way(file: &str, text: &str) -> Result<Way, String> {
    let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let texts = |value: Option<&Value>| -> Vec<String> {
        let list = value.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let hook = document.get("hook");
    // Version 0.1.0 has it at the top.
    let program = hook.and_then(|hook| hook.get("path")).or_else(|| hook.filter(|hook| hook.is_string()));
    let program = program.and_then(Value::as_str).ok_or("it names no program")?.to_owned();
    let kind = Kind::Hook {
        stages: texts(document.get("stages").or_else(|| document.get("stage"))),
        always: document.pointer("/when/always") == Some(&Value::Bool(true)),
    };
    let arguments = texts(hook.and_then(|hook| hook.get("args")));
    Ok(Way { file: file.to_owned(), kind, program, arguments })
}
