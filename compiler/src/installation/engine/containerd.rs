//! containerd's CRI plugin: the wrapper as the default runtime handler, or as a named one.

use gpupol_plan::entry::{Engine, Entry, Form};
use serde_json::{Map, Value, json};

use super::{Kubernetes, Step, Steps, program};
use crate::installation::config::{self, Edit, Language};
use crate::installation::configured::containerd::{self, BUILT_IN, FILE as USUAL};
use crate::installation::put::faulty;
use crate::installation::tree::Tree;
use crate::installation::{Error, Places, link_of};

mod imports;

/// What puts a changed config.toml into effect.
pub(super) const ACTIVATE: &str =
    "restart containerd: `systemctl restart containerd` (containers go on meanwhile)";

/// A new file is of the version that every containerd from 1.3 on takes.
const BEGUN: &str = "version = 2\n";
/// The only shim that calls a runtime by `BinaryName`.
const SHIM: &str = "io.containerd.runc.v2";

/// How containerd is to come through gpupol.
#[derive(Clone, Debug, Default)]
pub struct Containerd {
    /// What it has in common with CRI-O.
    pub kubernetes: Kubernetes,
    /// Its configuration file, if not the usual one.
    pub config: Option<String>,
    /// Annotations of pods that containers are to have beside `gpupol.io/*`, as patterns.
    pub annotations: Vec<String>,
}

impl Containerd {
    pub(super) fn steps(&self, name: &str, places: &Places, tree: &Tree<'_>) -> Result<Steps, Error> {
        if self.config.is_none() {
            program::is_installed(tree, "containerd", "containerd")?;
        }
        let path = self.config.as_deref().unwrap_or(USUAL);
        let text = tree.text(path)?;
        let text = text.unwrap_or_else(|| BEGUN.to_owned());
        let settings = config::read(Language::Toml, &text).map_err(|fault| faulty(path, &fault))?;
        let plugin = plugin(path, &settings)?;
        is_enabled(path, &settings)?;
        let handler = self.kubernetes.handler();
        let documents = imports::read(tree, path, settings)?;
        imports::leave_alone(&documents, plugin, handler)?;
        let configured = containerd::runtimes(&containerd::counting(&documents), plugin);
        let default = configured.default_name().unwrap_or(BUILT_IN);
        let table = configured.known.get(default).and_then(|runtime| runtime.table.as_object());
        let table = table.cloned().unwrap_or_default();
        let real = real_runtime(tree, default, &table, places)?;
        let table = self.table(name, table);
        let found = configured.known.get(handler);
        if found.is_some_and(|found| found.table != table) || handler == BUILT_IN {
            let message =
                format!("`{path}` has a runtime handler `{handler}` already, which is not this one");
            let help = "take it out, or choose another name by `--runtime-name`";
            return Err(Error::refused(message, help));
        }
        let containerd = ["plugins", plugin, "containerd"];
        let mut edits = vec![Edit::new(&[&containerd[..], &["runtimes", handler]].concat(), table)];
        if self.kubernetes.is_default() {
            edits.push(Edit::new(&[&containerd[..], &["default_runtime_name"]].concat(), handler));
        }
        Ok(Steps {
            entry: Entry {
                real_runtime: Some(real),
                ..self.kubernetes.entry(Engine::Containerd, Form::Spec, places)
            },
            is_wrapped: true,
            files: vec![Step::SettingsIn(BEGUN, path.to_owned(), Language::Toml, edits)],
            notes: self.kubernetes.notes(
                "`ctr run` and `nerdctl` do not go through it: who may use containerd's socket is root",
            ),
            activate: ACTIVATE.to_owned(),
        })
    }

    /// The handler: the default one once more, such as it is configured, with the wrapper as its program.
    fn table(&self, name: &str, mut table: Map<String, Value>) -> Value {
        table.insert("runtime_type".to_owned(), SHIM.into());
        let mut options = table.get("options").and_then(Value::as_object).cloned().unwrap_or_default();
        options.insert("BinaryName".to_owned(), link_of(name).into());
        table.insert("options".to_owned(), options.into());
        for key in ["pod_annotations", "container_annotations"] {
            let mut listed = table.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
            for wished in std::iter::once("gpupol.io/*").chain(self.annotations.iter().map(String::as_str)) {
                if !listed.iter().any(|it| it.as_str() == Some(wished)) {
                    listed.push(wished.into());
                }
            }
            table.insert(key.to_owned(), listed.into());
        }
        json!(table)
    }
}

fn plugin(path: &str, settings: &Value) -> Result<&'static str, Error> {
    let version = containerd::version(settings).unwrap_or(1);
    containerd::plugin(version).ok_or_else(|| {
        let message = format!("`{path}` is of version {version}, and gpupol knows the versions 2 and 3");
        Error::refused(
            message,
            "let containerd rewrite it, by `containerd config migrate`, or write gpupol's runtime by hand",
        )
    })
}

/// A containerd that serves no Kubernetes has no runtime handlers.
fn is_enabled(path: &str, settings: &Value) -> Result<(), Error> {
    match containerd::disabled(settings) {
        None => Ok(()),
        Some(name) => Err(Error::refused(
            format!("`{path}` disables the plugin `{name}`, so that no runtime handler of it is ever used"),
            "take it out of `disabled_plugins` if Kubernetes is to use this containerd; for Docker's containers, `gpupol install docker`",
        )),
    }
}

/// The runtime that makes the containers: that of the handler that is the default one now.
fn real_runtime(
    tree: &Tree<'_>,
    default: &str,
    table: &Map<String, Value>,
    places: &Places,
) -> Result<String, Error> {
    if let Some(named) = &places.real_runtime {
        return program::runtime(tree, named);
    }
    if default == "nvidia" {
        return Err(program::nvidias(default));
    }
    let shim = table.get("runtime_type").and_then(Value::as_str).unwrap_or(SHIM);
    if shim != SHIM {
        return Err(Error::refused(
            format!(
                "the default runtime `{default}` is of type `{shim}`, and gpupol stands in front of runc or crun"
            ),
            "name the runtime that is to stand behind gpupol by `--real-runtime`, such as `/usr/bin/runc`",
        ));
    }
    let named = table.get("options").and_then(|options| options.get("BinaryName")?.as_str());
    let named = named.filter(|named| !named.is_empty()).unwrap_or(BUILT_IN);
    match program::behind(tree, named)? {
        Some(behind) => program::runtime(tree, &behind),
        None => program::runtime(tree, named),
    }
}
