//! The runtime's own log, where engines look for the reason of a failure.

use gpupol_plan::refusal::one_line;
use rustix::fs::{CWD, Mode, OFlags, openat};
use serde::Serialize;

use super::command_line::CommandLine;
use crate::audit::now;
use crate::file;

/// One line of it, in the words of runc and crun.
#[derive(Serialize)]
struct Line<'l> {
    level: &'l str,
    msg: &'l str,
    time: String,
}

/// Writes an error as the runtime would. Nobody is left to hear that it could not be written.
pub(super) fn write(command_line: &CommandLine, message: &str) {
    let Some(path) = &command_line.log else { return };
    let line = line(command_line.log_is_json, &format!("gpupol: {}", one_line(message)));
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    if let Ok(log) = openat(CWD, path.as_str(), flags, Mode::from_raw_mode(0o644)) {
        let _ = file::write_all(&log, line.as_bytes());
    }
}

fn line(is_json: bool, msg: &str) -> String {
    let line = Line { level: "error", msg, time: now() };
    if is_json {
        return serde_json::to_string(&line).unwrap_or_default() + "\n";
    }
    format!("time=\"{}\" level=error msg={}\n", line.time, serde_json::to_string(msg).unwrap_or_default())
}
