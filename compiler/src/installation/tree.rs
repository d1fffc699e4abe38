//! The files of a host as an installation would leave them: what is planned lies over what is there, and nothing is written.

use std::collections::BTreeMap;

use super::Error;

mod host;

pub use host::{Access, File, Host, Kind, Node};

/// One thing that is to be done at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: String,
    /// What is there.
    pub before: Node,
    /// What is to be there.
    pub after: Node,
    /// Whether it is of the record, without which nothing can be undone.
    pub is_kept: bool,
    /// When it was planned.
    order: usize,
}

/// What is planned for a path.
#[derive(Clone)]
struct Plan {
    node: Node,
    is_kept: bool,
    order: usize,
}

/// Who may write what the hook and its runtimes lie in.
const ROOT: u32 = 0;
/// How many links lead on to another at most.
const LINKS: usize = 40;

/// A host's files, and what is planned over them.
pub struct Tree<'h> {
    host: &'h dyn Host,
    planned: BTreeMap<String, Plan>,
    count: usize,
}

impl<'h> Tree<'h> {
    /// As the host has it.
    #[must_use]
    pub fn of(host: &'h dyn Host) -> Self {
        Self { host, planned: BTreeMap::new(), count: 0 }
    }

    /// The same once more, so that something can be tried.
    pub(super) fn again(&self) -> Self {
        Self { host: self.host, planned: self.planned.clone(), count: self.count }
    }

    /// What is at a path, whose directories may be links.
    pub(super) fn look(&self, path: &str) -> Result<Node, Error> {
        self.at(&self.place(path)?)
    }

    /// What is at the end of the links.
    pub(super) fn follow(&self, path: &str) -> Result<Node, Error> {
        self.at(&self.real(path)?)
    }

    /// Whether a program is at the end of the links.
    pub(super) fn is_program(&self, path: &str) -> Result<bool, Error> {
        Ok(matches!(self.kind(&self.real(path)?)?, Kind::File(access) if access.mode & 0o111 != 0))
    }

    fn kind(&self, path: &str) -> Result<Kind, Error> {
        match self.planned.get(path).map(|plan| &plan.node) {
            Some(Node::Absent) => Ok(Kind::Absent),
            Some(Node::File(file)) => {
                let owner = file.owner.map_or(ROOT, |(user, _)| user);
                Ok(Kind::File(Access { mode: file.mode, owner }))
            }
            Some(Node::Link(target)) => Ok(Kind::Link(target.clone())),
            Some(Node::Directory) => Ok(Kind::Directory(Access { mode: 0o755, owner: ROOT })),
            Some(Node::Other) => Ok(Kind::Other),
            None => self.host.kind(path).map_err(|why| Error::unreadable(path, why)),
        }
    }

    fn at(&self, path: &str) -> Result<Node, Error> {
        match self.planned.get(path) {
            Some(plan) => Ok(plan.node.clone()),
            None => self.host.look(path).map_err(|why| Error::unreadable(path, why)),
        }
    }

    /// The text of a file, behind links; nothing if there is none.
    pub(super) fn text(&self, path: &str) -> Result<Option<String>, Error> {
        match self.follow(path)? {
            Node::Absent => Ok(None),
            Node::File(file) => String::from_utf8(file.bytes)
                .map(Some)
                .map_err(|_| Error::refused(format!("`{path}` is no UTF-8 text"), "see what lies there")),
            _ => Err(Error::refused(format!("`{path}` is no file"), "see what lies there")),
        }
    }

