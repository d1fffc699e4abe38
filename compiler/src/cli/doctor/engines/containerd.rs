//! containerd: `config.toml` of the versions 2 and 3, and what it imports.

use gpupol_plan::entry::Engine;
use gpupol_plan::glob;
use toml_edit::DocumentMut;

use super::toml::{at, names, parse, word, words};
use super::{Configured, Kind, Way};
use crate::cli::doctor::tree::Tree;

const FILE: &str = "/etc/containerd/config.toml";
/// containerd serves containers of its own where Kubernetes is; else it is Docker's.
const PROGRAMS: [&str; 3] = ["/usr/bin/kubelet", "/usr/local/bin/kubelet", "/usr/sbin/kubelet"];

/// What the plugin that starts pods' containers is called, in version 2 and in version 3.
const PLUGINS: [&str; 2] = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"];

pub(super) fn look(tree: &Tree) -> Configured {
    let mut found = Configured::of(Engine::Containerd, tree, &PROGRAMS);
    let documents = read(tree, &mut found);
    let Some(plugin) = documents.first().and_then(|(file, document)| match plugin(document) {
        Ok(plugin) => Some(plugin),
        Err(why) => {
            found.broken.push((file.clone(), why));
            None
        }
    }) else {
        found.default = found.broken.is_empty().then(|| "runc".to_owned());
        return found;
    };
    let containerd = ["plugins", plugin, "containerd"];
    let key = |last: &'static str| [containerd.as_slice(), &[last]].concat();
    let default =
        documents.iter().rev().find_map(|(_, document)| word(document, &key("default_runtime_name")));
    let default = default.unwrap_or_else(|| "runc".to_owned());
    for (file, document) in &documents {
        for name in names(document, &key("runtimes")) {
            let runtime = [key("runtimes").as_slice(), &[name.as_str()]].concat();
            if is_of_systemd(document, &runtime) {
                found.cgroup_driver = Some("systemd".to_owned());
            }
            let Some(program) = program(document, &runtime) else { continue };
            let kind =
                if name == default { Kind::Default(name.clone()) } else { Kind::Runtime(name.clone()) };
            found.ways.push(Way { file: file.clone(), kind, program, arguments: Vec::new() });
        }
    }
    found.default = Some(default);
    found
}

fn is_of_systemd(document: &DocumentMut, runtime: &[&str]) -> bool {
    let key = [runtime, &["options", "SystemdCgroup"]].concat();
    at(document, &key).and_then(|item| item.as_bool()) == Some(true)
}

fn program(document: &DocumentMut, runtime: &[&str]) -> Option<String> {
    let by_name = word(document, &[runtime, &["options", "BinaryName"]].concat());
    let program = by_name.or_else(|| word(document, &[runtime, &["runtime_path"]].concat()));
    program.filter(|program| !program.is_empty())
}

/// The file and those that it imports, in the order in which a later one wins.
fn read(tree: &Tree, found: &mut Configured) -> Vec<(String, DocumentMut)> {
    let Some(document) = one(tree, FILE, found) else { return Vec::new() };
    let imports = words(&document, &["imports"]).unwrap_or_default();
    let mut documents = vec![(FILE.to_owned(), document)];
    for pattern in imports {
        let whole = if pattern.starts_with('/') { pattern } else { format!("/etc/containerd/{pattern}") };
        let Some((directory, _)) = whole.rsplit_once('/') else { continue };
        let paths = tree.names(directory).into_iter().map(|name| format!("{directory}/{name}"));
        for path in paths.filter(|path| glob::matches(&whole, path)).collect::<Vec<_>>() {
            let Some(document) = one(tree, &path, found) else { continue };
            drop_overruled(&mut documents, &document);
            documents.push((path, document));
        }
    }
    documents
}

/// containerd 1 drops what earlier files say of a plugin of which a later one says anything, and containerd 2 does where versions differ.
fn drop_overruled(earlier: &mut [(String, DocumentMut)], later: &DocumentMut) {
    let version = |document: &DocumentMut| at(document, &["version"]).and_then(|item| item.as_integer());
    if !PLUGINS.iter().any(|plugin| at(later, &["plugins", plugin]).is_some()) {
        return;
    }
    for (_, document) in earlier {
        if [version(document), version(later)] == [Some(3); 2] {
            continue;
        }
        if let Some(plugins) = document.get_mut("plugins").and_then(|item| item.as_table_like_mut()) {
            PLUGINS.iter().for_each(|plugin| _ = plugins.remove(plugin));
        }
    }
}

fn one(tree: &Tree, file: &str, found: &mut Configured) -> Option<DocumentMut> {
    let text = tree.text(file)?;
    found.files.push(file.to_owned());
    text.and_then(|text| parse(&text)).map_err(|why| found.broken.push((file.to_owned(), why))).ok()
}

/// What the plugin that starts pods' containers is called.
fn plugin(document: &DocumentMut) -> Result<&'static str, String> {
    match at(document, &["version"]).map_or(Some(1), |item| item.as_integer()) {
        Some(2) => Ok(PLUGINS[0]),
        Some(3) => Ok(PLUGINS[1]),
        Some(version) => Err(format!("its version {version} is not known: 2 and 3 are")),
        None => Err("its `version` is no number".to_owned()),
    }
}
