//! Edits: the steps of a plan, as plain data. `docs/plan-format.md` says what CDI calls each.
//!
//! A device node and a bind can be done before a container is created, by editing its `config.json` (the spec form), and
//! after that, by the hook (the hook form). A tmpfs and what lies below it is the hook's in both forms: no `config.json`
//! has files with content, and runtimes refuse mounts in `/proc`. A variable and a group exist in the spec form alone: the
//! hook form leaves them out, and a plan that cannot do without one is [`crate::plan::Plan::needs_spec`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::entry::Form;

mod read;

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case", try_from = "read::Fields")]
#[cfg_attr(feature = "schema", schemars(!try_from))]
pub enum Edit {
    /// A character device in the container's `/dev`, and the device rule that goes with it.
    DeviceNode(DeviceNode),
    /// A bind of something of the host.
    Bind(Bind),
    /// An empty file system over a directory of the container.
    Tmpfs(Tmpfs),
    /// A file with content, below a [`Tmpfs`].
    File(File),
    /// A variable of the container's process.
    Env(Env),
    /// A group of the container's process.
    Gid(Gid),
}

/// A character device in the container's `/dev`, and the device rule that goes with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DeviceNode {
    /// Applied only if one of these is in force; empty: always.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<Capability>,
    /// The node on the host, bound where the container's user namespace forbids making one.
    pub host_path: String,
    /// Where it appears, below `/dev`.
    pub container_path: String,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits, such as 438 (0666).
    pub file_mode: u32,
    /// Access in the device rule; `rw`, never `m`.
    pub permissions: String,
}

/// A bind of a regular file or directory, or of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Bind {
    /// Applied only if one of these is in force; empty: always.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<Capability>,
    /// Whether it is for 32-bit programs: then compat32 must be in force beside one of the capabilities.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub compat32: bool,
    /// Whether a container starts without it where the source is gone, as a daemon's socket is while that is down.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub optional: bool,
    /// The name of a socket in the source: a directory in root's hands, without which, and without somebody who listens
    /// there, no container starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listening: Option<String>,
    /// Source on the host, absolute, no symbolic link in its last component.
    pub host_path: String,
    /// Where it appears. At its beginning `{libdir}` and `{libdir32}` stand for the container's directories of 64-bit
    /// and 32-bit libraries, `{xorgdir}` for that of the X server's modules.
    pub container_path: String,
    /// Mount options.
    pub options: BTreeSet<MountOption>,
}

/// An empty file system over a directory of the container; files and binds below it are put into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Tmpfs {
    /// Applied only if one of these is in force; empty: always.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<Capability>,
    /// Whether it is there to hide what the directory has: where there is no such directory, it and everything below it
    /// is left out. Otherwise the directory is made.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub hides: bool,
    /// The directory.
    pub container_path: String,
    /// Permission bits of its root, such as 365 (0555).
    pub file_mode: u32,
    /// Mount options; [`MountOption::Ro`] comes into force when everything below it is in place.
    pub options: BTreeSet<MountOption>,
}

/// A file with content, below a [`Tmpfs`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Applied only if one of these is in force; empty: always.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<Capability>,
    /// Where it appears.
    pub container_path: String,
    /// What it holds; [`File::VISIBLE_GPUS`] in it stands for a number with a bit for the minor of each of NVIDIA's GPUs that
    /// the container gets, of those below 64.
    pub content: String,
    /// Permission bits, such as 292 (0444).
    pub file_mode: u32,
}

impl File {
    /// The word in a file's content that stands for the GPUs that its container gets.
    pub const VISIBLE_GPUS: &str = "{visible-gpus}";

    /// What it holds in a container that gets these GPUs.
    #[must_use]
    pub fn text(&self, visible_gpus: u64) -> String {
        self.content.replace(Self::VISIBLE_GPUS, &format!("{visible_gpus:#x}"))
    }
}

/// A variable of the container's process, in the spec form alone. It replaces one of that name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Env {
    /// Applied only if one of these is in force; empty: always.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<Capability>,
    /// Whether the hook form can do without it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub optional: bool,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A group that the container's process is in besides its own, in the spec form alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Gid {
    /// Applied only if one of these is in force; empty: always.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<Capability>,
    /// The group's id on the host.
    pub gid: u32,
}

