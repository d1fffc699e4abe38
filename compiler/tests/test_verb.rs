//! `gpupol test` as users and CI meet it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod ran;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use ran::{Ran, run};

const POLICY: &str = r#"policy version=1 { topology "hosts/*.json" }
tenant lab { identity podman }
tenant guests { identity kubernetes namespace=guests }
gpu-set small { model "NVIDIA L4" }
gpu-set large { model "NVIDIA H100*" "NVIDIA A100*" }
grant notebooks { to lab guests; gpus small; sharing time-slicing replicas=4; capabilities compute utility }
grant jobs rank=1 { to lab; when { label kind=job }; gpus small; capabilities compute utility }
deny guests-stay-off { to guests; gpus large }
"#;

const TESTS: &str = r#"
test "a notebook & a <guest>" on="hosts/l4.json" {
    container tenant=lab { request gpus=1 }
    container tenant=guests { request gpus=1 }
    expect grant=notebooks
    expect grant=notebooks
}
test "a \"guest\" never has a large one" on="hosts/a100.json" {
    container tenant=guests { request visible-devices="0" }
    expect denied reason=device-not-granted
}
test "this one is wrong\u{202e}" on="hosts/l4.json" {
    container tenant=lab { request gpus=2 }
    expect gpus=2
}
"#;

/// A directory with these policies and two hosts.
fn place(name: &str, policies: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("test-verb").join(name);
    if place.exists() {
        fs::remove_dir_all(&place).unwrap();
    }
    fs::create_dir_all(place.join("policies/hosts")).unwrap();
    fs::write(place.join("policies/all.kdl"), policies).unwrap();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/topologies");
    for (from, to) in [("l4-8x-pcie", "l4"), ("a100-8x-minor-mismatch", "a100")] {
        let to = place.join(format!("policies/hosts/{to}.json"));
        fs::copy(recorded.join(format!("{from}.json")), to).unwrap();
    }
    place
}

fn test(place: &Path, args: &[&str]) -> Ran {
    run(place, &[&["test"], args].concat())
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/cli");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn every_test_is_named_with_what_came_of_it() {
    let place = place("human", &format!("{POLICY}{TESTS}"));
    let ran = test(&place, &[]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.out, test(&place, &["--format", "human"]).out);
    snapshot("test-human", &format!("{}--\n{}", ran.out, ran.err));
}

#[test]
fn junit_and_json_say_the_same() {
    let place = place("formats", &format!("{POLICY}{TESTS}"));
    let junit = test(&place, &["--format", "junit"]);
    assert_eq!((junit.code, junit.err.as_str()), (1, ""));
    snapshot("test-junit", &junit.out);
    let json = test(&place, &["--format", "json"]);
    assert_eq!((json.code, json.err.as_str()), (1, ""));
    let document: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(document["runs"], serde_json::json!({"passed": 2, "failed": 1, "skipped": 3}));
    snapshot("test-json", &json.out);
}

