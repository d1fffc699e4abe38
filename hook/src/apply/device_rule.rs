//! Device rules: what the kernel lets the container open.

use gpupol_plan::edit::{DeviceNode, Edit};

use crate::cgroup::{Cgroup, Version};
use crate::error::{Error, Result};

pub mod contain;
pub mod program;
mod v1;
mod v2;

/// The largest major number that Linux has.
const MAJOR_MAX: u32 = (1 << 12) - 1;
/// The largest minor number that Linux has.
const MINOR_MAX: u32 = (1 << 20) - 1;

/// Access to one character device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// What may be done with it.
    pub access: Access,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// What may be done with a device. To make nodes is never among it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// Reading.
    pub read: bool,
    /// Writing.
    pub write: bool,
}

impl Access {
    /// Its letters, as the kernel and systemd write them.
    #[must_use]
    pub fn letters(self) -> &'static str {
        match (self.read, self.write) {
            (true, true) => "rw",
            (true, false) => "r",
            (false, true) => "w",
            (false, false) => "",
        }
    }
}

/// Rules that were opened, and how to close them again.
#[derive(Debug)]
pub enum Opened<'c> {
    /// Nothing had to be opened.
    Nothing,
    /// In a `devices` hierarchy of cgroup v1.
    V1(v1::Opened<'c>),
    /// In the programs of cgroup v2.
    V2(v2::Opened<'c>),
}

/// The rule that goes with an edit.
///
/// # Errors
/// The edit allows something that no plan may.
pub fn of(edit: &Edit) -> Result<Option<Rule>> {
    let Edit::DeviceNode(node) = edit else { return Ok(None) };
    let DeviceNode { container_path, major, minor, permissions, .. } = node;
    let access = Access { read: permissions.contains('r'), write: permissions.contains('w') };
    let in_range = *major <= MAJOR_MAX && *minor <= MINOR_MAX;
    if !in_range || permissions.is_empty() || !permissions.chars().all(|letter| matches!(letter, 'r' | 'w')) {
        return Err(Error::found(format!(
            "device node `{container_path}`: no plan may allow `{major}:{minor} {permissions}`"
        )));
    }
    Ok(Some(Rule { access, major: *major, minor: *minor }))
}

/// The rules that go with edits.
///
/// # Errors
/// An edit allows something that no plan may.
pub fn all(edits: &[&Edit]) -> Result<Vec<Rule>> {
    edits.iter().filter_map(|edit| of(edit).transpose()).collect()
}

/// Opens the rules for the container in this cgroup, which must hold it alone.
///
/// # Errors
/// The call that failed, or the cgroup above that forbids it. Then nothing is left open.
pub fn open<'c>(cgroup: &'c Cgroup, rules: &[Rule]) -> Result<Opened<'c>> {
    if rules.is_empty() {
        return Ok(Opened::Nothing);
    }
    match cgroup.version {
        Version::V1 => v1::open(cgroup, rules).map(Opened::V1),
        Version::V2 => v2::open(cgroup, rules).map(Opened::V2),
    }
}

impl Opened<'_> {
    /// Closes them again; what could not be closed is said.
    #[must_use]
    pub fn undo(self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::V1(opened) => opened.undo().err().map(|error| error.to_string()),
            Self::V2(opened) => opened.undo().err().map(|error| error.to_string()),
        }
    }
}
