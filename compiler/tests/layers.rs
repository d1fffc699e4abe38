//! The modules of the compiler look only to their left, and each outside crate is used where it belongs.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The order in which the crate's own documentation names them.
const LAYERS: [&str; 12] = [
    "source",
    "diag",
    "syntax",
    "policy",
    "topology",
    "workload",
    "resolve",
    "emit",
    "comparison",
    "outcome",
    "installation",
    "cli",
];

/// Plain words of the contract that every stage may use.
const PLAIN: [&str; 13] = [
    "gpupol_plan::automaton",
    "gpupol_plan::capability",
    "gpupol_plan::entry::Engine",
    "gpupol_plan::feature",
    "gpupol_plan::refusal",
    "gpupol_plan::glob",
    "gpupol_plan::kfd",
    "gpupol_plan::label",
    "gpupol_plan::loader_cache",
    "gpupol_plan::majors",
    "gpupol_plan::request::GRANT",
    "gpupol_plan::requirement::version",
    "gpupol_plan::vendor",
];

#[test]
fn modules_look_only_to_their_left() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(own) = layer(&path) else { continue };
        let rank = LAYERS.iter().position(|name| *name == own).unwrap();
        for (line, code) in code(&text) {
            for later in &LAYERS[rank + 1..] {
                if mentions(code, &format!("crate::{later}")) {
                    wrong.push(format!("{}:{line}: {own} looks at {later}", path.display()));
                }
            }
            // What is written like this could name any layer without its own path.
            if code.contains("crate::{") || code.contains("super::super") || code.contains("crate as ") {
                wrong.push(format!("{}:{line}: name each layer by `crate::LAYER`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn outside_crates_stay_in_their_places() {
    let homes: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("kdl", &["syntax"] as &[_]),
        ("nvml_wrapper", &["topology/discover"]),
        ("nvml_wrapper_sys", &["topology/discover"]),
        ("gpupol_plan", &["workload", "emit", "comparison", "outcome", "installation", "cli"]),
        ("miette", &["syntax", "cli"]),
        ("oci_spec", &["outcome"]),
        ("jsonc_parser", &["installation"]),
        ("toml_edit", &["installation"]),
        ("clap", &["cli"]),
        ("clap_complete", &["cli"]),
        ("clap_mangen", &["cli"]),
        ("comfy_table", &["cli"]),
        ("indicatif", &["cli"]),
        ("mimalloc", &["main"]),
        ("object", &["topology/discover"]),
        ("petgraph", &["policy", "resolve"]),
        ("rayon", &["syntax"]),
        ("regex_automata", &["policy"]),
        // It asks the system.
        ("rustix", &["topology/discover", "cli"]),
        ("sha2", &["emit"]),
        ("smallvec", &["syntax", "policy", "resolve"]),
        ("smol_str", &["syntax"]),
        ("strsim", &["diag", "syntax", "policy", "cli"]),
        ("serde", &["policy", "topology", "comparison", "outcome", "emit", "installation", "cli"]),
        ("serde_json", &["topology", "outcome", "emit", "installation", "cli"]),
        ("thiserror", &LAYERS),
    ]);
    let known: Vec<&str> = homes.keys().copied().collect();
    assert_eq!(known, dependencies(), "a new dependency needs a home");
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (line, code) in code(&text) {
            for (name, places) in &homes {
                let at_home = places.iter().any(|place| is_below(&path, place));
                if mentions(&without_plain_words(code), &format!("{name}::")) && !at_home {
                    wrong.push(format!("{}:{line}: {name} is used outside of {places:?}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The names of what the library depends on, in order.
fn dependencies() -> Vec<String> {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let (_, after) = manifest.split_once("\n[dependencies]\n").unwrap();
    let lines = after.lines().take_while(|line| !line.starts_with('[')).filter(|line| line.contains('='));
    let mut names: Vec<String> =
        lines.map(|line| line.split([' ', '.', '=']).next().unwrap().replace('-', "_")).collect();
    names.sort();
    names
}

/// The one module of each program that may be unsafe says so itself; the workspace forbids it to all others.
#[test]
fn unsafe_code_is_in_two_modules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for program in ["compiler/src", "hook/src", "hook/plan/src"] {
        let files = below(&root.join(program));
        let unsafe_ones = files.into_iter().filter(|(_, text)| text.contains("unsafe_code"));
        found.extend(unsafe_ones.map(|(path, _)| format!("{program}/{}", path.display())));
    }
    found.sort();
    assert_eq!(found, ["compiler/src/topology/discover/raw.rs", "hook/src/sys.rs"]);
    let lints = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(lints.contains("unsafe_code = \"deny\"") || lints.contains("unsafe_code = \"forbid\""));
}

#[test]
fn every_module_has_a_layer() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(LAYERS.contains(&module) || ["lib", "main"].contains(&module), "{module} is in no layer");
    }
}

#[test]
fn the_documents_name_the_same_order() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    for file in ["src/lib.rs", "../ARCHITECTURE.md"] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(&format!("`{}`", LAYERS.join(" < "))), "{file} names another order of layers");
    }
}

/// Whether a file is `src/PLACE.rs` or below `src/PLACE/`.
fn is_below(path: &Path, place: &str) -> bool {
    path.starts_with(place) || path == Path::new(&format!("{place}.rs"))
}

fn layer(path: &Path) -> Option<&str> {
    let first = path.components().next()?.as_os_str().to_str()?;
    let name = first.trim_end_matches(".rs");
    LAYERS.into_iter().find(|layer| *layer == name)
}

/// Lines of code before the tests, with their numbers, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines()).take_while(|(_, line)| !line.starts_with("#[cfg(test)]"));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Whether a line names `word` as a whole path.
fn mentions(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let is_name = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_name(before) && (word.ends_with(':') || !is_name(after))
    })
}

/// A line without those words of the contract that every stage may use.
fn without_plain_words(code: &str) -> String {
    PLAIN.iter().fold(code.to_owned(), |code, word| code.replace(word, ""))
}

/// Every source file of the library, by its path below `src`.
fn sources() -> Vec<(PathBuf, String)> {
    let found = below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(found.len() > LAYERS.len());
    found
}

/// Every source file below a directory.
fn below(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(root).unwrap().to_owned();
                found.push((below, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}
