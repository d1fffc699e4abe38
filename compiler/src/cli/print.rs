//! Standard output and standard error.
#![expect(clippy::disallowed_methods, reason = "the command line prints")]

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write, stderr, stdout};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use super::Failure;
use super::render::write_json;

/// Writes data to standard output. Whoever read enough of it and left is no error.
pub(super) fn data(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    done(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Writes a JSON document to standard output, piece by piece as it is made.
pub(super) fn document(document: &impl Serialize) -> Result<(), Failure> {
    let mut out = BufWriter::new(stdout().lock());
    done(write_json(document, &mut out).and_then(|()| out.flush()))
}

/// Whoever read enough of standard output and left is no error.
fn done(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Unwritable { what: "standard output".to_owned(), why: error })
        }
        _ => Ok(()),
    }
}

/// Writes what is true now in the place of what was; to a pipe one after the other.
pub(super) fn instead(text: &str) -> Result<(), Failure> {
    let clear = if stdout().is_terminal() { "\u{1b}[H\u{1b}[2J" } else { "" };
    data(&format!("{clear}{text}"))
}

/// Waits; whether the reader of standard output is still there then.
pub(super) fn wait(time: Duration) -> bool {
    let out = stdout();
    let mut watched = [PollFd::new(&out, PollFlags::empty())];
    // A reader who leaves is told at once. An interruption only shortens the wait.
    match poll(&mut watched, Timespec::try_from(time).ok().as_ref()) {
        Ok(_) => !watched.iter().any(|watched| watched.revents().intersects(PollFlags::ERR | PollFlags::HUP)),
        Err(_) => true,
    }
}

/// Writes words for people to standard error; if nobody can be told, nobody is.
pub(super) fn say(text: &str) {
    _ = stderr().lock().write_all(text.as_bytes());
}

/// `1 file`, `2 files`.
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    if number == 0 { format!("no {noun}s") } else { format!("{number} {noun}{plural}") }
}
