//! CRI-O: the wrapper as its default runtime, or as a named one, in a file of its own.

use gpupol_plan::entry::{Engine, Entry, Form};
use serde_json::{Map, Value};

use super::drop_in::{self, Files};
use super::{Kubernetes, Step, Steps, program};
use crate::installation::config::Edit;
use crate::installation::tree::Tree;
use crate::installation::{Error, Places, link_of};

/// What puts it into effect.
pub(super) const ACTIVATE: &str = "restart CRI-O: `systemctl restart crio` (containers go on meanwhile)";

const MAIN: &str = "/etc/crio/crio.conf";
const DROP_INS: &str = "/etc/crio/crio.conf.d";
/// The runtimes that CRI-O has by itself: crun from 1.31 on, runc before.
const USUAL_RUNTIMES: [&str; 2] = ["crun", "runc"];
/// Where its packages have runtimes of their own.
const PACKAGED: &str = "/usr/libexec/crio";

/// How CRI-O is to come through gpupol.
#[derive(Clone, Debug, Default)]
pub struct Crio {
    /// What it has in common with containerd.
    pub kubernetes: Kubernetes,
}

impl Crio {
    pub(super) fn steps(&self, name: &str, places: &Places, tree: &Tree<'_>) -> Result<Steps, Error> {
        program::is_installed(tree, "CRI-O", "crio")?;
        let files = Files::read(tree, &[MAIN], DROP_INS)?;
        let handler = self.kubernetes.handler();
        let own = format!("{DROP_INS}/99-{handler}.conf");
        let pointer = format!("/crio/runtime/runtimes/{handler}");
        if let Some((path, _)) = files.last(&pointer).filter(|(path, _)| *path != own) {
            let message = format!("`{path}` has a runtime `{handler}` already, which is not this one");
            return Err(Error::refused(message, "take it out, or choose another name by `--runtime-name`"));
        }
        let default = files.last("/crio/runtime/default_runtime").and_then(|(_, value)| value.as_str());
        let table = default.and_then(|name| files.last(&format!("/crio/runtime/runtimes/{name}")));
        let table = table.and_then(|(_, table)| table.as_object()).cloned().unwrap_or_default();
        let real = real_runtime(tree, default, &table, places)?;
        let mut edits = vec![Edit::new(&["crio", "runtime", "runtimes", handler], runtime(name, table))];
        if self.kubernetes.is_default() {
            files.nothing_after(&own, "/crio/runtime/default_runtime")?;
            edits.insert(0, Edit::new(&["crio", "runtime", "default_runtime"], handler));
        }
        Ok(Steps {
            entry: Entry {
                real_runtime: Some(real),
                ..self.kubernetes.entry(Engine::Crio, Form::Spec, places)
            },
            is_wrapped: true,
            files: vec![Step::Own(own, drop_in::text("crio", &edits)?)],
            notes: self
                .kubernetes
                .notes("gpupol was not run under a real CRI-O: its files are checked as documented"),
            activate: ACTIVATE.to_owned(),
        })
    }
}

/// The runtime: the default one once more, such as it is configured, with the wrapper as its program.
fn runtime(name: &str, mut table: Map<String, Value>) -> Value {
    table.insert("runtime_path".to_owned(), link_of(name).into());
    table.entry("runtime_type").or_insert_with(|| "oci".into());
    table.into()
}

/// The runtime that makes the containers: that which is the default one now.
fn real_runtime(
    tree: &Tree<'_>,
    default: Option<&str>,
    table: &Map<String, Value>,
    places: &Places,
) -> Result<String, Error> {
    if let Some(named) = &places.real_runtime {
        return program::runtime(tree, named);
    }
    if default == Some("nvidia") {
        return Err(program::nvidias("nvidia"));
    }
    if let Some(path) = table.get("runtime_path").and_then(Value::as_str).filter(|path| !path.is_empty()) {
        return match program::behind(tree, path)? {
            Some(behind) => program::runtime(tree, &behind),
            None => program::runtime(tree, path),
        };
    }
    let names = default.map_or_else(|| USUAL_RUNTIMES.to_vec(), |name| vec![name]);
    for name in &names {
        let packaged = format!("{PACKAGED}/{name}");
        if tree.is_program(&packaged)? {
            return program::runtime(tree, &packaged);
        }
        if program::find(tree, name)?.is_some() {
            return program::runtime(tree, name);
        }
    }
    program::runtime(tree, names.first().copied().unwrap_or("crun"))
}
