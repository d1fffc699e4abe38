//! How a file indents its tables, so that a new one looks like those beside it.

use toml_edit::{Item, Table, TableLike};

/// The blanks before the head of a table at some depth, and those more before what is in it.
#[derive(Default)]
pub(super) struct Layout {
    head: String,
    step: String,
}

impl Layout {
    /// Of a new table at `path`: as the nearest table beside it or beside one of those above it.
    pub(super) fn of(root: &Table, path: &[String]) -> Self {
        let mut found = Self::default();
        let mut above: &dyn TableLike = root;
        for depth in 0..path.len() {
            if let Some(near) = above.iter().find_map(|(_, item)| Self::of_table(item)) {
                let deeper = path.len() - depth - 1;
                found = Self { head: near.head + &near.step.repeat(deeper), step: near.step };
            }
            let next = path.get(depth).and_then(|word| above.get(word)?.as_table_like());
            let Some(next) = next else { break };
            above = next;
        }
        found
    }

    /// Of a table that has a line of its own.
    fn of_table(item: &Item) -> Option<Self> {
        let table = item.as_table().filter(|table| !table.is_implicit() && !table.is_dotted())?;
        let head = blanks(table.decor().prefix().and_then(|prefix| prefix.as_str()));
        let (key, _) = table.iter().find(|(_, item)| item.is_value())?;
        let inner = blanks(table.key(key)?.leaf_decor().prefix().and_then(|prefix| prefix.as_str()));
        let step = inner.strip_prefix(&head).unwrap_or_default().to_owned();
        Some(Self { head, step })
    }

    /// One level further in.
    pub(super) fn deeper(&self) -> Self {
        Self { head: self.inner(), step: self.step.clone() }
    }

    /// The blanks before a setting of the table.
    pub(super) fn inner(&self) -> String {
        format!("{}{}", self.head, self.step)
    }

    /// Gives a new table its place.
    pub(super) fn dress(&self, table: &mut Table) {
        table.decor_mut().set_prefix(format!("\n{}", self.head));
    }
}

/// The blanks of the last line; before it may be empty lines and comments.
pub(super) fn blanks(prefix: Option<&str>) -> String {
    prefix.unwrap_or_default().rsplit('\n').next().unwrap_or_default().to_owned()
}
