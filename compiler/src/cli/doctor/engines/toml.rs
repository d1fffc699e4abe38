//! Configurations in TOML.

use toml_edit::{DocumentMut, Item, TableLike};

/// Reads a file.
pub(super) fn parse(text: &str) -> Result<DocumentMut, String> {
    let text = text.trim_start_matches('\u{feff}');
    text.parse::<DocumentMut>().map_err(|error| {
        let words = error.message().to_owned();
        match error.span() {
            Some(span) => {
                let before = text.get(..span.start).unwrap_or_default();
                format!("line {}: {words}", before.matches('\n').count() + 1)
            }
            None => words,
        }
    })
}

/// What stands at a path of keys.
pub(super) fn at<'d>(document: &'d DocumentMut, keys: &[&str]) -> Option<&'d Item> {
    let (last, above) = keys.split_last()?;
    let mut table: &dyn TableLike = document.as_table();
    for key in above {
        table = table.get(key)?.as_table_like()?;
    }
    table.get(last)
}

/// A text at a path of keys.
pub(super) fn word(document: &DocumentMut, keys: &[&str]) -> Option<String> {
    Some(at(document, keys)?.as_str()?.to_owned())
}

/// The texts of a list at a path of keys.
pub(super) fn words(document: &DocumentMut, keys: &[&str]) -> Option<Vec<String>> {
    let list = at(document, keys)?.as_array()?;
    Some(list.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect())
}

/// The names of the tables in a table.
pub(super) fn names(document: &DocumentMut, keys: &[&str]) -> Vec<String> {
    let table = at(document, keys).and_then(Item::as_table_like);
    table.map_or_else(Vec::new, |table| table.iter().map(|(name, _)| name.to_owned()).collect())
}
