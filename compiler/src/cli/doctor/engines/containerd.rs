//! containerd: `config.toml` of the versions 2 and 3, and what it imports.

use std::collections::BTreeMap;

use gpupol_plan::entry::Engine;
use toml_edit::{DocumentMut, Item, TableLike};

use super::toml::{at, names, word, words};
use super::{Configured, Kind, Way};
use crate::cli::doctor::tree::Tree;

mod imports;

/// A file, and what it says.
type Document = (String, DocumentMut);

/// What the plugin that starts pods' containers is called, in version 2 and in version 3.
const PLUGINS: [&str; 2] = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"];
const FILE: &str = "/etc/containerd/config.toml";
/// containerd serves containers of its own where Kubernetes is; else it is Docker's.
const PROGRAMS: [&str; 3] = ["/usr/bin/kubelet", "/usr/local/bin/kubelet", "/usr/sbin/kubelet"];
/// The handler that containerd has by itself.
const BUILT_IN: &str = "runc";
/// The only shims that call what `BinaryName` names.
const SHIMS: [&str; 2] = ["io.containerd.runc.v2", "io.containerd.runc.v1"];

pub(super) fn look(tree: &Tree) -> Configured {
    let mut found = Configured::of(Engine::Containerd, tree, &PROGRAMS);
    let documents = imports::read(tree, FILE, &mut found);
    if documents.iter().any(|(_, document)| is_disabled(document)) {
        found.serves = false;
        return found;
    }
    match counting(&documents) {
        Ok((documents, plugin)) => ways(&documents, plugin, &mut found),
        Err(broken) => found.broken.push(broken),
    }
    found
}

/// A containerd that is Docker's alone has no runtime handlers. Before version 2 the plugin has a shorter name.
fn is_disabled(document: &DocumentMut) -> bool {
    let disabled = words(document, &["disabled_plugins"]).unwrap_or_default();
    disabled.iter().any(|name| name == "cri" || PLUGINS.contains(&name.as_str()))
}

fn version(document: &DocumentMut) -> Option<i64> {
    at(document, &["version"]).map_or(Some(1), Item::as_integer)
}

/// The documents that count for the plugin that starts pods' containers, and what it is called there.
fn counting(documents: &[Document]) -> Result<(Vec<&Document>, &'static str), (String, String)> {
    let Some(first @ (file, main)) = documents.first() else { return Ok((Vec::new(), PLUGINS[0])) };
    let plugin = match version(main) {
        Some(2) => Ok(PLUGINS[0]),
        Some(3) => Ok(PLUGINS[1]),
        Some(version @ 0..2) => Err(format!("its version {version} cannot be wrapped: 2 and 3 can")),
        Some(version) => Err(format!("its version {version} is not known: 2 and 3 are")),
        None => Err("its `version` is no number".to_owned()),
    };
    let plugin = plugin.map_err(|why| (file.clone(), why))?;
    let mut counting = vec![first];
    for later in documents.iter().skip(1) {
        let own = at(&later.1, &["version"]).map(Item::as_integer);
        if own == Some(Some(1)) {
            // Then containerd takes all files for such.
            return Ok((Vec::new(), plugin));
        }
        // containerd 1 drops what earlier files say of a plugin of which a later one says anything, and containerd 2 does unless both
        // are of version 3, whose tables it puts together.
        if PLUGINS.iter().any(|plugin| at(&later.1, &["plugins", plugin]).is_some()) {
            counting.retain(|earlier| own == Some(Some(3)) && version(&earlier.1) == Some(3));
            counting.push(later);
        }
    }
    Ok((counting, plugin))
}

/// Its runtimes, and the default one.
fn ways(documents: &[&Document], plugin: &'static str, found: &mut Configured) {
    let key = |last: &'static str| ["plugins", plugin, "containerd", last];
    let mut runtimes: BTreeMap<String, (&str, Vec<&dyn TableLike>)> = BTreeMap::new();
    let mut default = BUILT_IN.to_owned();
    for (file, document) in documents {
        default = word(document, &key("default_runtime_name")).unwrap_or(default);
        for name in names(document, &key("runtimes")) {
            let path = [key("runtimes").as_slice(), &[name.as_str()]].concat();
            let Some(table) = at(document, &path).and_then(Item::as_table_like) else { continue };
            let runtime = runtimes.entry(name).or_insert((file, Vec::new()));
            runtime.0 = file;
            runtime.1.push(table);
        }
    }
    for (name, (file, tables)) in runtimes {
        let driver = tables.iter().filter_map(|table| option(*table, "SystemdCgroup")?.as_bool()).next_back();
        if driver == Some(true) {
            found.cgroup_driver = Some("systemd".to_owned());
        }
        let Some(program) = program(&tables) else { continue };
        let kind = if name == default { Kind::Default(name) } else { Kind::Runtime(name) };
        found.ways.push(Way { file: file.to_owned(), kind, program, arguments: Vec::new() });
    }
    found.default = Some(default);
}

fn option<'t>(table: &'t dyn TableLike, name: &str) -> Option<&'t Item> {
    table.get("options")?.as_table_like()?.get(name)
}

/// What makes the containers, by the last table that says it. Another shim than runc's is that itself.
fn program(tables: &[&dyn TableLike]) -> Option<String> {
    let last = |of: &dyn Fn(&'_ dyn TableLike) -> Option<String>| {
        tables.iter().rev().find_map(|table| of(*table).filter(|text| !text.is_empty()))
    };
    let text = |item: Option<&Item>| item.and_then(Item::as_str).map(str::to_owned);
    let shim = last(&|table| text(table.get("runtime_type"))).filter(|shim| !SHIMS.contains(&shim.as_str()));
    let program = shim.or_else(|| last(&|table| text(table.get("runtime_path"))));
    program.or_else(|| last(&|table| text(option(table, "BinaryName"))))
}
