//! Why a command could not decide.

use std::io::{self, ErrorKind};

use thiserror::Error;

use super::print;
use super::render::{self, Style, escape};
use crate::diag::Finding;
use crate::source::Sources;
use crate::topology::TOPOLOGY_VERSION;
use crate::topology::discover::DiscoverError;
use crate::topology::read::TopologyError;

/// What makes a command end with exit code 2.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// A file or directory cannot be read.
    #[error("`{what}` cannot be read: {why}")]
    Unreadable {
        /// Its path.
        what: String,
        /// Why.
        why: io::Error,
    },
    /// A file or directory cannot be written.
    #[error("`{what}` cannot be written: {why}")]
    Unwritable {
        /// Its path.
        what: String,
        /// Why.
        why: io::Error,
    },
    /// A file is no topology.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The live host cannot be asked.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// Anything else about what was given to the command, and a remedy.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        help: String,
    },
    /// Something that stands in a policy.
    #[error("{}", .0.message)]
    Located(Box<Finding>, Box<Sources>),
}

impl Failure {
    /// A failure with a remedy.
    pub(super) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: help.into() }
    }

    /// What to do about it.
    pub(super) fn help(&self) -> Option<&str> {
        match self {
            Self::Unreadable { why, .. } => match why.kind() {
                ErrorKind::NotFound => Some("name what is there"),
                ErrorKind::PermissionDenied => Some("run this as somebody who may read it"),
                _ => Some("see what lies there, or name another"),
            },
            Self::Unwritable { why, .. } => match why.kind() {
                ErrorKind::NotFound => Some("make the directory in which it is to lie first, by `mkdir -p`"),
                ErrorKind::PermissionDenied => Some("run this as somebody who may write there"),
                ErrorKind::StorageFull => Some("make room there, or name another place"),
                _ => Some("see what lies there, or name another place"),
            },
            Self::Usage { help, .. } => Some(help),
            Self::Topology(TopologyError::Version { found, .. }) if *found > TOPOLOGY_VERSION => {
                Some("read it with a newer gpupol, or record the host again with `gpupol discover -o FILE`")
            }
            Self::Topology(_) => Some("record the host again with `gpupol discover -o FILE`"),
            _ => None,
        }
    }

    /// Tells the user.
    pub(super) fn say(&self) {
        if let Self::Located(finding, sources) = self {
            print::say(&render::findings(&[(**finding).clone()], sources, Style::of_stderr()));
            return;
        }
        let help = self.help().map(|help| format!("  help: {}\n", escape(help))).unwrap_or_default();
        print::say(&format!("error: {}\n{help}", escape(&self.to_string())));
    }
}
