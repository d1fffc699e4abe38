//! Installing the hook into a container engine, and taking it out again: which files of a host change, and how.
//!
//! Everything is planned over the host's files ([`tree`]) before any of them is written, and what was written is remembered
//! ([`record`]) so that it can be undone: byte for byte where nobody changed it since, else setting by setting ([`config`]).
//! An installation that is there already is first undone, in thought, and then made anew; what does not differ is not written.
//!
//! Nothing here reads or writes a file by itself: that is `cli`'s, through [`tree::Host`].

use std::io;

use gpupol_plan::entry::{Entry, Form};
use thiserror::Error;

pub mod cdi;
pub mod config;
pub mod configured;
pub mod engine;
mod put;
pub mod record;
pub mod tree;
mod undo;

use engine::{Steps, Wish};
use put::Put;
use record::Record;
use tree::{File, Node, Tree};

/// Where the hook and its links lie: root's alone, and first in the `PATH` that systemd gives its services.
pub const PROGRAMS: &str = "/usr/local/sbin";
/// The hook.
pub const HOOK: &str = "/usr/local/sbin/gpupol-hook";
/// What the links point to, beside which they lie.
const HOOK_NAME: &str = "gpupol-hook";
/// Where the hook reads its entries.
pub const ENTRIES: &str = "/etc/gpupol/entries";

/// Why something is not installed.
#[derive(Debug, Error)]
pub enum Error {
    /// A file cannot be looked at.
    #[error("`{path}` cannot be read: {why}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        why: io::Error,
    },
    /// It must not be.
    #[error("{message}")]
    Refused {
        /// What is wrong.
        message: String,
        /// What to do about it.
        help: String,
    },
}

impl Error {
    fn unreadable(path: &str, why: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), why }
    }

    fn refused(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Refused { message: message.into(), help: help.into() }
    }
}

/// What is to be installed.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The entry's name, if not the engine's usual one.
    pub name: Option<String>,
    /// The hook's program.
    pub hook: Vec<u8>,
    /// What the entry says beside what the engine decides.
    pub places: Places,
    /// Which engine, and how.
    pub engine: Wish,
}

/// Where an entry has plan sets, leases and audit, and the runtime behind it.
#[derive(Clone, Debug)]
pub struct Places {
    /// Directory of the plan sets.
    pub plans: String,
    /// Directory of the leases.
    pub state: String,
    /// File of the audit.
    pub audit: String,
    /// The runtime that makes the containers, if not the engine's default one.
    pub real_runtime: Option<String>,
}

impl Places {
    fn are_absolute(&self) -> Result<(), Error> {
        [&self.plans, &self.state, &self.audit].into_iter().try_for_each(|path| absolute(path))
    }
}

/// What an entry or an engine's file names is to be found from everywhere.
fn absolute(path: &str) -> Result<(), Error> {
    if path.starts_with('/') {
        return Ok(());
    }
    Err(Error::refused(format!("`{path}` is no absolute path"), "begin it with `/`"))
}

/// What came of planning, beside the tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// What whoever installs ought to know.
    pub notes: Vec<String>,
    /// What puts it into effect.
    pub activate: String,
}

/// Plans an installation over the host's files.
///
/// # Errors
/// Something is in the way; then nothing of the plan counts.
pub fn install(tree: &mut Tree<'_>, wanted: &Wanted) -> Result<Planned, Error> {
    let name = wanted.name.clone().unwrap_or_else(|| wanted.engine.usual_name());
    named(&name)?;
    wanted.engine.given_names().into_iter().try_for_each(named)?;
    wanted.places.are_absolute()?;
    for path in [HOOK, ENTRIES, record::RECORDS] {
        tree.is_private(path)?;
    }
    one_state(tree, &name, &wanted.places.state)?;
    let mut others = Record::others(tree, &name)?;
    let before = Record::read(tree, &name)?;
    let engine = wanted.engine.word();
    if let Some(before) = before.as_ref().filter(|before| before.engine != engine) {
        let message = format!("`{name}` is an installation for {} already", before.engine);
        return Err(Error::refused(message, "name another by `--name`, or uninstall that one first"));
    }
    let mut anew = tree.again();
    let mut notes = before.as_ref().map(|it| undo::undo(&mut anew, it, &mut others)).transpose()?;
    let steps = wanted.engine.steps(&name, &wanted.places, &anew)?;
    let settled = Planned { notes: steps.notes.clone(), activate: steps.activate.clone() };
    if before.as_ref().is_some_and(|before| is_there(tree, before, wanted, &steps, &name)) {
        return Ok(settled);
    }
    let replaces = before.as_ref().map(|before| before.there(tree)).transpose()?.unwrap_or_default();
    let record = Record { replaces, ..Record::new(&name, engine) };
    let mut put = Put::new(&mut anew, record, &others);
    every(&mut put, wanted, &steps, &name)?;
    put.finish()?;
    *tree = anew;
    let notes = notes.take().unwrap_or_default().into_iter().chain(settled.notes).collect();
    Ok(Planned { notes, ..settled })
}

