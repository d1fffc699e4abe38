//! containerd: `config.toml`, and what it imports.

use gpupol_plan::entry::Engine;

use super::Configured;
use crate::cli::doctor::tree::Tree;
use crate::installation::config::{self, Language};
use crate::installation::configured::containerd::{self, BUILT_IN, Document, FILE, Imports, Unfollowed};

/// containerd serves containers of its own where Kubernetes is; else it is Docker's.
const PROGRAMS: [&str; 3] = ["/usr/bin/kubelet", "/usr/local/bin/kubelet", "/usr/sbin/kubelet"];

pub(super) fn look(tree: &Tree) -> Configured {
    let mut found = Configured::of(Engine::Containerd, tree, &PROGRAMS);
    let documents = read(tree, &mut found);
    if documents.iter().any(|(_, settings)| containerd::disabled(settings).is_some()) {
        found.serves = false;
        return found;
    }
    match plugin(documents.first()) {
        Ok(plugin) => {
            let configured = containerd::runtimes(&containerd::counting(&documents), plugin);
            found.cgroup_driver.clone_from(&configured.cgroup_driver);
            found.call(&configured, BUILT_IN, |runtime| runtime.programs.first().cloned());
        }
        Err(broken) => found.broken.push(broken),
    }
    found
}

/// The file and all that it imports.
fn read(tree: &Tree, found: &mut Configured) -> Vec<Document> {
    let (mut imports, mut documents) = (Imports::of(FILE), Vec::new());
    loop {
        let file = match imports.take() {
            Ok(Some(file)) => file,
            Ok(None) => return documents,
            Err(unfollowed) => {
                let why = unfollowed.why();
                let (Unfollowed::Many(file) | Unfollowed::Pattern { file, .. }) = unfollowed;
                found.broken.push((file, why));
                return documents;
            }
        };
        let Some(text) = tree.text(&file) else { continue };
        found.files.push(file.clone());
        let look = |text: String| config::look(Language::Toml, &text).map_err(|fault| fault.to_string());
        let read = text.and_then(look).and_then(|settings| {
            let names = |directory: &str| Ok::<_, Unfollowed>(tree.names(directory));
            imports.follow(&file, &settings, names).map_err(|unfollowed| unfollowed.why())?;
            Ok(settings)
        });
        match read {
            Ok(settings) => documents.push((file, settings)),
            Err(why) => found.broken.push((file, why)),
        }
    }
}

/// What the plugin is called, by the version of the first file.
fn plugin(first: Option<&Document>) -> Result<&'static str, (String, String)> {
    let usual = containerd::plugin(2).unwrap_or_default();
    let Some((file, settings)) = first else { return Ok(usual) };
    let why = match containerd::version(settings) {
        Some(version) => match containerd::plugin(version) {
            Some(plugin) => return Ok(plugin),
            None if version < 2 => format!("its version {version} cannot be wrapped: 2 and 3 can"),
            None => format!("its version {version} is not known: 2 and 3 are"),
        },
        None => "its `version` is no number".to_owned(),
    };
    Err((file.clone(), why))
}
