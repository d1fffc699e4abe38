//! What gpupol's messages keep to, rule by rule: each with an example that the real command prints. `docs/messages.md` is
//! these examples, letter for letter.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

#[path = "../ran/mod.rs"]
mod ran;
mod rules;

use ran::{Ran, gpupol, run};
use rules::{RULES, Rule, Shown};

const HEAD: &str = "# Messages\n\nTwenty rules that everything gpupol says keeps to, each with what the command prints for a policy. A test runs them all \
and compares.\n";

/// A directory with the files of a rule.
fn place(rule: &Rule) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for (name, text) in rule.files {
        fs::write(place.path().join(name), text).unwrap();
    }
    place
}

/// What the reader of the example sees.
fn shown(rule: &Rule) -> String {
    let ran = run(place(rule).path(), rule.args);
    match rule.shown {
        Shown::Errors => ran.err,
        Shown::Data => ran.out,
        Shown::Part(pointer) => {
            let document: Value = serde_json::from_str(&ran.out).unwrap();
            let part = document.pointer(pointer).unwrap();
            serde_json::to_string_pretty(part).unwrap() + "\n"
        }
    }
}

/// Control characters and those that turn text around, as a document can show them.
fn visible(text: &str) -> String {
    let show = |character: char| {
        let harmful = (character.is_control() && character != '\n') || character == '\u{202e}';
        if harmful { character.escape_unicode().to_string() } else { character.to_string() }
    };
    text.chars().map(show).collect()
}

fn section(number: usize, rule: &Rule) -> String {
    let mut text = format!("\n## {number}. {}\n\n{}\n\n```text\n", rule.title, rule.why);
    for (name, policy) in rule.files {
        writeln!(text, "// {}\n{}", visible(name), visible(policy.trim_end())).unwrap();
    }
    writeln!(text, "```\n\n```text\n$ gpupol {}", rule.args.join(" ")).unwrap();
    writeln!(text, "{}\n```", shown(rule).trim_end()).unwrap();
    text
}

#[test]
fn each_of_the_twenty_rules_holds_for_its_example() {
    assert_eq!(RULES.len(), 20);
    for (at, rule) in RULES.iter().enumerate() {
        let said = shown(rule);
        for part in rule.says {
            assert!(said.contains(part), "rule {}: no `{part}` in\n{said}", at + 1);
        }
        for part in rule.never {
            assert!(!said.contains(part), "rule {}: `{part}` in\n{said}", at + 1);
        }
        assert_eq!(said, shown(rule), "rule {}: another time it says something else", at + 1);
    }
}

#[test]
fn the_document_is_what_the_command_prints() {
    let sections: String = (1..).zip(RULES).map(|(number, rule)| section(number, rule)).collect();
    let text = format!("{HEAD}{sections}");
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/messages.md");
    let new = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("messages.md");
    fs::write(&new, &text).unwrap();
    let said = format!("the command prints something else; read {} and copy it there", new.display());
    assert!(fs::read_to_string(&document).is_ok_and(|found| found == text), "docs/messages.md: {said}");
}

/// Every policy with a fault that this project knows, all at once and each alone.
#[test]
fn every_finding_has_all_its_parts() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut findings = 0;
    for directory in ["bad", "bad_on_hosts"] {
        for case in fs::read_dir(tests.join(directory)).unwrap() {
            let name = format!("{directory}/{}", case.unwrap().file_name().to_str().unwrap());
            let ran = run(&tests, &["check", &name, "--format", "json"]);
            let document: Value = serde_json::from_str(&ran.out).unwrap();
            for finding in document.get("diagnostics").unwrap().as_array().unwrap() {
                sound(finding, &name);
                findings += 1;
            }
        }
    }
    assert!(findings > 150, "{findings}");
}

/// Codes of what stands nowhere: a node that is not there, and a file that cannot be read.
const NOWHERE: [&str; 3] = ["GP0002", "GP0005", "GP1010"];

fn sound(finding: &Value, name: &str) {
    let word = |at: &str| finding.pointer(at).and_then(Value::as_str).unwrap_or_default();
    for part in ["/slug", "/message", "/help", "/rule/summary", "/rule/why", "/rule/fix", "/fingerprint"] {
        assert!(!word(part).is_empty(), "{name}: no {part} in {finding:#}");
    }
    assert!(NOWHERE.contains(&word("/code")) || !word("/spans/0/label").is_empty(), "{name}: {finding:#}");
    let message = word("/message");
    // Only names that are written so begin with a capital: `KDL`, `GPU`.
    let first = message.split(' ').next().unwrap();
    let plain = !first.starts_with(char::is_uppercase) || first.chars().all(char::is_uppercase);
    assert!(plain && !message.ends_with('.') && !message.contains('\n'), "{name}: {message}");
}

#[test]
fn nobody_hears_of_a_reader_who_left() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("p.kdl"), "tenent x\n").unwrap();
    let mut command = gpupol(place.path(), &["check", "p.kdl", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{ran}");
}
