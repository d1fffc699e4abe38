//! Reading and writing a topology document. What the reader does not know or cannot believe, it refuses.

mod check;
mod name;

pub(super) use name::{is_cpu_list, is_pci_address};
use serde::Deserialize;
use thiserror::Error;

use super::{TOPOLOGY_VERSION, Topology};

/// The largest document that is read, in bytes.
pub const MAX_BYTES: usize = 8 << 20;

/// Why a document is no topology.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TopologyError {
    /// It is larger than [`MAX_BYTES`].
    #[error("topology `{name}` has {bytes} bytes, more than the {MAX_BYTES} that gpupol reads")]
    TooLarge {
        /// The document.
        name: String,
        /// Its size.
        bytes: usize,
    },
    /// It is not text.
    #[error("topology `{name}` is not UTF-8")]
    NotUtf8 {
        /// The document.
        name: String,
    },
    /// It is not JSON, or JSON of another shape.
    #[error("topology `{name}`, line {line}, column {column}: {problem}")]
    Shape {
        /// The document.
        name: String,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
    /// It is of another version.
    #[error(
        "topology `{name}`: version {found} is {} than this gpupol reads ({TOPOLOGY_VERSION})",
        if *found > TOPOLOGY_VERSION { "newer" } else { "older" }
    )]
    Version {
        /// The document.
        name: String,
        /// Its version.
        found: u32,
    },
    /// It contradicts itself, or says what cannot be.
    #[error("topology `{name}`: {place}: {problem}")]
    Content {
        /// The document.
        name: String,
        /// Where, such as `gpus[2].uuid`.
        place: String,
        /// What is wrong there.
        problem: String,
    },
}

/// Reads the document `text`, called `name` in errors.
///
/// # Errors
/// When it is too large, not a topology of this version, has fields this version does not have, or is inconsistent:
/// one of two things with one identity, nodes that are not their GPU's own, paths that are not plain.
pub fn read(name: &str, text: &str) -> Result<Topology, TopologyError> {
    if text.len() > MAX_BYTES {
        return Err(TopologyError::TooLarge { name: name.to_owned(), bytes: text.len() });
    }
    if !text.trim_start().starts_with('{') {
        let problem = "a topology is a JSON object, which begins with `{`".to_owned();
        return Err(TopologyError::Shape { name: name.to_owned(), line: 1, column: 1, problem });
    }
    // The version is looked at alone and first: a newer document should be called newer, not misspelt.
    let version: Version = serde_json::from_str(text).map_err(|error| shape(name, &error))?;
    if version.topology_version != TOPOLOGY_VERSION {
        return Err(TopologyError::Version { name: name.to_owned(), found: version.topology_version });
    }
    let topology: Topology = serde_json::from_str(text).map_err(|error| shape(name, &error))?;
    match check::topology(&topology) {
        Ok(()) => Ok(topology),
        Err(check::Wrong { place, problem }) => {
            Err(TopologyError::Content { name: name.to_owned(), place, problem })
        }
    }
}

/// Reads the document that the bytes of a file are.
///
/// # Errors
/// As [`read`], and when they are not UTF-8.
pub fn read_bytes(name: &str, bytes: &[u8]) -> Result<Topology, TopologyError> {
    let text = str::from_utf8(bytes).map_err(|_| TopologyError::NotUtf8 { name: name.to_owned() })?;
    read(name, text)
}

/// The document of `topology`: the same bytes for the same topology, ending in a line feed.
#[must_use]
#[expect(clippy::expect_used, reason = "maps have string keys and every value has a JSON form")]
pub fn write(topology: &Topology) -> String {
    serde_json::to_string_pretty(topology).expect("a topology has a JSON form") + "\n"
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    topology_version: u32,
}

fn shape(name: &str, error: &serde_json::Error) -> TopologyError {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let place = format!(" at line {line} column {column}");
    let problem = message.strip_suffix(&place).unwrap_or(&message).to_owned();
    TopologyError::Shape { name: name.to_owned(), line, column, problem }
}

#[cfg(test)]
mod tests;