/// Who has which device is counted in one place for all ways in, or two containers would have the same one.
fn one_state(tree: &Tree<'_>, name: &str, state: &str) -> Result<(), Error> {
    for file in tree.list(ENTRIES)? {
        let Some(other) = file.strip_suffix(".json").filter(|other| *other != name) else { continue };
        let text = tree.text(&format!("{ENTRIES}/{file}"))?.unwrap_or_default();
        // What is no entry stops its own containers alone.
        let Some(entry) = Entry::parse(text.as_bytes()).ok() else { continue };
        if entry.state_dir != state {
            let message = format!(
                "the entry `{other}` has its leases in `{}`, and this one in `{state}`",
                entry.state_dir
            );
            return Err(Error::refused(message, format!("say `--state {}`", entry.state_dir)));
        }
    }
    Ok(())
}

/// Whether all of that is as it was installed, whatever somebody changed beside it.
fn is_there(tree: &Tree<'_>, before: &Record, wanted: &Wanted, steps: &Steps, name: &str) -> bool {
    let mut tried = tree.again();
    let mut put = Put::new(&mut tried, Record::new(name, wanted.engine.word()), &[]);
    let is_put = every(&mut put, wanted, steps, name).is_ok() && put.changed_nothing();
    let paths = put.paths();
    is_put && before.files.iter().all(|written| paths.contains(&written.path))
}

fn every(put: &mut Put<'_, '_>, wanted: &Wanted, steps: &Steps, name: &str) -> Result<(), Error> {
    let hook = File { bytes: wanted.hook.clone(), mode: 0o755, owner: None };
    put.program(HOOK, Node::File(hook))?;
    put.own(&format!("{ENTRIES}/{name}.json"), &entry_text(&steps.entry), 0o644)?;
    if steps.is_wrapped && steps.entry.form == Form::Spec {
        put.program(&link_of(name), Node::Link(HOOK_NAME.to_owned()))?;
    }
    steps.files.iter().try_for_each(|file| file.put(put))
}

/// The link that stands in front of an entry's runtime.
#[must_use]
pub fn link_of(name: &str) -> String {
    format!("{PROGRAMS}/gpupol-runtime.{name}")
}

fn entry_text(entry: &Entry) -> String {
    // An entry has nothing that JSON lacks.
    serde_json::to_string_pretty(entry).unwrap_or_default() + "\n"
}

/// Plans that an installation is gone.
///
/// # Errors
/// There is none, or something is in the way.
pub fn uninstall(tree: &mut Tree<'_>, name: &str, wish: &str, activate: &str) -> Result<Planned, Error> {
    named(name)?;
    let Some(record) = Record::read(tree, name)? else {
        let message = format!("`{name}` is not installed: there is no `{}`", Record::path(name));
        return Err(Error::refused(message, "name one that is: `ls /etc/gpupol/installed`"));
    };
    if record.engine != wish {
        let message = format!("`{name}` is an installation for {}", record.engine);
        return Err(Error::refused(
            message,
            format!("say `gpupol uninstall {} --name {name}`", record.engine),
        ));
    }
    let mut others = Record::others(tree, name)?;
    let notes = undo::undo(tree, &record, &mut others)?;
    Ok(Planned { notes, activate: activate.to_owned() })
}

/// Names become parts of paths, and the hook takes no others.
fn named(name: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    // What is kept of `docker` is the file `docker.json`, and what is kept of `docker.json` would be a directory of that name.
    let is_mistaken = name.starts_with('.') || name.ends_with(".json");
    if !name.is_empty() && !is_mistaken && name.bytes().all(plain) {
        return Ok(());
    }
    let help = "take letters, digits, `.`, `_` and `-`, and no `.` to begin with, nor `.json` to end with";
    Err(Error::refused(format!("`{name}` is no name of an entry or runtime"), help))
}
