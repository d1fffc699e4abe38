//! A lease: which container holds a device. One small file each, `leases/DEVICE/ENGINE-CONTAINER` below an entry's state
//! directory; hooks write and remove them, and who compiles plans looks at them.

use serde::{Deserialize, Serialize};

use crate::choose::Lease;
use crate::document;
use crate::entry::Engine;
use crate::plan::Sharing;
use crate::refusal::Refusal;

/// The version of [`Record`] that this crate reads and writes.
pub const LEASE_VERSION: u32 = 1;

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
    /// Whether the container is still to be made; the process is then whoever makes it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub pending: bool,
    /// Until when it may be pending, in seconds since boot; absent: as long as that process runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_until: Option<u64>,
    /// The container's cgroup, if it holds this container alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupName>,
}

impl Record {
    /// Reads the file of a lease.
    ///
    /// # Errors
    ///
    /// [`crate::refusal::Reason::PlanSet`] if it is of another version or not such a document.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        document::parse("lease", LEASE_VERSION, bytes)
    }

    /// Whether it is pending for longer than it may be, so many seconds after boot.
    #[must_use]
    pub fn is_past(&self, since_boot: u64) -> bool {
        self.pending_until.is_some_and(|until| since_boot > until)
    }

    /// What it means for those who would share the device.
    #[must_use]
    pub fn lease(self) -> Lease {
        Lease { tenant: Some(self.tenant), grant: Some(self.grant), sharing: self.sharing }
    }
}

/// A cgroup by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CgroupName {
    /// Kind of its hierarchy.
    pub version: CgroupVersion,
    /// Its path there.
    pub path: String,
}

/// Which kind of hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupVersion {
    /// The `devices` hierarchy of cgroup v1.
    #[serde(rename = "v1")]
    V1,
    /// The unified hierarchy.
    #[serde(rename = "v2")]
    V2,
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

/// The seconds since boot that `/proc/uptime` says.
#[must_use]
pub fn since_boot(uptime: &str) -> Option<u64> {
    uptime.split('.').next()?.parse().ok()
}

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Whether any of its threads runs.
    pub is_alive: bool,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
}

impl Stat {
    /// State, number of threads and start time, fields 3, 20 and 22. The second field is a name in parentheses that may
    /// hold anything.
    ///
    /// A process whose first thread has ended looks like a zombie while its other threads run on, so a zombie is dead
    /// only when it is the last of its threads.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (_, after) = text.rsplit_once(") ")?;
        let mut fields = after.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let threads: u64 = fields.nth(16)?.parse().ok()?;
        let start_time = fields.nth(1)?.parse().ok()?;
        let is_alive = !matches!(state, 'Z' | 'X' | 'x') || threads > 1;
        Some(Self { is_alive, start_time })
    }
}

#[cfg(test)]
mod tests {
    use super::{Stat, escape};

    #[test]
    fn no_text_leaves_its_directory_or_meets_another() {
        assert_eq!(escape("../a"), "%2E.%2Fa");
        assert_eq!(escape("a%2Fb"), "a%252Fb");
        assert_eq!(escape("node.root.7"), "node.root.7");
    }

    #[test]
    fn a_name_with_parentheses_does_not_move_the_fields() {
        let stat = "7 (a) Z 1) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 2 3";
        assert_eq!(Stat::parse(stat), Some(Stat { is_alive: true, start_time: 4242 }));
    }

    #[test]
    fn a_zombie_with_running_threads_is_alive() {
        let stat = |state: &str, threads: u32| {
            format!("7 (a) {state} 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 {threads} 0 4242 1 2 3")
        };
        let is_alive = |state, threads| Stat::parse(&stat(state, threads)).unwrap().is_alive;
        assert!(is_alive("S", 1) && is_alive("Z", 2));
        assert!(!is_alive("Z", 1) && !is_alive("X", 0));
    }
}
