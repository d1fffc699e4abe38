//! What `config.toml` imports, and what that imports.

use std::collections::{BTreeSet, VecDeque};

use gpupol_plan::glob;
use serde_json::Value;

use super::words;

/// Nobody has so many; whoever has is told so.
const MOST: usize = 128;

/// The files that are still to be read, in containerd's own order: each once, those that a file imports after all that were known before.
pub struct Imports {
    pending: VecDeque<String>,
    seen: BTreeSet<String>,
}

/// What is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfollowed {
    /// This file imports a pattern that is more than `*` in a file's name.
    Pattern {
        /// The file.
        file: String,
        /// The pattern.
        pattern: String,
    },
    /// This file comes after too many others.
    Many(String),
}

impl Unfollowed {
    /// Why, in words.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            Self::Pattern { pattern, .. } => {
                format!("it imports `{pattern}`, a pattern of more than `*` in a file's name")
            }
            Self::Many(_) => format!("it is the import after {MOST} others"),
        }
    }
}

impl Imports {
    /// Of that file, which comes first.
    #[must_use]
    pub fn of(file: &str) -> Self {
        Self { pending: VecDeque::from([file.to_owned()]), seen: BTreeSet::new() }
    }

    /// Takes the next file out.
    ///
    /// # Errors
    /// It comes after too many others.
    pub fn take(&mut self) -> Result<Option<String>, Unfollowed> {
        while let Some(file) = self.pending.pop_front() {
            if self.seen.insert(file.clone()) {
                return if self.seen.len() > MOST { Err(Unfollowed::Many(file)) } else { Ok(Some(file)) };
            }
        }
        Ok(None)
    }

    /// Takes note of what a file imports; `names` gives those in a directory.
    ///
    /// # Errors
    /// `names` cannot say, or the file has a pattern that is not followed.
    pub fn follow<E: From<Unfollowed>>(
        &mut self,
        file: &str,
        settings: &Value,
        names: impl Fn(&str) -> Result<Vec<String>, E>,
    ) -> Result<(), E> {
        for pattern in settings.get("imports").and_then(words).unwrap_or_default() {
            let whole =
                if pattern.starts_with('/') { pattern.clone() } else { format!("{}/{pattern}", above(file)) };
            if !pattern.contains(['*', '?', '[', '\\']) {
                self.pending.push_back(whole);
                continue;
            }
            let directory = above(&whole);
            if directory.contains(['*', '?', '[', '\\']) || pattern.contains(['?', '[', '\\']) {
                return Err(Unfollowed::Pattern { file: file.to_owned(), pattern }.into());
            }
            let paths = names(directory)?.into_iter().map(|name| format!("{directory}/{name}"));
            self.pending.extend(paths.filter(|path| glob::matches(&whole, path)));
        }
        Ok(())
    }
}

fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(above, _)| above)
}
