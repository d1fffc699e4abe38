//! One lease as a file.

use std::os::fd::{AsFd, OwnedFd};

use gpupol_plan::choose::Lease;
use gpupol_plan::entry::Engine;
use gpupol_plan::plan::Sharing;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::cgroup::Version;
use crate::error::{Error, Result};
use crate::file::{self, Trust};

/// The version of [`Record`] that this program reads and writes.
pub const LEASE_VERSION: u32 = 1;

const LIMIT: usize = 64 * 1024;
const NAME_MAX: usize = 255;

/// What a lease says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// Always [`LEASE_VERSION`]; anything else counts as held by somebody unknown.
    pub lease_version: u32,
    /// The engine that started the container.
    pub engine: Engine,
    /// The container's id.
    pub container: String,
    /// UUID of the device.
    pub device: String,
    /// The tenant.
    pub tenant: String,
    /// The grant.
    pub grant: String,
    /// How the device is shared while this lease stands.
    pub sharing: Sharing,
    /// The container's init on the host.
    pub pid: u32,
    /// When that started, in clock ticks since boot.
    pub start_time: u64,
    /// The container's cgroup, if it holds this container alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupName>,
}

/// A cgroup by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CgroupName {
    /// Kind of its hierarchy.
    pub version: Version,
    /// Its path there.
    pub path: String,
}

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

impl Record {
    /// What it means for those who would share the device.
    #[must_use]
    pub fn lease(self) -> Lease {
        Lease { tenant: Some(self.tenant), grant: Some(self.grant), sharing: self.sharing }
    }
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
        match serde_json::from_slice::<Record>(&bytes) {
            Ok(record) if record.lease_version == LEASE_VERSION => Self::Record(record),
            _ => Self::Unreadable,
        }
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

/// A text as one component of a path: ASCII letters, digits, `_`, `-` and inner dots stay, every other byte
/// becomes `%` and two hexadecimal digits.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if plain || (byte == b'.' && !escaped.is_empty()) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_leaves_its_directory_or_meets_another() {
        assert_eq!(escape("../a"), "%2E.%2Fa");
        assert_eq!(escape("a%2Fb"), "a%252Fb");
        assert_eq!(escape("node.root.7"), "node.root.7");
        assert_eq!(file_name("docker", ".").unwrap(), "docker-%2E");
        assert!(file_name("docker", &"a".repeat(300)).is_err());
    }
}
