//! `docs/attacks.md` tells the truth: each test that it names is one that runs, and each attack of the suite is on it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a broken setting is a failed test")]
#![expect(clippy::disallowed_methods, reason = "a test reads the project's files")]

use std::collections::BTreeSet;
use std::path::Path;

/// All of NVIDIA's CVEs of this kind from 2024 to 2026.
const CVES: [&str; 10] = [
    "CVE-2024-0132",
    "CVE-2024-0133",
    "CVE-2024-0134",
    "CVE-2024-0135",
    "CVE-2024-0136",
    "CVE-2024-0137",
    "CVE-2025-23266",
    "CVE-2025-23267",
    "CVE-2025-23359",
    "CVE-2026-24260",
];

/// Where a word of the page looks for its modules.
const PLACES: [(&str, &str); 3] = [
    ("runtimes", "compiler/tests/runtimes/cases"),
    ("executor", "hook/tests/executor"),
    ("plan", "hook/plan/tests"),
];

/// The files whose every test is an attack.
const SUITE: [(&str, &str); 3] =
    [("runtimes", "attacks_by_files"), ("runtimes", "attacks_by_words"), ("executor", "attacks")];

#[test]
fn every_test_of_the_page_runs() {
    let named = named();
    assert!(named.len() > 30, "{named:?}");
    for test in &named {
        let (place, path) = test.split_once(' ').unwrap();
        let (module, name) = path.split_once("::").unwrap();
        assert!(tests(place, module).contains(name), "`{test}` is no test that runs");
    }
}

#[test]
fn every_attack_is_on_the_page() {
    let named = named();
    for (place, module) in SUITE {
        for name in tests(place, module) {
            let test = format!("{place} {module}::{name}");
            assert!(named.contains(&test), "`{test}` is missing in docs/attacks.md");
        }
    }
    let page = page();
    let missing: Vec<&str> = CVES.into_iter().filter(|cve| !page.contains(cve)).collect();
    assert!(missing.is_empty(), "docs/attacks.md has no row of {missing:?}");
}

/// What stands in the last cells of the table.
fn named() -> BTreeSet<String> {
    let page = page();
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut named = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 4, "a row of other cells: {row}");
        let last: Vec<&str> = cells.last().unwrap().split('`').collect();
        let tests: Vec<String> = last.into_iter().skip(1).step_by(2).map(str::to_owned).collect();
        assert!(!tests.is_empty(), "a row without a test: {row}");
        named.extend(tests);
    }
    named
}

/// The names of a module's tests.
fn tests(place: &str, module: &str) -> BTreeSet<String> {
    let directory =
        PLACES.iter().find(|(word, _)| *word == place).unwrap_or_else(|| panic!("no place `{place}`")).1;
    let text = read(&format!("{directory}/{module}.rs"));
    let lines: Vec<&str> = text.lines().collect();
    let pairs = lines.iter().zip(lines.iter().skip(1));
    let name = |line: &str, before: &str| {
        line.strip_prefix(before)?.split_once('(').map(|(name, _)| name.to_owned())
    };
    if place != "runtimes" {
        return pairs
            .filter(|(line, _)| **line == "#[test]")
            .filter_map(|(_, next)| name(next, "fn "))
            .collect();
    }
    // A case is a test where the program lists it for every runtime.
    let listed = read("compiler/tests/runtimes/main.rs");
    let list = listed.split_once("everywhere! {\n").unwrap().1;
    let own = list.split_once(&format!("    {module}: ")).unwrap_or_else(|| panic!("no cases of {module}")).1;
    own.split_once(';').unwrap().0.split(',').map(|name| name.trim().to_owned()).collect()
}

fn page() -> String {
    read("docs/attacks.md")
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
