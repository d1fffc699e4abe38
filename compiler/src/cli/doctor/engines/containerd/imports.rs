//! What `config.toml` imports, and what that imports.

use std::collections::{BTreeSet, VecDeque};

use gpupol_plan::glob;

use super::Document;
use crate::cli::doctor::engines::Configured;
use crate::cli::doctor::engines::toml::{parse, words};
use crate::cli::doctor::tree::Tree;

/// Nobody has so many; whoever has is told so.
const MOST: usize = 128;

/// The file and all that it imports, in containerd's own order: each once, those that a file imports after all that were known before.
pub(super) fn read(tree: &Tree, file: &str, found: &mut Configured) -> Vec<Document> {
    let (mut pending, mut seen) = (VecDeque::from([file.to_owned()]), BTreeSet::new());
    let mut documents = Vec::new();
    while let Some(file) = pending.pop_front() {
        if !seen.insert(file.clone()) {
            continue;
        }
        if seen.len() > MOST {
            found.broken.push((file, format!("it is the import after {MOST} others")));
            break;
        }
        let Some(text) = tree.text(&file) else { continue };
        found.files.push(file.clone());
        let read = text.and_then(|text| parse(&text)).and_then(|document| {
            let imports = words(&document, &["imports"]).unwrap_or_default();
            for pattern in imports {
                pending.extend(matching(tree, &file, &pattern)?);
            }
            Ok(document)
        });
        match read {
            Ok(document) => documents.push((file, document)),
            Err(why) => found.broken.push((file, why)),
        }
    }
    documents
}

/// The files that one names, as paths or as a pattern.
fn matching(tree: &Tree, file: &str, pattern: &str) -> Result<Vec<String>, String> {
    let above = |path: &str| path.rsplit_once('/').map_or(String::new(), |(above, _)| above.to_owned());
    let whole =
        if pattern.starts_with('/') { pattern.to_owned() } else { format!("{}/{pattern}", above(file)) };
    if !pattern.contains('*') {
        return Ok(vec![whole]);
    }
    let directory = above(&whole);
    if directory.contains(['*', '?', '[', '\\']) || pattern.contains(['?', '[', '\\']) {
        return Err(format!("it imports `{pattern}`, a pattern of more than `*` in a file's name"));
    }
    let paths = tree.names(&directory).into_iter().map(|name| format!("{directory}/{name}"));
    Ok(paths.filter(|path| glob::matches(&whole, path)).collect())
}
