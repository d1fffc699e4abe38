//! Configurations in several files, each of which overrules those before it, and a file of gpupol's own among them.

use crate::installation::Error;
use crate::installation::config::{self, Edit, Language};
use crate::installation::configured::Layers;
use crate::installation::put::faulty;
use crate::installation::tree::Tree;

/// Reads those of these files that are there.
pub(super) fn read(tree: &Tree<'_>, files: Vec<String>) -> Result<Layers, Error> {
    let mut layers = Layers::default();
    for path in files {
        let Some(text) = tree.text(&path)? else { continue };
        let value = config::read(Language::Toml, &text).map_err(|fault| faulty(&path, &fault))?;
        layers.push(path, value);
    }
    Ok(layers)
}

/// A setting must not be said again in a file that comes after ours.
pub(super) fn nothing_after(files: &Layers, own: &str, keys: &[&str]) -> Result<(), Error> {
    let Some(path) = files.after(own, keys) else { return Ok(()) };
    let message = format!("`{path}` is read after gpupol's `{own}`, and sets `{}` otherwise", keys.join("."));
    Err(Error::refused(message, "take it out there, or rename that file so that it comes first"))
}

/// The text of a file of gpupol's own.
pub(super) fn text(engine: &str, edits: &[Edit]) -> Result<String, Error> {
    let head =
        format!("# Written by `gpupol install {engine}`; `gpupol uninstall {engine}` takes it away.\n");
    let (text, _) = config::put(Language::Toml, "", edits).map_err(|fault| faulty("a new file", &fault))?;
    Ok(head + &text)
}