#[test]
fn the_shipped_tests_pass_and_cover_everything() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let ran = test(&root, &["--threshold", "100"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(ran.out.ends_with("7 of 7 grants and denies covered (100 %)\n"), "{}", ran.out);
}

#[test]
fn a_threshold_is_met_or_fails() {
    let sound = TESTS.split("test \"this").next().unwrap();
    let place = place("threshold", &format!("{POLICY}{sound}"));
    for (least, code) in [("0", 0), ("66", 0), ("67", 1), ("100", 1), ("101", 2), ("-1", 2), ("half", 2)] {
        let threshold = format!("--threshold={least}");
        let ran = test(&place, &[&threshold, "--format", "json"]);
        assert_eq!(ran.code, code, "{least}: {}", ran.err);
    }
    let ran = test(&place, &["--threshold", "67"]);
    assert_eq!(ran.err, "error: 2 of 3 grants and denies covered, less than 67 %\n");
}

#[test]
fn a_filter_runs_those_that_it_names() {
    let place = place("filter", &format!("{POLICY}{TESTS}"));
    let ran = test(&place, &["--filter", "a *"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("2 runs passed, 2 runs skipped\n") && !ran.out.contains("wrong"), "{}", ran.out);
}

#[test]
fn tests_that_do_not_run_do_not_pass() {
    let there = place("none", POLICY);
    let elsewhere = TESTS.replace("hosts/l4.json", "hosts/b.json").replace("hosts/a100.json", "hosts/b.json");
    let skipped = place("elsewhere", &format!("{POLICY}{elsewhere}"));
    let mut text = String::new();
    for (place, args) in [(&there, &[][..]), (&skipped, &[]), (&skipped, &["--filter", "an *"])] {
        let ran = test(place, args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}");
        text.push_str(&ran.err);
    }
    snapshot("test-none", &text);
}

#[test]
fn a_policy_with_errors_is_not_tested() {
    let place = place("errors", &format!("{}{TESTS}", POLICY.replace("gpus small", "gpus smal")));
    let ran = test(&place, &["--format", "json"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("did you mean `small`?"), "{}", ran.err);
}

const ASSERTS: &str = r#"
assert isolated lab guests
assert only lab reaches large
assert never video for lab guests
"#;

#[test]
fn asserts_are_judged_on_each_host_and_named_like_tests() {
    let place = place("asserts", &format!("{POLICY}{ASSERTS}"));
    let ran = test(&place, &[]);
    assert_eq!(ran.code, 1);
    snapshot("test-asserts", &format!("{}--\n{}", ran.out, ran.err));
    let json = test(&place, &["--format", "json", "--filter", "only *"]);
    assert_eq!(json.code, 0, "{}", json.err);
    let document: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(document["runs"], serde_json::json!({"passed": 1, "failed": 0, "skipped": 1}));
    let cases = document["topologies"].as_array().unwrap().iter().map(|host| &host["tests"][0]);
    let said: Vec<_> = cases.map(|case| (case["kind"].as_str(), case["name"].as_str())).collect();
    assert_eq!(said, [(Some("assert"), Some("only lab reaches large")); 2]);
    let junit = test(&place, &["--format", "junit", "--filter", "only *"]);
    assert!(
        junit.out.contains("<skipped message=\"there is nothing of what it is about\"/>"),
        "{}",
        junit.out
    );
}

#[test]
fn check_says_asserts_that_fail_or_that_no_host_decides_and_compile_refuses() {
    let place = place("asserts-checked", &format!("{POLICY}{ASSERTS}assert always-satisfiable jobs\n"));
    let run = |args: &[&str]| {
        let ran = run(&place, args);
        (ran.code, ran.err)
    };
    let (code, said) = run(&["check", "--format", "plain"]);
    assert_eq!(code, 1);
    snapshot("check-asserts", &said);
    let only_a100 = ["check", "--topology", "policies/hosts/a100.json", "--format", "plain"];
    let (code, said) = run(&only_a100);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("GP8006") && said.contains("`assert always-satisfiable jobs`"), "{said}");
    let out = place.join("out");
    let compile = |host: &str| run(&["compile", "--topology", host, "-o", out.to_str().unwrap()]);
    let (code, said) = compile("policies/hosts/l4.json");
    assert_eq!((code, out.exists()), (1, false), "{said}");
    assert_eq!(compile("policies/hosts/a100.json").0, 0);
}

#[test]
fn proofs_say_who_reaches_what() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let ask = |format, filter, more: &[&str]| {
        test(&root, &[&["--format", format, "--filter", filter], more].concat()).out
    };
    let without: Value = serde_json::from_str(&ask("json", "isolated *", &[])).unwrap();
    let with: Value = serde_json::from_str(&ask("json", "isolated *", &["--proofs"])).unwrap();
    assert_eq!(without["topologies"][0]["tests"][0].get("proof"), None);
    let proof = with["topologies"][0]["tests"][0]["proof"].as_array().unwrap();
    let mut owners: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for ground in proof.iter().filter(|ground| ground["trusted"] == false) {
        for device in ground["devices"].as_array().unwrap() {
            owners.entry(device.as_str().unwrap()).or_default().insert(ground["tenant"].as_str().unwrap());
        }
    }
    assert!(owners.len() == 13 && owners.values().all(|tenants| tenants.len() == 1), "{owners:?}");
    let trusted: Vec<&Value> = proof.iter().filter(|ground| ground["trusted"] == true).collect();
    assert!(trusted.len() == 1 && trusted[0]["grant"] == "metrics", "{trusted:?}");
    let junit = ask("junit", "always-*", &["--proofs"]);
    assert!(
        junit.contains("<system-out>`research` reaches 0 1 2 3 by `training-jobs`, with compute utility\n"),
        "{junit}"
    );
}

#[test]
fn proofs_say_what_has_to_be_asked_for() {
    let screens = "grant screens rank=2 { to lab guests; when { label kind=screen }; gpus small; sharing time-slicing replicas=4; capabilities graphics utility }
deny guests-count-nothing { to guests; capabilities utility }
assert always-satisfiable screens
";
    let place = place("proviso", &format!("{POLICY}{screens}"));
    let ran = test(&place, &["--proofs"]);
    let told =
        "`guests` has to ask for one of these: who names none asks for compute and utility, and is refused";
    assert!(ran.code == 0 && ran.out.contains("passed   assert always-satisfiable screens"), "{ran}");
    assert!(ran.out.contains(told) && !ran.out.contains("`lab` has to ask"), "{ran}");
}

#[test]
fn proofs_name_who_reaches_nothing_and_not_what_fails() {
    let place = place("proofs", &format!("{POLICY}{ASSERTS}"));
    let ran = test(&place, &["--proofs"]);
    snapshot("test-proofs", &ran.out);
    assert!(ran.out.contains("reaches nothing of it"), "{}", ran.out);
    assert!(!ran.out.contains("in reach of two of them"), "{}", ran.out);
}
