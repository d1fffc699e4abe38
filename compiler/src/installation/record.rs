//! What an installation wrote, kept on the host so that it can be undone exactly: `/etc/gpupol/installed/NAME.json`.

use serde::{Deserialize, Serialize};

use super::Error;
use super::config::Done;
use super::tree::{File, Node, Tree};
use crate::emit::digest::bytes as digest;

/// Where records and what was saved lie.
pub const RECORDS: &str = "/etc/gpupol/installed";

/// How much of a digest tells copies apart.
const DIGITS: usize = 16;

/// The version that is read and written.
const VERSION: u32 = 1;

/// One installation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// Always 1; anything else is refused.
    pub installed_version: u32,
    /// Its name, which is its entry's.
    pub name: String,
    /// The engine.
    pub engine: String,
    /// What was written, in this order.
    pub files: Vec<Written>,
    /// Directories that were made for that, outermost first.
    pub directories: Vec<String>,
    /// What an installation of the same name had written before: as long as not all of this one is written, that is what is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<Written>,
}

/// One file of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Written {
    /// Where; no part of it is a link.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// What was there.
    pub before: State,
    /// What was put there.
    pub after: State,
    /// The settings that were put into somebody else's file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Done>,
    /// What such a file was begun with where there was none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub begun: String,
}

/// What a file is, which decides what becomes of it if somebody changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The hook itself, or a link to it: several installations may have the same.
    Program,
    /// A file of this installation alone.
    Own,
    /// Somebody else's file, with settings put into it.
    Json,
    /// The same.
    Toml,
    /// The same.
    Lines,
}

/// What was or is at a path, in few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum State {
    /// Nothing.
    Absent,
    /// A link.
    Link {
        /// What it says.
        target: String,
    },
    /// A file.
    File {
        /// Its digest.
        digest: String,
        /// Its permissions.
        mode: u32,
        /// Whose it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<(u32, u32)>,
        /// Where a copy of it lies.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        saved: Option<String>,
    },
}

impl State {
    /// Says in few words what is there; nothing if it is neither file nor link.
    pub(super) fn of(node: &Node) -> Option<Self> {
        match node {
            Node::Absent => Some(Self::Absent),
            Node::Link(target) => Some(Self::Link { target: target.clone() }),
            Node::File(file) => Some(Self::File {
                digest: digest(&file.bytes),
                mode: file.mode,
                owner: file.owner,
                saved: None,
            }),
            Node::Directory | Node::Other => None,
        }
    }

    /// Whether that is what is there.
    pub(super) fn is(&self, node: &Node) -> bool {
        match (self, node) {
            (Self::File { digest: known, .. }, Node::File(file)) => *known == digest(&file.bytes),
            (Self::Link { target }, Node::Link(found)) => target == found,
            (Self::Absent, Node::Absent) => true,
            _ => false,
        }
    }

    /// The thing itself, from its copy.
    pub(super) fn restored(&self, tree: &Tree<'_>) -> Result<Node, Error> {
        let (known, mode, owner, saved) = match self {
            Self::Absent => return Ok(Node::Absent),
            Self::Link { target } => return Ok(Node::Link(target.clone())),
            Self::File { digest: known, mode, owner, saved } => (known, mode, owner, saved.as_deref()),
        };
        let path = saved.unwrap_or_default();
        match tree.look(path)? {
            Node::File(file) if digest(&file.bytes) == *known => {
                Ok(Node::File(File { bytes: file.bytes, mode: *mode, owner: *owner }))
            }
            _ => Err(Error::refused(
                format!("`{path}`, the copy of a file that is to be put back, is gone or changed"),
                "put back that copy, or take what gpupol wrote out by hand: its record names it",
            )),
        }
    }
}

impl Record {
    /// An empty one.
    pub(super) fn new(name: &str, engine: &str) -> Self {
        let (name, engine) = (name.to_owned(), engine.to_owned());
        Self {
            installed_version: VERSION,
            name,
            engine,
            files: Vec::new(),
            directories: Vec::new(),
            replaces: Vec::new(),
        }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(name: &str) -> String {
        format!("{RECORDS}/{name}.json")
    }

    /// Where the previous form of a file is kept. Another form of it, which an earlier installation found, lies elsewhere.
    pub(super) fn copy_of(name: &str, path: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        let digest = digest.get(..DIGITS).unwrap_or(&digest);
        format!("{RECORDS}/{name}/{digest}-{}", path.rsplit('/').next().unwrap_or_default())
    }

    /// What is there of it, broken off as it may be: each file as it says, or as what it replaces had it.
    pub(super) fn there(&self, tree: &Tree<'_>) -> Result<Vec<Written>, Error> {
        let mut there = Vec::new();
        for written in &self.files {
            let now = tree.look(&written.path)?;
            let former = |old: &&Written| old.path == written.path && old.after.is(&now);
            let former = self.replaces.iter().find(former).filter(|_| !written.after.is(&now));
            there.push(former.unwrap_or(written).clone());
        }
        for old in self.replaces.iter().filter(|old| self.written(&old.path).is_none()) {
            // Once all of this one was written, nothing of that is left, and no copy either.
            if old.after.is(&tree.look(&old.path)?) && old.before.restored(tree).is_ok() {
                there.push(old.clone());
            }
        }
        Ok(there)
    }

    /// The record of that name, if there is one.
    pub(super) fn read(tree: &Tree<'_>, name: &str) -> Result<Option<Self>, Error> {
        let path = Self::path(name);
        let Some(text) = tree.text(&path)? else { return Ok(None) };
        let wrong = |why: String| {
            Error::refused(
                format!("`{path}` is no record of an installation: {why}"),
                "put it back as it was, or take it away and what it names by hand",
            )
        };
        let record: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if record.installed_version != VERSION {
            let found = record.installed_version;
            return Err(wrong(format!("it is of version {found}, and this program reads {VERSION}")));
        }
        Ok(Some(record))
    }

    /// All records but that one.
    pub(super) fn others(tree: &Tree<'_>, name: &str) -> Result<Vec<Self>, Error> {
        let mut records = Vec::new();
        for file in tree.list(RECORDS)? {
            let other = file.strip_suffix(".json").filter(|other| *other != name);
            records.extend(other.map(|other| Self::read(tree, other)).transpose()?.flatten());
        }
        Ok(records)
    }

    /// Its text.
    pub(super) fn text(&self) -> Result<String, Error> {
        let text = serde_json::to_string_pretty(self);
        let text = text
            .map_err(|error| Error::refused(format!("no record can be written: {error}"), "report this"))?;
        Ok(text + "\n")
    }

    /// What it wrote to a path.
    pub(super) fn written(&self, path: &str) -> Option<&Written> {
        self.files.iter().find(|written| written.path == path)
    }
}
