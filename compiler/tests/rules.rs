//! Every code has a page, and the page tells the truth: its bad policy gives this finding, its good one gives none.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod ran;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gpupol::diag::{Code, Rule};
use serde_json::Value;

use ran::run;

/// What no text of a policy shows: these need a large file, other bytes, a host of another kind, or another command.
const NOT_SHOWN: [Code; 12] = [
    Code::FileTooLarge,
    Code::NotUtf8,
    Code::TooManySlots,
    Code::UnknownFact,
    Code::LayoutUnproved,
    Code::GpuOutOfService,
    Code::UnguardedExport,
    Code::DiffGains,
    Code::DiffLosses,
    Code::NotEquivalent,
    Code::DiffUndecided,
    Code::ComputeModeConflict,
];

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules")
}

/// Policies of a section with the words behind ```` ```kdl ````.
fn blocks(page: &str) -> Vec<(Vec<String>, String)> {
    let blocks = page.split("\n```kdl ").skip(1);
    blocks
        .map(|block| {
            let (info, rest) = block.split_once('\n').unwrap();
            let (text, _) = rest.split_once("```").unwrap();
            (info.split(' ').map(str::to_owned).collect(), text.to_owned())
        })
        .collect()
}

/// The codes that `check` finds in a policy.
fn codes(text: &str) -> BTreeSet<String> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("p.kdl"), text).unwrap();
    let ran = run(directory.path(), &["check", "p.kdl", "--format", "json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    let findings = document.get("diagnostics").unwrap().as_array().unwrap();
    findings.iter().map(|finding| finding.get("code").unwrap().as_str().unwrap().to_owned()).collect()
}

#[test]
fn bad_gives_this_finding_and_good_none() {
    for code in Code::ALL.iter().filter(|code| !NOT_SHOWN.contains(code) && !code.is_of_host()) {
        let blocks = blocks(Rule::of(*code).page());
        let kinds: Vec<&str> = blocks.iter().map(|(info, _)| info[0].as_str()).collect();
        assert_eq!(kinds, ["bad", "good"], "{}", code.id());
        for (info, text) in blocks {
            let beside = info.iter().filter_map(|word| word.strip_prefix("beside=")).map(str::to_owned);
            let expected = [code.id()].into_iter().chain(beside).collect();
            let expected = if info[0] == "bad" { expected } else { BTreeSet::new() };
            assert_eq!(codes(&text), expected, "{}: {text}", code.id());
        }
    }
}

#[test]
fn every_page_has_the_same_parts() {
    for code in Code::ALL {
        let rule = Rule::of(*code);
        let page = rule.page();
        assert!(page.starts_with(&format!("# {} {}\n\n", code.id(), code.slug())), "{page}");
        let titles: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(titles, ["Why", "Bad", "Good", "Fix"], "{}", code.id());
        assert!(page.contains(&format!("\nSeverity: {}\n", code.severity().word())), "{}", code.id());
        for part in [rule.summary(), rule.why(), rule.fix()] {
            assert!(part.ends_with('.') && !part.contains("\n\n"), "{}: {part}", code.id());
        }
    }
}

#[test]
fn the_index_lists_every_page_and_there_is_no_other() {
    let line = |code: &Code| {
        let (id, summary) = (code.id(), Rule::of(*code).summary());
        format!("| [{id}]({id}.md) | {} | {} | {summary} |", code.slug(), code.severity().word())
    };
    let index = fs::read_to_string(pages().join("README.md")).unwrap();
    let rows: Vec<&str> = index.lines().filter(|line| line.starts_with("| [GP")).collect();
    assert_eq!(rows, Code::ALL.iter().map(line).collect::<Vec<_>>());
    let files = fs::read_dir(pages()).unwrap().count();
    assert_eq!(files, Code::ALL.len() + 1);
}

#[test]
fn rule_prints_a_page_by_code_or_slug_and_all_without() {
    let rule = |args: &[&str]| {
        let ran = run(Path::new("/"), &[&["rule"], args].concat());
        (ran.code, ran.out)
    };
    for name in ["GP2004", "gp2004", "unused"] {
        assert_eq!(rule(&[name]), (0, Rule::of(Code::Unused).page().to_owned()));
    }
    let (code, list) = rule(&[]);
    assert_eq!((code, list.lines().count()), (0, Code::ALL.len()));
    assert_eq!(rule(&["GP9999"]).0, 2);
}

#[test]
fn what_is_no_code_is_told_so() {
    for (word, said) in [
        ("GP5002", "no finding has that number now"),
        ("gp77", "no finding has that number now"),
        ("socket-trus", "did you mean `socket-trust`?"),
        ("elephants", "no finding is called so"),
    ] {
        for args in [["rule", word].as_slice(), &["check", "--deny", word]] {
            let ran = run(Path::new("/"), args);
            assert!(ran.code == 2 && ran.err.contains(said), "{args:?}: {ran}");
        }
    }
}
