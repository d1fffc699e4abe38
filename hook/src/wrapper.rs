//! `gpupol-runtime.ENTRY`, a link to the executor that an engine has for a runtime.
//!
//! When a container is to be made, its plan's spec form is put into its `config.json`. Then, and for every other command at
//! once, this process becomes the entry's real runtime, with the arguments, variables and descriptors that it was given.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;

use gpupol_plan::entry::{Entry, Form};
use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat};

use crate::error::{Called, Error, Result};
use crate::lease::Taken;
use crate::process::Process;
use crate::start::before;
use crate::state::State;
use crate::{ENTRIES, Exit, bundle, confine, entry, fail, file, sys};

mod command_line;
mod log;

use command_line::{CommandLine, Starting};

/// What the link's name begins with; the rest is the entry's.
pub(crate) const NAME: &str = "gpupol-runtime.";

/// How the names of NVIDIA's runtimes begin. Each reads the file after gpupol has edited it, and adds what annotations, mounts
/// or variables name.
const INJECTING: &str = "nvidia-container-runtime";

/// Becomes the real runtime of an entry; comes back only if that must not be.
pub(crate) fn run(name: &str, arguments: Vec<OsString>) -> Exit {
    let command_line = CommandLine::parse(&arguments);
    let Err(error) = replace(name, &command_line, arguments);
    let message = error.to_string();
    log::write(&command_line, &message);
    fail(&message, Exit::Refused)
}

fn replace(
    name: &str,
    command_line: &CommandLine,
    arguments: Vec<OsString>,
) -> Result<core::convert::Infallible> {
    if sys::is_set_id() {
        return Err(Error::found(
            "the program has a set-user-ID bit or capabilities of its own, and must not",
        ));
    }
    let entry = entry::load(ENTRIES, name)?;
    let runtime = real_runtime(name, &entry)?;
    if entry.form != Form::Spec {
        return Err(Error::found(format!("entry `{name}` is of form hook: its runtime needs no wrapper")));
    }
    let starting = command_line.starting.as_ref().map_err(|why| Error::found(why.as_str()))?;
    let bounded = confine::bound_memory()?;
    let taken = starting.as_ref().map(|starting| edit(name, &entry, starting)).transpose()?.flatten();
    drop(bounded);
    let error = become_runtime(runtime, arguments);
    if let Some(taken) = taken {
        taken.give_back();
    }
    Err(error)
}

/// Edits the `config.json` of a container that is to be made; gives back the leases that it then has.
fn edit(name: &str, entry: &Entry, starting: &Starting) -> Result<Option<Taken>> {
    let own = std::process::id();
    let holder = Process::open(own)?.ok_or_else(|| Error::found(format!("process {own} is not alive")))?;
    let state = State::before_create(&starting.id, absolute(&starting.bundle)?);
    let container = before::Container {
        entry_name: name,
        entries: None,
        entry,
        state: &state,
        holder: &holder,
        is_restored: starting.is_restored,
        pending_until: None,
    };
    let bytes = bundle::read(&state)?;
    let Some(edited) = before::edit(&container, &bytes)? else { return Ok(None) };
    match bundle::replace(&state, &edited.config) {
        Ok(()) => Ok(Some(edited.taken)),
        Err(error) => {
            edited.taken.give_back();
            Err(error)
        }
    }
}

/// The path of the entry's real runtime, which is in root's hands, as are all directories above it.
fn real_runtime(name: &str, entry: &Entry) -> Result<CString> {
    let step = || format!("`realRuntime` of entry `{name}`");
    let path = entry.real_runtime.as_deref().ok_or_else(|| Error::found("there is none").during(step))?;
    trusted_program(path).map_err(|error| error.during(step))
}

fn trusted_program(path: &str) -> Result<CString> {
    if !path.starts_with('/') {
        return Err(Error::found(format!("`{path}` is not an absolute path")));
    }
    // Distributions have links here; where they lead is what counts.
    let program = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .called(|| format!("openat(`{path}`)"))?;
    let place = file::path_of(&program)?;
    if file::path_of_own_program()? == place {
        return Err(Error::found(format!("`{path}` is gpupol's own program")));
    }
    let (directory, program_name) = place.rsplit_once('/').unwrap_or_default();
    if program_name.starts_with(INJECTING) {
        return Err(Error::found(format!(
            "`{path}` is NVIDIA's runtime, which gives GPUs of its own accord: name the runtime behind it, such as `/usr/bin/runc`"
        )));
    }
    file::open_trusted_directory(directory)?;
    file::require_root(&program, path)?;
    CString::new(path).map_err(|_| Error::found(format!("`{path}` has a zero byte")))
}

fn absolute(path: &str) -> Result<String> {
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let here = readlinkat(CWD, "/proc/self/cwd", Vec::new()).called(|| "readlinkat(cwd)".to_owned())?;
    let here = here.into_string().map_err(|_| Error::found("the current directory is not UTF-8"))?;
    Ok(format!("{here}/{path}"))
}

fn become_runtime(runtime: CString, arguments: Vec<OsString>) -> Error {
    let all = arguments.into_iter().map(|argument| CString::new(argument.into_vec()));
    let words: core::result::Result<Vec<CString>, _> = [Ok(runtime.clone())].into_iter().chain(all).collect();
    let Ok(words) = words else { return Error::found("an argument has a zero byte") };
    let errno = sys::exec(&runtime, &words);
    Error::Failed {
        during: String::new(),
        what: format!("execv(`{}`)", runtime.to_string_lossy()),
        errno: Some(errno),
    }
}
