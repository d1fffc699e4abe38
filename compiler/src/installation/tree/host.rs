//! What is at a host's paths.

use std::io;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Nothing.
    Absent,
    /// A regular file.
    File(File),
    /// A symbolic link, and what it says.
    Link(String),
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// A regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
    /// Whose it is, user and group; nothing for one that whoever installs is to have made.
    pub owner: Option<(u32, u32)>,
}

impl Node {
    /// Whether nothing would have to be done to make one the other.
    #[must_use]
    pub fn is_as(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::File(one), Self::File(other)) => {
                let same_owner = one.owner == other.owner || one.owner.is_none() || other.owner.is_none();
                one.bytes == other.bytes && one.mode == other.mode && same_owner
            }
            _ => self == wanted,
        }
    }
}

/// Who may do what with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Its permissions.
    pub mode: u32,
    /// The user whose it is.
    pub owner: u32,
}

/// What is at a path, without what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Absent,
    /// A regular file.
    File(Access),
    /// A symbolic link, and what it says.
    Link(String),
    /// A directory.
    Directory(Access),
    /// Anything else.
    Other,
}

/// The files that are there. Paths are absolute, in the host's own words, wherever its root is mounted.
pub trait Host {
    /// What is at that path; links are not followed, and nothing is read.
    ///
    /// # Errors
    /// It cannot be looked at.
    fn kind(&self, path: &str) -> io::Result<Kind>;

    /// The same with what is in a file.
    ///
    /// # Errors
    /// It cannot be looked at.
    fn look(&self, path: &str) -> io::Result<Node>;

    /// The names in a directory, in order; none if there is no such directory.
    ///
    /// # Errors
    /// It cannot be looked at.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
}
