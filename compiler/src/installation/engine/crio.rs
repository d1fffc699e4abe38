//! CRI-O: the wrapper as its default runtime, or as a named one, in a file of its own.

use gpupol_plan::entry::{Engine, Entry, Form};
use serde_json::{Map, Value};

use super::{Kubernetes, Step, Steps, drop_in, program};
use crate::installation::config::Edit;
use crate::installation::configured::crio::{self, DROP_INS};
use crate::installation::tree::Tree;
use crate::installation::{Error, Places, link_of};

/// What puts it into effect.
pub(super) const ACTIVATE: &str = "restart CRI-O: `systemctl restart crio` (containers go on meanwhile)";

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
        let files = drop_in::read(tree, crio::files(tree.list(DROP_INS)?))?;
        let configured = crio::runtimes(&files);
        let handler = self.kubernetes.handler();
        let own = format!("{DROP_INS}/99-{handler}.conf");
        if let Some(found) = configured.known.get(handler).filter(|found| found.file != own) {
            let message =
                format!("`{}` has a runtime `{handler}` already, which is not this one", found.file);
            return Err(Error::refused(message, "take it out, or choose another name by `--runtime-name`"));
        }
        let default = configured.default_name();
        let table = default.and_then(|name| configured.known.get(name)?.table.as_object());
        let table = table.cloned().unwrap_or_default();
        let real = real_runtime(tree, default, &table, places)?;
        let mut edits = vec![Edit::new(&["crio", "runtime", "runtimes", handler], runtime(name, table))];
        if self.kubernetes.is_default() {
            drop_in::nothing_after(&files, &own, &["crio", "runtime", "default_runtime"])?;
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
