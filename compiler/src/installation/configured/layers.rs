//! Configurations in several files, each of which overrules those before it, key by key.

use serde_json::{Map, Value};

use super::at;

/// The files of a configuration that are there, in the order in which they are read, and what each says.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    files: Vec<(String, Value)>,
}

impl Layers {
    /// Adds the next one.
    pub fn push(&mut self, path: String, value: Value) {
        self.files.push((path, value));
    }

    /// What counts of a setting, and the file that says so.
    #[must_use]
    pub fn last(&self, keys: &[&str]) -> Option<(&str, &Value)> {
        let mut said = self.files.iter().filter_map(|(path, value)| Some((path.as_str(), at(value, keys)?)));
        said.next_back()
    }

    /// A file in the directory of `own` that comes after it and sets the same.
    #[must_use]
    pub fn after(&self, own: &str, keys: &[&str]) -> Option<&str> {
        let above = |path: &str| path.rsplit_once('/').map(|(above, _)| above.to_owned());
        let later = |path: &str| path > own && above(path) == above(own);
        let found = self.files.iter().find(|(path, value)| later(path) && at(value, keys).is_some());
        found.map(|(path, _)| path.as_str())
    }

    /// Each entry of a table, as the last file has it that has one of that name.
    pub(super) fn entries(&self, keys: &[&str]) -> impl Iterator<Item = (&str, &str, &Value)> {
        let tables =
            self.files.iter().filter_map(|(path, value)| Some((path, at(value, keys)?.as_object()?)));
        tables.flat_map(|(path, table): (&String, &Map<String, Value>)| {
            table.iter().map(|(name, value)| (path.as_str(), name.as_str(), value))
        })
    }
}
