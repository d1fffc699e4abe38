//! What `slurm.conf` and `cgroup.conf` say, and what they include.

use crate::cli::doctor::tree::Tree;

/// Deeper than anybody includes; a file that includes itself ends there.
const DEEPEST: usize = 8;

/// Settings in the order in which they are read.
pub(super) struct Settings(Vec<(String, String)>);

impl Settings {
    /// Of a file in a directory; none if it is not there. What cannot be read is noted.
    pub(super) fn of(tree: &Tree, directory: &str, name: &str) -> Self {
        let mut settings = Vec::new();
        read(tree, directory, &format!("{directory}/{name}"), DEEPEST, &mut settings);
        Self(settings)
    }

    /// The last value of a setting, whose name may be written in any case.
    pub(super) fn last(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether one is said to be so, in Slurm's own words for that.
    pub(super) fn is_on(&self, key: &str) -> bool {
        let yes =
            |value: &str| ["yes", "true", "up", "1"].iter().any(|word| value.eq_ignore_ascii_case(word));
        self.last(key).is_some_and(yes)
    }
}

fn read(tree: &Tree, directory: &str, file: &str, depth: usize, settings: &mut Vec<(String, String)>) {
    let text = match tree.text(file) {
        None => return,
        Some(Ok(text)) => text,
        Some(Err(why)) => return tree.hide(file, why),
    };
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        if let Some(included) = included(line) {
            match depth.checked_sub(1) {
                Some(depth) if !included.contains('%') => {
                    let whole = if included.starts_with('/') {
                        included.to_owned()
                    } else {
                        format!("{directory}/{included}")
                    };
                    read(tree, directory, &whole, depth, settings);
                }
                _ => tree.hide(included, format!("`{file}` includes it, and gpupol does not follow there")),
            }
        } else if let Some((name, value)) = line.split_once('=') {
            settings.push((name.trim().to_owned(), value.trim().trim_matches('"').to_owned()));
        }
    }
}

fn included(line: &str) -> Option<&str> {
    let (word, rest) = line.split_once(char::is_whitespace)?;
    (word.eq_ignore_ascii_case("include") && !rest.contains('=')).then(|| rest.trim())
}
