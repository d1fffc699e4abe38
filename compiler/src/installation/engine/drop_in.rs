//! Configurations in several files, each of which overrules those before it.

use serde_json::Value;

use crate::installation::Error;
use crate::installation::config::{self, Edit, Language};
use crate::installation::put::faulty;
use crate::installation::tree::Tree;

/// The files of a TOML configuration, in the order in which they are read, and what each says.
pub(super) struct Files {
    files: Vec<(String, Value)>,
}

impl Files {
    /// Reads these files, and then the `*.conf` of that directory in the order of their names.
    pub(super) fn read(tree: &Tree<'_>, files: &[&str], directory: &str) -> Result<Self, Error> {
        let names = tree.list(directory)?.into_iter().filter(|name| name.ends_with(".conf"));
        let drop_ins = names.map(|name| format!("{directory}/{name}"));
        let mut read = Vec::new();
        for path in files.iter().map(|&path| path.to_owned()).chain(drop_ins) {
            let Some(text) = tree.text(&path)? else { continue };
            let value = config::read(Language::Toml, &text).map_err(|fault| faulty(&path, &fault))?;
            read.push((path, value));
        }
        Ok(Self { files: read })
    }

    /// What counts of a setting, and the file that says so.
    pub(super) fn last(&self, pointer: &str) -> Option<(&str, &Value)> {
        let mut said =
            self.files.iter().filter_map(|(path, value)| Some((path.as_str(), value.pointer(pointer)?)));
        said.next_back()
    }

    /// A setting must not be said again in a file that comes after ours.
    pub(super) fn nothing_after(&self, own: &str, pointer: &str) -> Result<(), Error> {
        let later = self.files.iter().filter(|(path, _)| {
            path.as_str() > own && path.rsplit_once('/').map(|it| it.0) == own.rsplit_once('/').map(|it| it.0)
        });
        match later.into_iter().find(|(_, value)| value.pointer(pointer).is_some()) {
            None => Ok(()),
            Some((path, _)) => {
                let setting = pointer.trim_start_matches('/').replace('/', ".");
                let message =
                    format!("`{path}` is read after gpupol's `{own}`, and sets `{setting}` otherwise");
                Err(Error::refused(message, "take it out there, or rename that file so that it comes first"))
            }
        }
    }
}

/// The text of a file of gpupol's own.
pub(super) fn text(engine: &str, edits: &[Edit]) -> Result<String, Error> {
    let head =
        format!("# Written by `gpupol install {engine}`; `gpupol uninstall {engine}` takes it away.\n");
    let (text, _) = config::put(Language::Toml, "", edits).map_err(|fault| faulty("a new file", &fault))?;
    Ok(head + &text)
}
