//! The list that drivers since R570 ship of their own files, for whoever brings them into containers.

use std::collections::BTreeMap;

use gpupol_plan::capability::Capability::{self, Compute, Graphics, Ngx, Utility, Video};
use serde::Deserialize;

use crate::topology::discover::root::Root;

/// Where it lies below a directory of shared data.
const PLACE: &str = "nvidia/files.d/sandboxutils-filelist.json";

/// The files of one driver, by name.
pub(super) struct List {
    files: BTreeMap<String, Listed>,
}

/// What the list says of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// `LIB`, `BINARY`, `FIRMWARE` and others.
    pub(super) kind: String,
    /// The driver capability that its categories amount to.
    pub(super) capability: Capability,
    /// Whether a driver may go without it.
    pub(super) is_optional: bool,
}

/// An entry as it is written. One file may have several, for several categories; what else they say is not needed.
#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    category: Vec<String>,
    #[serde(default)]
    optional: bool,
}

impl List {
    /// The list of the driver `version`; none where the driver ships none, or where the one that lies there is of
    /// another driver. The reason of an error names the file.
    pub(super) fn read(root: &Root, version: &str) -> Result<Option<Self>, String> {
        let places = super::place::DATA.iter().map(|directory| format!("{directory}/{PLACE}"));
        let Some(path) = places.filter_map(|place| root.resolve(&place)).next() else { return Ok(None) };
        let text = root.text(&path).map_err(|reason| format!("`{path}`: {reason}"))?;
        let list = Self::parse(&text).map_err(|error| format!("`{path}`: {error}"))?;
        Ok(Some(list).filter(|list| list.is_of(version)))
    }

    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let entries: Vec<Entry> = serde_json::from_str(text)?;
        let mut files: BTreeMap<String, (Entry, bool)> = BTreeMap::new();
        for entry in entries {
            // Some names stand with a directory of the installer's before them.
            let name = entry.name.rsplit('/').next().unwrap_or_default().to_owned();
            let optional = entry.optional;
            match files.get_mut(&name) {
                Some((known, is_optional)) => {
                    known.category.extend(entry.category);
                    *is_optional &= optional;
                }
                None => _ = files.insert(name, (entry, optional)),
            }
        }
        let listed = files.into_iter().map(|(name, (entry, is_optional))| {
            let capability = capability(&entry.category);
            (name, Listed { kind: entry.kind, capability, is_optional })
        });
        Ok(Self { files: listed.collect() })
    }

    /// Whether it names libraries of that version.
    fn is_of(&self, version: &str) -> bool {
        let end = format!(".so.{version}");
        self.files.keys().any(|name| name.ends_with(&end))
    }

    /// What it says of the file of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Listed> {
        self.files.get(name)
    }

    /// All files, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Listed)> {
        self.files.iter().map(|(name, listed)| (name.as_str(), listed))
    }
}

/// What NVIDIA's driver capabilities call the categories of a file, the most used first; what shows pictures has many
/// categories.
fn capability(categories: &[String]) -> Capability {
    const WORDS: [(&str, Capability); 6] = [
        ("nvml", Utility),
        ("utils", Utility),
        ("cuda", Compute),
        ("opencl", Compute),
        ("video", Video),
        ("ngx", Ngx),
    ];
    let is_said = |word: &str| categories.iter().any(|category| category == word);
    WORDS.iter().find(|(word, _)| is_said(word)).map_or(Graphics, |(_, capability)| *capability)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"[
        {"name": "libcuda.so.580.95.05", "type": "LIB", "category": ["vulkan"]},
        {"name": "libcuda.so.580.95.05", "type": "LIB", "category": ["cuda"], "optional": true},
        {"name": "firmware/gsp_ga10x.bin", "type": "FIRMWARE", "category": ["firmware"], "newer": 1},
        {"name": "libnvidia-fbc.so.580.95.05", "type": "LIB", "category": ["xdriver"], "optional": true}
    ]"#;

    #[test]
    fn a_file_of_several_entries_has_all_their_categories() {
        let list = List::parse(TEXT).unwrap();
        let listed = |name: &str| list.get(name).unwrap().clone();
        let cuda = Listed { kind: "LIB".to_owned(), capability: Compute, is_optional: false };
        assert_eq!(listed("libcuda.so.580.95.05"), cuda);
        assert_eq!(listed("gsp_ga10x.bin").kind, "FIRMWARE");
        assert!(listed("libnvidia-fbc.so.580.95.05").is_optional);
        assert!(list.is_of("580.95.05"));
        assert!(!list.is_of("580.95"));
    }

    #[test]
    fn another_shape_is_an_error() {
        for text in ["{}", "[{\"type\": \"LIB\"}]", "[", ""] {
            assert!(List::parse(text).is_err(), "{text}");
        }
    }
}
