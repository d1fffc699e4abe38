//! How the program ends.

use std::panic::PanicHookInfo;
use std::process::ExitCode;

use super::print;
use super::render::escape;

/// The exit codes; scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// No errors.
    Clean = 0,
    /// Errors, failed tests, warnings that were denied, or files that are not formatted.
    Findings = 1,
    /// It could not be decided: usage, unreadable input, limits.
    Undecided = 2,
    /// A defect of gpupol.
    Internal = 3,
    /// The container may not have what it asks for.
    Denied = 4,
}

impl Exit {
    /// Every code, with its meaning in the words of help and manual.
    pub(super) const ALL: [(Self, &str); 5] = [
        (Self::Clean, "no errors"),
        (Self::Findings, "errors, failed tests, or a gate that was asked for"),
        (Self::Undecided, "it could not be decided: usage, unreadable input, limits"),
        (Self::Internal, "a defect of gpupol"),
        (Self::Denied, "the container is denied (`gpupol plan`, `gpupol why --exit-status`)"),
    ];
}

/// The exit codes as the end of the help.
pub(super) fn help() -> String {
    let lines = Exit::ALL.map(|(exit, meaning)| format!("\n  {}  {meaning}", exit as u8));
    format!("Exit status:{}", lines.concat())
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A panic is a defect of gpupol: one line says where, so that it can be reported; a backtrace helps no user.
pub(super) fn say_panics_in_one_line() {
    std::panic::set_hook(Box::new(|info: &PanicHookInfo| {
        let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
        let place = place.unwrap_or_else(|| "an unknown place".to_owned());
        let why = info.payload_as_str().unwrap_or("no reason given");
        print::say(&format!("gpupol: internal error at {place}: {}\n", escape(why)));
    }));
}
