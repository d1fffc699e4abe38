//! What `check --format sarif` writes is SARIF 2.1.0.
//!
//! `schema.json` says in the words of JSON Schema what the standard demands of the objects that gpupol writes, and
//! closes them; a validator of general use would bring more code than it checks here.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

mod schema;

use schema::Schema;

fn sarif(place: &Path, args: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpupol"));
    command.arg("check").args(args).args(["--format", "sarif"]).current_dir(place).env_clear();
    serde_json::from_slice(&command.stdin(Stdio::null()).output().unwrap().stdout).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// How many results each run has, all of them valid.
fn results(args: &[&str]) -> Vec<Value> {
    let document = sarif(root(), args);
    let faults = Schema::read().faults(&document);
    assert!(faults.is_empty(), "{args:?}: {faults:#?}");
    document.pointer("/runs/0/results").unwrap().as_array().unwrap().clone()
}

#[test]
fn every_kind_of_run_is_valid() {
    // Nearly nothing found, all bad policies at once, too many to show, no policy at all.
    results(&["policies"]);
    let all = results(&["compiler/tests/bad"]);
    assert!(all.len() > 200, "{}", all.len());
    assert_eq!(results(&["compiler/tests/bad", "--max-diagnostics", "7"]).len(), 7);
    assert_eq!(results(&["nowhere"]).len(), 0);
    results(&["policies", "--topology", "nowhere.json"]);
    for part in ["/fixes/0", "/relatedLocations/0", "/locations/0"] {
        assert!(all.iter().any(|result| result.pointer(part).is_some()), "no result has {part}");
    }
}

#[test]
fn every_bad_policy_alone_is_valid() {
    let cases = std::fs::read_dir(root().join("compiler/tests/bad")).unwrap();
    let mut count = 0;
    for case in cases {
        let path = case.unwrap().path();
        let found = results(&[path.strip_prefix(root()).unwrap().to_str().unwrap()]);
        count += found.len();
    }
    assert!(count > 100, "{count} results");
}

#[test]
fn what_is_no_sarif_is_refused() {
    let schema = Schema::read();
    let sound = sarif(root(), &["compiler/tests/bad/unknown-node.kdl"]);
    assert!(schema.faults(&sound).is_empty());
    for (place, value) in [
        ("/version", "\"2.0.0\""),
        ("/runs/0/tool/driver/name", "7"),
        ("/runs/0/tool/driver/rules/1", "{ \"id\": \"GP0001\" }"),
        ("/runs/0/results/0/level", "\"fatal\""),
        ("/runs/0/results/0/ruleIndex", "-1"),
        ("/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri", "\"a b.kdl\""),
        ("/runs/0/results/0/locations/0/physicalLocation/region/startLine", "0"),
        ("/runs/0/results/0/fixes/0/artifactChanges", "[]"),
        ("/runs/0/results/0/message", "{ \"txt\": \"\" }"),
    ] {
        let mut broken = sound.clone();
        *broken.pointer_mut(place).unwrap() = serde_json::from_str(value).unwrap();
        assert!(!schema.faults(&broken).is_empty(), "{place}={value} was accepted");
    }
    let mut twice = sound;
    let rules = twice.pointer_mut("/runs/0/tool/driver/rules").unwrap().as_array_mut().unwrap();
    rules.push(rules.first().unwrap().clone());
    assert!(!schema.faults(&twice).is_empty());
}