/// An option of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MountOption {
    /// Read-only.
    Ro,
    /// Set-uid bits are ignored.
    Nosuid,
    /// Device nodes are ignored.
    Nodev,
    /// Nothing on it can be executed.
    Noexec,
}

impl MountOption {
    /// The word for it in plans and in `config.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ro => "ro",
            Self::Nosuid => "nosuid",
            Self::Nodev => "nodev",
            Self::Noexec => "noexec",
        }
    }
}

/// What an edit makes; two edits for one target are one edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target<'e> {
    /// What is at this path of the container.
    Path(&'e str),
    /// The variable of this name.
    Env(&'e str),
    /// The group with this id.
    Gid(u32),
}

impl Edit {
    /// The capabilities of which one must be in force; empty: applied always.
    #[must_use]
    pub fn capabilities(&self) -> &BTreeSet<Capability> {
        match self {
            Self::DeviceNode(DeviceNode { capabilities, .. })
            | Self::Bind(Bind { capabilities, .. })
            | Self::Tmpfs(Tmpfs { capabilities, .. })
            | Self::File(File { capabilities, .. })
            | Self::Env(Env { capabilities, .. })
            | Self::Gid(Gid { capabilities, .. }) => capabilities,
        }
    }

    /// Whether it is applied for a container with these capabilities.
    #[must_use]
    pub fn applies(&self, in_force: &BTreeSet<Capability>) -> bool {
        let compat32 = matches!(self, Self::Bind(Bind { compat32: true, .. }));
        (!compat32 || in_force.contains(&Capability::Compat32))
            && (self.capabilities().is_empty() || !self.capabilities().is_disjoint(in_force))
    }

    /// What it makes.
    #[must_use]
    pub fn target(&self) -> Target<'_> {
        match self {
            Self::DeviceNode(DeviceNode { container_path, .. })
            | Self::Bind(Bind { container_path, .. })
            | Self::Tmpfs(Tmpfs { container_path, .. })
            | Self::File(File { container_path, .. }) => Target::Path(container_path),
            Self::Env(Env { name, .. }) => Target::Env(name),
            Self::Gid(Gid { gid, .. }) => Target::Gid(*gid),
        }
    }

    /// The path in the container, of an edit that has one.
    #[must_use]
    pub fn container_path(&self) -> Option<&str> {
        match self.target() {
            Target::Path(path) => Some(path),
            Target::Env(_) | Target::Gid(_) => None,
        }
    }

    /// Whether it exists in a form.
    #[must_use]
    pub fn is_of(&self, form: Form) -> bool {
        form == Form::Spec || !matches!(self, Self::Env(_) | Self::Gid(_))
    }

    /// Whether it exists in the spec form alone, and a container cannot do without it.
    #[must_use]
    pub fn needs_spec(&self) -> bool {
        matches!(self, Self::Env(Env { optional: false, .. }) | Self::Gid(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_32_bit_programs_needs_both() {
        use Capability::{Compat32, Compute, Utility, Video};
        let edit = |compat32| {
            Edit::Bind(Bind {
                capabilities: BTreeSet::from([Compute, Video]),
                compat32,
                optional: false,
                listening: None,
                host_path: "/usr/lib/libcuda.so.550.163.01".to_owned(),
                container_path: "{libdir32}/libcuda.so.1".to_owned(),
                options: BTreeSet::new(),
            })
        };
        let cases: [(&[Capability], [bool; 2]); 5] = [
            (&[], [false, false]),
            (&[Compute], [true, false]),
            (&[Compat32], [false, false]),
            (&[Compat32, Utility], [false, false]),
            (&[Compat32, Compute], [true, true]),
        ];
        for (in_force, expected) in cases {
            let in_force = in_force.iter().copied().collect();
            assert_eq!([false, true].map(|old| edit(old).applies(&in_force)), expected, "{in_force:?}");
        }
    }
}
