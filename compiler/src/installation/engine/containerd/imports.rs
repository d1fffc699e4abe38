//! The files that containerd's configuration imports, which overrule it: containerd 1 drops all that the file itself says of a plugin of which
//! an imported one says anything, and containerd 2 does where their versions differ.

use serde_json::Value;

use super::{PLUGINS, SHARED_VERSION};
use crate::installation::Error;
use crate::installation::config::{self, Language};
use crate::installation::put::faulty;
use crate::installation::tree::Tree;

/// How deep imports of imports are followed.
const DEPTH: usize = 8;

/// The file that is to be changed.
pub(super) struct Importing<'a> {
    /// Where it is.
    pub(super) path: &'a str,
    /// What it says.
    pub(super) settings: &'a Value,
    /// The version of its language.
    pub(super) version: i64,
    /// The plugin that starts containers in that version.
    pub(super) plugin: &'a str,
    /// The handler that is to be put there.
    pub(super) handler: &'a str,
}

impl Importing<'_> {
    /// What containerd knows of its runtimes, from all files; refuses those that would drop or overrule what is to be put there.
    pub(super) fn runtimes(&self, tree: &Tree<'_>) -> Result<Value, Error> {
        let mut known = runtimes_of(self.settings, self.plugin).cloned().unwrap_or_default();
        let mut open = vec![(self.path.to_owned(), self.settings.clone(), 0)];
        while let Some((path, settings, depth)) = open.pop() {
            for file in files(tree, &path, &settings)? {
                let Some(text) = tree.text(&file)? else { continue };
                let imported = config::read(Language::Toml, &text).map_err(|fault| faulty(&file, &fault))?;
                self.leaves_alone(&file, &imported)?;
                if let Some(more) = runtimes_of(&imported, self.plugin) {
                    overrule(&mut known, more);
                }
                if depth == DEPTH {
                    let message = format!("`{file}` is imported by imports of imports of `{}`", self.path);
                    return Err(Error::refused(message, "import it there itself"));
                }
                open.push((file, imported, depth + 1));
            }
        }
        Ok(known)
    }

    fn leaves_alone(&self, file: &str, imported: &Value) -> Result<(), Error> {
        let path = self.path;
        let section = |plugin: &str| imported.get("plugins").and_then(|plugins| plugins.get(plugin));
        let is_any = PLUGINS.iter().any(|(_, plugin)| section(plugin).is_some());
        let version = imported.get("version").and_then(Value::as_i64);
        if is_any && (self.version != SHARED_VERSION || version != Some(SHARED_VERSION)) {
            let message = format!(
                "`{file}` is imported by `{path}`, and says something of the CRI plugin, so that containerd drops what `{path}` says of it"
            );
            let help =
                format!("move that into `{path}`, or have gpupol's runtime put there by `--config {file}`");
            return Err(Error::refused(message, help));
        }
        let runtimes = runtimes_of(imported, self.plugin);
        let says = |key: &str| runtimes.and_then(|runtimes| runtimes.get(key));
        if let Some(name) = says("default_runtime_name") {
            let message = format!("`{file}` is imported by `{path}`, and sets the default runtime to {name}");
            return Err(Error::refused(
                message,
                "take that out there, so that one file says which is the default",
            ));
        }
        if says("runtimes").and_then(|runtimes| runtimes.get(self.handler)).is_some() {
            let message = format!("`{file}` has a runtime handler `{}` already", self.handler);
            return Err(Error::refused(message, "take it out, or choose another name by `--runtime-name`"));
        }
        Ok(())
    }
}

fn runtimes_of<'v>(settings: &'v Value, plugin: &str) -> Option<&'v Value> {
    settings.get("plugins")?.get(plugin)?.get("containerd")
}

/// Puts what one file says over what others have said.
fn overrule(known: &mut Value, more: &Value) {
    match (known, more) {
        (Value::Object(known), Value::Object(more)) => {
            for (name, value) in more {
                overrule(known.entry(name).or_insert(Value::Null), value);
            }
        }
        (known, more) => *known = more.clone(),
    }
}

/// The files that one imports.
fn files(tree: &Tree<'_>, path: &str, settings: &Value) -> Result<Vec<String>, Error> {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let patterns = settings.get("imports").and_then(Value::as_array).into_iter().flatten();
    let mut all = Vec::new();
    for pattern in patterns.filter_map(Value::as_str) {
        let pattern =
            if pattern.starts_with('/') { pattern.to_owned() } else { format!("{directory}/{pattern}") };
        all.extend(matching(tree, path, &pattern)?);
    }
    Ok(all)
}

/// The files that a pattern names, with one `*` in the last of its names.
fn matching(tree: &Tree<'_>, path: &str, pattern: &str) -> Result<Vec<String>, Error> {
    let (directory, name) = pattern.rsplit_once('/').unwrap_or_default();
    let Some((begin, end)) = name.split_once('*').filter(|_| !directory.contains('*')) else {
        return match pattern.contains('*') {
            true => Err(not_followed(path, pattern)),
            false => Ok(vec![pattern.to_owned()]),
        };
    };
    if [begin, end].iter().any(|part| part.contains(['*', '?', '[', '\\'])) {
        return Err(not_followed(path, pattern));
    }
    let fits = |name: &String| {
        name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end)
    };
    let names = tree.list(directory)?.into_iter().filter(fits);
    Ok(names.map(|name| format!("{directory}/{name}")).collect())
}

fn not_followed(path: &str, pattern: &str) -> Error {
    let message = format!("`{path}` imports `{pattern}`, and gpupol follows one `*` in the last name alone");
    Error::refused(message, "name these files or their directories one by one")
}
