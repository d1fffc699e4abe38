//! The command as tests run it, and what it came to.

use std::fmt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What one run came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// For messages of tests that fail.
impl fmt::Display for Ran {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "exit {}\n{}{}", self.code, self.out, self.err)
    }
}

/// `gpupol` in that directory, with nothing in its environment and nothing to read.
pub(crate) fn gpupol(place: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpupol"));
    command.args(args).current_dir(place).env_clear().stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(place: &Path, args: &[&str]) -> Ran {
    Ran::of(gpupol(place, args).output().unwrap())
}
