//! Reading an entry, what root said of one way in.

use std::os::fd::AsFd;

use gpupol_plan::entry::Entry;

use crate::error::{Error, Result};
use crate::file::{self, Trust};

const LIMIT: usize = 64 * 1024;

/// Reads the entry of this name.
///
/// # Errors
/// It is not there, not root's alone, or not an entry.
pub(crate) fn load(directory: &str, name: &str) -> Result<Entry> {
    read(directory, name).map_err(|error| match error {
        Error::Refused(refusal) => Error::found(refusal.message).during(|| step(directory, name)),
        failed @ Error::Failed { .. } => failed.during(|| step(directory, name)),
    })
}

fn read(directory: &str, name: &str) -> Result<Entry> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(Error::found("not a name of an entry"));
    }
    let entries = file::open_trusted_directory(directory)?;
    let bytes = file::read_bounded(entries.as_fd(), &format!("{name}.json"), LIMIT, Trust::Root)?;
    Ok(Entry::parse(&bytes)?)
}

fn step(directory: &str, name: &str) -> String {
    format!("entry `{name}` in `{directory}`")
}
