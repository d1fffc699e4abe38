//! Planning what is written, and remembering it.

use super::Error;
use super::config::{self, Edit, Fault, Language};
use super::record::{Kind, Record, State, Written};
use super::tree::{File, Node, Tree};

/// Permissions of a saved copy: what it is of may be a secret.
const SAVED: u32 = 0o600;

/// An installation that is being planned.
pub(super) struct Put<'t, 'h> {
    tree: &'t mut Tree<'h>,
    record: Record,
    others: &'t [Record],
    has_changed: bool,
    paths: Vec<String>,
}

/// What was put into somebody else's file.
#[derive(Default)]
struct Settings<'a> {
    done: Vec<config::Done>,
    /// What it was begun with if it was not there.
    begun: &'a str,
}

impl<'t, 'h> Put<'t, 'h> {
    /// Begins it.
    pub(super) fn new(tree: &'t mut Tree<'h>, record: Record, others: &'t [Record]) -> Self {
        Self { tree, record, others, has_changed: false, paths: Vec::new() }
    }

    /// Whether everything was as it is to be.
    pub(super) fn changed_nothing(&self) -> bool {
        !self.has_changed
    }

    /// What it is about.
    pub(super) fn paths(&self) -> Vec<String> {
        self.paths.clone()
    }

    /// The hook, or a link to it, which other installations may have put there too.
    pub(super) fn program(&mut self, path: &str, node: Node) -> Result<(), Error> {
        let path = self.tree.place(path)?;
        let shared = self.others.iter().find_map(|other| other.written(&path)).cloned();
        let before = match &shared {
            Some(written) => written.before.restored(self.tree)?,
            None => self.tree.look(&path)?,
        };
        self.write(&path, Kind::Program, &before, node, Settings::default(), shared.is_some())
    }

    /// A file of its own.
    pub(super) fn own(&mut self, path: &str, text: &str, mode: u32) -> Result<(), Error> {
        let path = self.tree.place(path)?;
        let before = self.tree.look(&path)?;
        let file = File { bytes: text.as_bytes().to_vec(), mode, owner: None };
        self.write(&path, Kind::Own, &before, Node::File(file), Settings::default(), false)
    }

    /// A link of its own.
    pub(super) fn own_link(&mut self, path: &str, target: &str) -> Result<(), Error> {
        let path = self.tree.place(path)?;
        let before = self.tree.look(&path)?;
        self.write(&path, Kind::Own, &before, Node::Link(target.to_owned()), Settings::default(), false)
    }

    /// Settings in somebody else's file, at the end of its links; one that is not there is begun with that text.
    pub(super) fn settings(
        &mut self,
        path: &str,
        language: Language,
        edits: &[Edit],
        begun: &str,
    ) -> Result<(), Error> {
        super::absolute(path)?;
        let text = self.tree.text(path)?;
        let real = self.tree.real(path)?;
        let fault = |fault| faulty(path, &fault);
        let (edited, settings) =
            config::put(language, text.as_deref().unwrap_or(begun), edits).map_err(fault)?;
        let before = self.tree.look(&real)?;
        let (mode, owner) = match &before {
            Node::File(file) => (file.mode, file.owner),
            _ => (0o644, None),
        };
        let after = Node::File(File { bytes: edited.into_bytes(), mode, owner });
        let after = if settings.is_empty() { before.clone() } else { after };
        let kind = Kind::of(language);
        let settings = Settings { done: settings, begun };
        self.write(&real, kind, &before, after, settings, false)
    }

    fn write(
        &mut self,
        path: &str,
        kind: Kind,
        before: &Node,
        after: Node,
        settings: Settings<'_>,
        is_shared: bool,
    ) -> Result<(), Error> {
        self.paths.push(path.to_owned());
        let now = self.tree.look(path)?;
        let is_settled = now.is_as(&after);
        if is_settled && !is_shared {
            return Ok(());
        }
        self.has_changed |= !is_settled;
        let (Some(mut was), Some(will)) = (State::of(before), State::of(&after)) else {
            return Err(Error::refused(format!("`{path}` is no file"), "see what lies there, and move it"));
        };
        if let (State::File { saved, .. }, Node::File(file)) = (&mut was, before) {
            let copy = Record::copy_of(&self.record.name, path, &file.bytes);
            let file = File { bytes: file.bytes.clone(), mode: SAVED, owner: None };
            self.keep(&copy, Node::File(file))?;
            *saved = Some(copy);
        }
        self.place(path, after)?;
        let Settings { done: settings, begun } = settings;
        let (path, begun) = (path.to_owned(), begun.to_owned());
        self.record.files.push(Written { path, kind, before: was, after: will, settings, begun });
        Ok(())
    }

    fn place(&mut self, path: &str, node: Node) -> Result<(), Error> {
        let made = self.tree.put(path, node)?;
        self.record.directories.extend(made);
        Ok(())
    }

    fn keep(&mut self, path: &str, node: Node) -> Result<(), Error> {
        let made = self.tree.keep(path, node)?;
        self.record.directories.extend(made);
        Ok(())
    }

    /// Plans the record of it.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        let path = Record::path(&self.record.name);
        let file = |text: String| Node::File(File { bytes: text.into_bytes(), mode: 0o644, owner: None });
        // Which directories it needs is part of what it says.
        self.keep(&path, file(String::new()))?;
        let text = self.record.text()?;
        self.keep(&path, file(text))
    }
}

/// A file that cannot be changed.
pub(super) fn faulty(path: &str, fault: &Fault) -> Error {
    let help = match fault {
        Fault::Syntax { .. } => "mend it first: its own program does not take it either",
        Fault::Relaxed => "take them out; its own program refuses the file as it is",
        Fault::MixedLines => "make them all one kind, by `dos2unix`",
        Fault::NoTable(_) => "mend it first, or write gpupol's settings by hand",
        Fault::Twice(_) => "leave one of them",
    };
    Error::refused(format!("`{path}` cannot be changed: {fault}"), help)
}

impl Kind {
    fn of(language: Language) -> Self {
        match language {
            Language::Json => Self::Json,
            Language::Toml => Self::Toml,
            Language::Lines => Self::Lines,
        }
    }

    /// The language of a file with settings in it.
    pub(super) fn language(self) -> Option<Language> {
        match self {
            Self::Json => Some(Language::Json),
            Self::Toml => Some(Language::Toml),
            Self::Lines => Some(Language::Lines),
            Self::Program | Self::Own => None,
        }
    }
}
