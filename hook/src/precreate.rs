//! Podman's stage before a container is made: its `config.json` comes in on standard input and goes out on standard output,
//! with the spec form in it.

use gpupol_plan::entry::Form;

use crate::arguments::Arguments;
use crate::error::{Error, Result};
use crate::process::{self, Process};
use crate::start::before::{self, Container};
use crate::state::State;
use crate::{ENTRIES, bundle, entry, file};

/// As for one that is read from a bundle.
const LIMIT: usize = 64 * 1024 * 1024;

/// So long may it take from here to the container's own hook; who called may go on for ever.
const PATIENCE: u64 = 60;

/// Edits the configuration on standard input, or writes it out as it came.
///
/// # Errors
/// Why the container must not be made.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let bytes = file::read_all(std::io::stdin(), LIMIT)
        .map_err(|error| error.during(|| "`config.json` on standard input".to_owned()))?;
    let entry = entry::load(&arguments.entries, &arguments.entry)?;
    if entry.form != Form::Spec {
        let message = format!("entry `{}` is of form hook, which has nothing to do yet", arguments.entry);
        return Err(Error::found(message));
    }
    let nobody = State::before_create("", String::new());
    let config = bundle::parse(&nobody, &bytes)?;
    if !config.root.path.starts_with('/') {
        return Err(Error::found("`root.path` of config.json is not an absolute path"));
    }
    let state = State::before_create(config.podman_id().unwrap_or_default(), String::new());
    let edited = before::edit(
        &Container {
            entry_name: &arguments.entry,
            entries: Some(arguments.entries.as_str()).filter(|entries| *entries != ENTRIES),
            entry: &entry,
            state: &state,
            holder: &caller()?,
            is_restored: false,
            pending_until: Some(process::since_boot()?.saturating_add(PATIENCE)),
        },
        &bytes,
    )?;
    let Some(edited) = edited else { return file::write_all(std::io::stdout(), &bytes) };
    file::write_all(std::io::stdout(), &edited.config).inspect_err(|_| edited.taken.give_back())
}

/// Who has the container made.
fn caller() -> Result<Process> {
    let parent = rustix::process::getppid().and_then(|pid| u32::try_from(pid.as_raw_pid()).ok());
    let process = parent.map(Process::open).transpose()?.flatten();
    process.ok_or_else(|| Error::found("whoever called is not alive"))
}
