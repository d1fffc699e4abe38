//! What `check --format sarif` writes is SARIF 2.1.0, by the standard's own JSON schema and by the types made from it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;
use serde_sarif::sarif::Sarif;

#[path = "../ran/mod.rs"]
mod ran;

use ran::run;

/// `sarif-schema-2.1.0.json` of OASIS, as `serde-sarif` has it among its sources.
static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let text = std::fs::read_to_string(source_of("serde-sarif").join("src/schema.json")).unwrap();
    // The standard's pattern of languages has a `]` too many, which the validator takes only if it is escaped.
    let text = text.replace("{2}]?$", r"{2}\\]?$");
    let schema: Value = serde_json::from_str(&text).unwrap();
    let id = schema.get("$id").unwrap().as_str().unwrap();
    assert!(id.ends_with("/oasis-tcs/sarif-spec/master/Schemata/sarif-schema-2.1.0.json"), "{id}");
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
});

/// Where the sources of a dependency lie.
fn source_of(package: &str) -> PathBuf {
    let cargo = |args: &[&str]| {
        let output = Command::new(env!("CARGO")).args(args).current_dir(root()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // What other systems would need may not be here.
    let only_here = ["--offline", "--locked", "--filter-platform", host];
    let metadata = cargo(&[&["metadata", "--format-version", "1"], &only_here[..]].concat());
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata.get("packages").unwrap().as_array().unwrap();
    let found = packages.iter().find(|one| one.get("name").unwrap() == package).unwrap();
    let manifest = Path::new(found.get("manifest_path").unwrap().as_str().unwrap());
    manifest.parent().unwrap().to_path_buf()
}

/// What of a document the standard does not allow, each with its place.
fn faults(document: &Value) -> Vec<String> {
    let faults = SCHEMA.iter_errors(document);
    let mut faults: Vec<String> = faults.map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    match serde_json::from_value::<Sarif>(document.clone()) {
        Ok(typed) => {
            // Whatever the types do not know is lost on this way.
            let known = serde_json::to_value(typed).unwrap();
            faults.extend((known != *document).then(|| format!("read as {known}")));
        }
        Err(error) => faults.push(error.to_string()),
    }
    faults
}

fn sarif(args: &[&str]) -> Value {
    let ran = run(root(), &[&["check"], args, &["--format", "sarif"]].concat());
    serde_json::from_str(&ran.out).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The results of a run, all of them valid.
fn results(args: &[&str]) -> Vec<Value> {
    let document = sarif(args);
    let faults = faults(&document);
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
    let sound = sarif(&["compiler/tests/bad/unknown-node.kdl"]);
    assert_eq!(faults(&sound), Vec::<String>::new());
    for (place, value) in [
        ("/version", "\"2.0.0\""),
        ("/runs/0/tool/driver/name", "7"),
        ("/runs/0/tool/driver/rules/1", "{ \"name\": \"no-id\" }"),
        ("/runs/0/results/0/level", "\"fatal\""),
        ("/runs/0/results/0/ruleIndex", "-2"),
        ("/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri", "\"a b.kdl\""),
        ("/runs/0/results/0/locations/0/physicalLocation/region/startLine", "0"),
        ("/runs/0/results/0/locations/0/physicalLocation", "{ \"uri\": \"a.kdl\" }"),
        ("/runs/0/results/0/fixes/0/artifactChanges", "[]"),
        ("/runs/0/results/0/message", "{ \"txt\": \"\" }"),
        ("/runs/0/results/0/message/text", "7"),
        ("/runs/0/invocations/0/executionSuccessful", "\"yes\""),
    ] {
        let mut broken = sound.clone();
        *broken.pointer_mut(place).unwrap() = serde_json::from_str(value).unwrap();
        assert!(!SCHEMA.is_valid(&broken), "{place}={value} was accepted");
    }
    let mut twice = sound;
    let rules = twice.pointer_mut("/runs/0/tool/driver/rules").unwrap().as_array_mut().unwrap();
    rules.push(rules.first().unwrap().clone());
    assert!(!SCHEMA.is_valid(&twice));
}
