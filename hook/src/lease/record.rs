//! One lease as a file.

use std::os::fd::{AsFd, OwnedFd};

pub use gpupol_plan::lease::{CgroupName, LEASE_VERSION, Record, escape};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::file::{self, Trust};

const LIMIT: usize = 64 * 1024;
const NAME_MAX: usize = 255;

/// What was found in a file of a lease.
#[derive(Debug)]
pub enum Found {
    /// A lease.
    Record(Record),
    /// Nothing that this program understands: it stands for a container that nobody can judge.
    Unreadable,
    /// No file: whoever wrote it has given it back.
    Gone,
}

impl Found {
    /// Reads the file of this name.
    #[must_use]
    pub fn read(directory: &OwnedFd, name: &str) -> Self {
        // No lease is called so, and what is no UTF-8 has arrived here with replaced characters.
        if !name.is_ascii() {
            return Self::Unreadable;
        }
        let bytes = match file::read_bounded(directory.as_fd(), name, LIMIT, Trust::Root) {
            Ok(bytes) => bytes,
            Err(Error::Failed { errno: Some(Errno::NOENT), .. }) => return Self::Gone,
            Err(_) => return Self::Unreadable,
        };
        Record::parse(&bytes).map_or(Self::Unreadable, Self::Record)
    }
}

/// The file name of a container's leases.
///
/// # Errors
/// The id is too long for one.
pub fn file_name(engine: &str, container: &str) -> Result<String> {
    let name = format!("{engine}-{}", escape(container));
    if name.len() > NAME_MAX {
        return Err(Error::found(format!("the container's id is too long for a lease: `{name}`")));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_engine_and_container() {
        assert_eq!(file_name("docker", ".").unwrap(), "docker-%2E");
        assert!(file_name("docker", &"a".repeat(300)).is_err());
    }
}