    /// The names in a directory, with what is planned.
    pub(super) fn list(&self, path: &str) -> Result<Vec<String>, Error> {
        let place = self.real(path)?;
        let mut names = self.host.list(&place).map_err(|why| Error::unreadable(&place, why))?;
        for (path, Plan { node, .. }) in &self.planned {
            let Some((parent, name)) = path.rsplit_once('/') else { continue };
            if parent == place.trim_end_matches('/') {
                names.retain(|found| found != name);
                names.extend((*node != Node::Absent).then(|| name.to_owned()));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Plans what is to be at a path, and the directories above it; says which of these are to be made.
    pub(super) fn put(&mut self, path: &str, node: Node) -> Result<Vec<String>, Error> {
        self.set(path, node, false)
    }

    /// The same for what says how all the rest is undone.
    pub(super) fn keep(&mut self, path: &str, node: Node) -> Result<Vec<String>, Error> {
        self.set(path, node, true)
    }

    fn set(&mut self, path: &str, node: Node, is_kept: bool) -> Result<Vec<String>, Error> {
        let place = self.place(path)?;
        let mut made = Vec::new();
        if node != Node::Absent {
            for (at, _) in place.match_indices('/').skip(1) {
                let parent = place.get(..at).unwrap_or_default();
                match self.kind(parent)? {
                    Kind::Directory(_) => {}
                    Kind::Absent => {
                        self.insert(parent, Node::Directory, false);
                        made.push(parent.to_owned());
                    }
                    _ => {
                        let message = format!("`{parent}` is no directory");
                        return Err(Error::refused(message, "see what lies there"));
                    }
                }
            }
        }
        self.insert(&place, node, is_kept);
        Ok(made)
    }

    fn insert(&mut self, path: &str, node: Node, is_kept: bool) {
        self.count += 1;
        self.planned.insert(path.to_owned(), Plan { node, is_kept, order: self.count });
    }

    /// Plans that a directory is not there if nothing is in it.
    pub(super) fn prune(&mut self, path: &str) -> Result<(), Error> {
        if matches!(self.kind(path)?, Kind::Directory(_)) && self.list(path)?.is_empty() {
            self.insert(path, Node::Absent, false);
        }
        Ok(())
    }

    /// Everything that is to be done, in an order in which it is safe: what something refers to is there before it, and goes after it; what
    /// says how all of it is undone is there first and goes last.
    ///
    /// # Errors
    /// Something cannot be looked at.
    pub fn changes(&self) -> Result<Vec<Change>, Error> {
        let mut changes = Vec::new();
        for (path, Plan { node: after, is_kept, order }) in &self.planned {
            let before = self.host.look(path).map_err(|why| Error::unreadable(path, why))?;
            if !before.is_as(after) {
                let (path, after) = (path.clone(), after.clone());
                changes.push(Change { path, before, after, is_kept: *is_kept, order: *order });
            }
        }
        // Directories, and what is kept, in the order of their paths: a record is there before its copies.
        changes.sort_by_key(|change| match (&change.before, &change.after) {
            (_, Node::Directory) => (0, 0),
            (Node::Directory, Node::Absent) => (5, usize::MAX - change.path.len()),
            (_, Node::Absent) => (if change.is_kept { 4 } else { 3 }, change.order),
            _ if change.is_kept => (1, 0),
            _ => (2, change.order),
        });
        Ok(changes)
    }

    /// Whoever can write a directory above a path can put something else there.
    pub(super) fn is_private(&self, path: &str) -> Result<(), Error> {
        let place = self.place(path)?;
        for (at, _) in place.match_indices('/').skip(1) {
            let directory = place.get(..at).unwrap_or_default();
            if let Kind::Directory(access) = self.kind(directory)? {
                // Of a directory that all may write, nobody takes what is another's.
                let is_shared = access.mode & 0o1000 != 0;
                self.is_roots(directory, Access { mode: if is_shared { 0 } else { access.mode }, ..access })?;
            }
        }
        Ok(())
    }

    /// The same of a program itself.
    pub(super) fn is_private_program(&self, path: &str) -> Result<(), Error> {
        self.is_private(path)?;
        match self.kind(path)? {
            Kind::File(access) => self.is_roots(path, access),
            _ => Ok(()),
        }
    }

    fn is_roots(&self, path: &str, access: Access) -> Result<(), Error> {
        let Access { mode, owner } = access;
        if mode & 0o022 != 0 {
            let message = format!("`{path}` (mode {mode:o}) can be written by others than its owner");
            return Err(Error::refused(message, format!("take that away by `chmod go-w {path}`")));
        }
        // A file system that is mounted elsewhere may be another's as a whole, who makes an image of it.
        let is_makers =
            || Ok::<_, Error>(matches!(self.kind("/")?, Kind::Directory(root) if root.owner == owner));
        if owner == ROOT || is_makers()? {
            return Ok(());
        }
        let message = format!("`{path}` is user {owner}'s, who can put something else there");
        Err(Error::refused(message, format!("give it to root by `chown root {path}`")))
    }

    /// A path without links among its directories.
    pub(super) fn place(&self, path: &str) -> Result<String, Error> {
        let (parent, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or_default();
        if parent.is_empty() {
            return Ok(format!("/{name}"));
        }
        let parent = self.real(parent)?;
        Ok(format!("{}/{name}", parent.trim_end_matches('/')))
    }

    /// A path without links, of something that may not be there.
    pub(super) fn real(&self, path: &str) -> Result<String, Error> {
        let mut rest: Vec<String> = words(path);
        let mut done = String::new();
        let mut links = 0;
        while let Some(word) = rest.pop() {
            if word == ".." {
                done.truncate(done.rfind('/').unwrap_or_default());
                continue;
            }
            let next = format!("{done}/{word}");
            match self.kind(&next)? {
                Kind::Link(target) => {
                    links += 1;
                    if links > LINKS {
                        let message = format!("`{path}` leads from link to link without end");
                        return Err(Error::refused(message, "mend its links"));
                    }
                    if target.starts_with('/') {
                        done.clear();
                    }
                    rest.extend(words(&target));
                }
                _ => done = next,
            }
        }
        Ok(if done.is_empty() { "/".to_owned() } else { done })
    }
}

/// The names of a path, the last first.
fn words(path: &str) -> Vec<String> {
    let words = path.split('/').filter(|word| !word.is_empty() && *word != ".");
    words.rev().map(str::to_owned).collect()
}
