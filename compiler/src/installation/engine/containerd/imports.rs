//! The files that containerd's configuration imports, which overrule it, and so must leave alone what is to be put there.

use serde_json::Value;

use crate::installation::Error;
use crate::installation::config::{self, Language};
use crate::installation::configured::containerd::{self, Document, Imports, SHARED_VERSION, Unfollowed};
use crate::installation::put::faulty;
use crate::installation::tree::Tree;

impl From<Unfollowed> for Error {
    fn from(unfollowed: Unfollowed) -> Self {
        match &unfollowed {
            Unfollowed::Pattern { file, pattern } => Self::refused(
                format!("`{file}` imports `{pattern}`, and gpupol follows `*` in the last name alone"),
                "name these files or their directories one by one",
            ),
            Unfollowed::Many(file) => {
                Self::refused(format!("`{file}`: {}", unfollowed.why()), "import fewer files")
            }
        }
    }
}

/// The file with these settings, and all that it imports.
pub(super) fn read(tree: &Tree<'_>, path: &str, settings: Value) -> Result<Vec<Document>, Error> {
    let mut imports = Imports::of(path);
    let (mut documents, mut first) = (Vec::new(), Some(settings));
    while let Some(file) = imports.take()? {
        let settings = match first.take() {
            Some(first) => first,
            None => {
                let Some(text) = tree.text(&file)? else { continue };
                config::read(Language::Toml, &text).map_err(|fault| faulty(&file, &fault))?
            }
        };
        imports.follow(&file, &settings, |directory| tree.list(directory))?;
        documents.push((file, settings));
    }
    Ok(documents)
}

/// Refuses imports that would drop or overrule what is to be put into the first of these.
pub(super) fn leave_alone(documents: &[Document], plugin: &str, handler: &str) -> Result<(), Error> {
    let Some(((path, settings), imported)) = documents.split_first() else { return Ok(()) };
    imported.iter().try_for_each(|imported| leaves_alone(path, settings, imported, plugin, handler))
}

fn leaves_alone(
    path: &str,
    settings: &Value,
    (file, imported): &Document,
    plugin: &str,
    handler: &str,
) -> Result<(), Error> {
    let is_shared = [settings, imported].iter().all(|it| containerd::version(it) == Some(SHARED_VERSION));
    if imported.get("version").and_then(Value::as_i64) == Some(1) {
        let message = format!(
            "`{file}` is imported by `{path}`, and of version 1, for which containerd then takes both"
        );
        return Err(Error::refused(message, "let containerd rewrite it, by `containerd config migrate`"));
    }
    if containerd::names_plugin(imported) && !is_shared {
        let message = format!(
            "`{file}` is imported by `{path}`, and says something of the CRI plugin, so that containerd drops what `{path}` says of it"
        );
        let help =
            format!("move that into `{path}`, or have gpupol's runtime put there by `--config {file}`");
        return Err(Error::refused(message, help));
    }
    let runtimes = containerd::said(imported, plugin);
    let says = |key: &str| runtimes.and_then(|runtimes| runtimes.get(key));
    if let Some(name) = says("default_runtime_name") {
        let message = format!("`{file}` is imported by `{path}`, and sets the default runtime to {name}");
        return Err(Error::refused(
            message,
            "take that out there, so that one file says which is the default",
        ));
    }
    if says("runtimes").and_then(|runtimes| runtimes.get(handler)).is_some() {
        let message = format!("`{file}` has a runtime handler `{handler}` already");
        return Err(Error::refused(message, "take it out, or choose another name by `--runtime-name`"));
    }
    Ok(())
}
