//! Standard output and standard error.
#![expect(clippy::disallowed_methods, reason = "the command line prints")]

use std::io::{ErrorKind, Write, stderr, stdout};

use super::Failure;

/// Writes data to standard output. Whoever read enough of it and left is no error.
pub(super) fn data(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Unwritable { what: "standard output".to_owned(), why: error })
        }
        _ => Ok(()),
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
