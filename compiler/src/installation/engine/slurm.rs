//! Slurm: the record of each job, which Prolog and Epilog keep, and the runtime of `srun --container`.

use gpupol_plan::entry::{Engine, Entry, Form};
use serde_json::Value;

use super::{Step, Steps, entry, program};
use crate::emit::slurm::RUNTIME;
use crate::installation::config::{self, Edit, Language};
use crate::installation::put::faulty;
use crate::installation::tree::Tree;
use crate::installation::{Error, HOOK, HOOK_NAME, Places};

/// What puts changed files into effect.
pub(super) const ACTIVATE: &str = "have Slurm read its files again: `scontrol reconfigure`";

const USUAL: &str = "/etc/slurm/slurm.conf";
const PROLOG: &str = include_str!("slurm/prolog.sh");
const EPILOG: &str = include_str!("slurm/epilog.sh");
/// Where the scripts lie, and what they are called where Slurm runs all of a directory.
const SCRIPTS: [(&str, &str, &str); 2] =
    [("Prolog", "/etc/gpupol/slurm/prolog", PROLOG), ("Epilog", "/etc/gpupol/slurm/epilog", EPILOG)];
const AMONG_OTHERS: &str = "gpupol";
/// How deep files that include others are followed.
const DEPTH: usize = 8;
/// The line of both scripts that says where records lie.
const STATE: &str = "state=/run/gpupol\n";

/// How Slurm is to come through gpupol.
#[derive(Clone, Debug, Default)]
pub struct Slurm {
    /// Its configuration file, if not the usual one.
    pub config: Option<String>,
}

impl Slurm {
    pub(super) fn steps(&self, name: &str, places: &Places, tree: &Tree<'_>) -> Result<Steps, Error> {
        if self.config.is_none() {
            program::is_installed(tree, "Slurm", "slurmd")?;
        }
        program::is_installed(tree, "crun, which Slurm is to call,", "crun")?;
        let path = self.config.as_deref().unwrap_or(USUAL);
        let mut notes = vec![format!(
            "a container calls gpupol if its bundle's config.json has the hook `{HOOK}` with `[\"{HOOK_NAME}\", \"createRuntime\", \"--entry\", \"{name}\"]`"
        )];
        let mut files: Vec<Step> = Vec::new();
        for (_, script, text) in SCRIPTS {
            let text = text.replace(STATE, &format!("state={}\n", word(&places.state)));
            files.push(Step::Script(script.to_owned(), text));
        }
        files.push(runtime(path, tree)?);
        files.extend(scripts(path, tree, &mut notes)?);
        Ok(Steps {
            entry: Entry { allocate: false, ..entry(Engine::Slurm, Form::Hook, places) },
            is_wrapped: false,
            files,
            notes,
            activate: ACTIVATE.to_owned(),
        })
    }
}

/// `oci.conf`, beside Slurm's own file.
fn runtime(path: &str, tree: &Tree<'_>) -> Result<Step, Error> {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let path = format!("{directory}/oci.conf");
    let text = tree.text(&path)?.unwrap_or_default();
    let settings = config::read(Language::Lines, &text).map_err(|fault| faulty(&path, &fault))?;
    let creates = ["runtimecreate", "runtimestart"].into_iter().find(|key| settings.get(key).is_some());
    if let Some(key) = creates {
        let message = format!("`{path}` has Slurm create and start containers in two steps, by `{key}`");
        return Err(Error::refused(
            message,
            "take `RunTimeCreate` and `RunTimeStart` out: gpupol's `RunTimeRun` does both",
        ));
    }
    let edits = RUNTIME.map(|(key, value)| Edit::new(&[key], value)).to_vec();
    Ok(Step::Settings(path, Language::Lines, edits))
}

/// Has Slurm run the scripts, beside what it runs already.
fn scripts(path: &str, tree: &Tree<'_>, notes: &mut Vec<String>) -> Result<Vec<Step>, Error> {
    let Some(text) = tree.text(path)? else {
        let lines = SCRIPTS.map(|(key, script, _)| format!("`{key}={script}`")).join(" and ");
        notes.push(format!("there is no `{path}` here: give Slurm's configuration the lines {lines}"));
        return Ok(Vec::new());
    };
    let files = files(path, text, tree)?;
    let (mut edits, mut links) = (Vec::new(), Vec::new());
    for (key, script, _) in SCRIPTS {
        let said = files.iter().find_map(|(path, settings)| {
            let value = settings.get(key.to_ascii_lowercase())?.as_str()?;
            Some((path, value.split('#').next().unwrap_or_default().trim_end()))
        });
        let (path, said) = said.map_or((path, None), |(path, said)| (path.as_str(), Some(said)));
        let directory = said.and_then(|value| value.strip_suffix("/*"));
        match (said, directory) {
            (None, _) => edits.push(Edit::new(&[key], script)),
            (Some(value), _) if value == script => {}
            (_, Some(directory)) => {
                links.push(Step::Link(format!("{directory}/{AMONG_OTHERS}"), script.to_owned()))
            }
            (Some(value), None) => {
                let message = format!("`{path}` has a {key} already, `{value}`, and takes one");
                let directory = format!("/etc/slurm/{}.d", key.to_ascii_lowercase());
                let help = format!(
                    "write `{key}={directory}/*` there, which runs all of that directory, and move it into that"
                );
                return Err(Error::refused(message, help));
            }
        }
    }
    if !edits.is_empty() {
        notes.push(format!("all nodes of a cluster are to have the same `{path}`: copy it to them, with the scripts that it names"));
        links.push(Step::Settings(path.to_owned(), Language::Lines, edits));
    }
    Ok(links)
}

/// Slurm's file and those that it includes, with what each says.
fn files(path: &str, text: String, tree: &Tree<'_>) -> Result<Vec<(String, Value)>, Error> {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let (mut read, mut open) = (Vec::new(), vec![(path.to_owned(), text, 0)]);
    while let Some((path, text, depth)) = open.pop() {
        for name in text.lines().filter_map(included) {
            let file = if name.starts_with('/') { name.to_owned() } else { format!("{directory}/{name}") };
            if depth == DEPTH {
                let message = format!("`{path}` includes `{file}`, the last of too many");
                return Err(Error::refused(message, "see whether a file includes itself"));
            }
            open.extend(tree.text(&file)?.map(|text| (file, text, depth + 1)));
        }
        let settings = config::read(Language::Lines, &text).map_err(|fault| faulty(&path, &fault))?;
        read.push((path, settings));
    }
    Ok(read)
}

/// The file that a line includes.
fn included(line: &str) -> Option<&str> {
    let (word, name) = line.trim_start().split_once(char::is_whitespace)?;
    let name = name.split('#').next().unwrap_or_default().trim();
    (word.eq_ignore_ascii_case("include") && !name.is_empty()).then_some(name)
}

/// A word of the shell.
fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._@:+-".contains(&byte);
    if text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
