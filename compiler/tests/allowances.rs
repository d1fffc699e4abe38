//! `allow-finding`: what it hides, for how long, and what is said of it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod ran;

use std::fs;

use serde_json::Value;

use ran::run;

/// A policy with the note GP5001 and the warning GP4001.
const POLICY: &str = r#"policy version=1
tenant lab { identity docker runtime=lab }
gpu-set none { model "NVIDIA L5" }
grant notebooks {
    to lab
    gpus none
    capabilities compute utility
}
"#;

const BOTH: &str = r#"allow-finding GP5001 reason="one user" until="2027-03-01"
allow-finding empty-gpu-set reason="the L5s come in May"
"#;

/// Exit code, codes of the findings, and how many were allowed.
fn check(text: &str, args: &[&str]) -> (i32, Vec<String>, u64) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("p.kdl"), text).unwrap();
    let ran = run(directory.path(), &[&["check", "p.kdl", "--format", "json"], args].concat());
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    let findings = document.get("diagnostics").unwrap().as_array().unwrap();
    let codes = findings.iter().map(|finding| finding.get("code").unwrap().as_str().unwrap().to_owned());
    let allowed = document.pointer("/counts/suppressed").unwrap().as_u64().unwrap();
    (ran.code, codes.collect(), allowed)
}

fn on(day: &str, text: &str) -> (i32, Vec<String>, u64) {
    check(text, &["--today", day])
}

fn found(codes: &[&str], allowed: u64) -> (i32, Vec<String>, u64) {
    (0, codes.iter().map(|code| (*code).to_owned()).collect(), allowed)
}

#[test]
fn what_is_allowed_is_counted_and_not_said() {
    assert_eq!(check(POLICY, &[]), found(&["GP5001", "GP4001"], 0));
    let text = format!("{POLICY}{BOTH}");
    assert_eq!(on("2027-02-28", &text), found(&[], 2));
    assert_eq!(check(&text, &["--today", "2027-02-28", "--deny", "warnings"]), found(&[], 2));
    let split = format!("{BOTH}{POLICY}");
    assert_eq!(on("2027-02-28", &split), found(&[], 2));
}

#[test]
fn the_last_day_counts_and_the_next_one_says_so() {
    let text = format!("{POLICY}{BOTH}");
    assert_eq!(on("2027-03-01", &text), found(&[], 2));
    assert_eq!(on("2027-03-02", &text), found(&["GP5001", "GP8003"], 1));
    assert_eq!(check(&text, &["--today", "2027-03-02", "--deny", "expired-allowance"]).0, 1);
}

#[test]
fn without_a_day_the_clock_decides() {
    let text = format!("{POLICY}allow-finding GP4001 until=\"2020-01-01\"\n");
    assert_eq!(check(&text, &[]), found(&["GP5001", "GP4001", "GP8003"], 0));
    let text = format!("{POLICY}allow-finding GP4001 until=\"9999-12-31\"\n");
    assert_eq!(check(&text, &[]), found(&["GP5001"], 1));
}

#[test]
fn what_allows_nothing_is_said_if_all_was_checked() {
    let text = format!("{POLICY}allow-finding GP4002\n");
    assert_eq!(check(&text, &[]), found(&["GP5001", "GP4001", "GP8002"], 0));
    let elsewhere = check(&text, &["--topology", "builtin:campus"]);
    assert_eq!(elsewhere, found(&["GP5001", "GP4001"], 0));
    let failing = format!("{text}test t {{ container tenant=lab {{ request gpus=1; }}; expect gpus=1; }}\n");
    let (code, codes, _) = check(&failing, &[]);
    assert_eq!(code, 1);
    assert!(!codes.contains(&"GP8002".to_owned()), "{codes:?}");
}

#[test]
fn the_summary_counts_what_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("p.kdl"), format!("{POLICY}{BOTH}")).unwrap();
    let ran = run(directory.path(), &["check", "p.kdl", "--today", "2026-12-01"]);
    assert_eq!(ran.err, "checked 1 file, 1 grant, no tests on builtin:campus: no errors, 2 allowed\n");
}

#[test]
fn compile_does_not_say_it_either() {
    let directory = tempfile::tempdir().unwrap();
    let compile = |text: &str| {
        fs::write(directory.path().join("p.kdl"), text).unwrap();
        let args = ["compile", "p.kdl", "--topology", "builtin:campus", "-o", "plans"];
        let ran = run(directory.path(), &args);
        assert_eq!(ran.code, 0, "{ran}");
        ran.err
    };
    let allowed = BOTH.replace("2027-03-01", "9999-12-31");
    assert_eq!(compile(&format!("{POLICY}{allowed}allow-finding GP4002\n")), "");
    let over = compile(&format!("{POLICY}{}", BOTH.replace("2027-03-01", "2020-01-01")));
    assert!(over.contains("GP5001") && over.contains("GP8003") && !over.contains("GP4001 "), "{over}");
}

#[test]
fn a_blank_is_no_reason_to_allow_a_finding_about_security() {
    for reason in ["", "  "] {
        let text = format!("{POLICY}allow-finding GP5001 reason=\"{reason}\" until=\"2027-03-01\"\n");
        let (exit, codes, allowed) = on("2027-02-28", &text);
        assert_eq!((exit, allowed), (1, 0));
        assert!(codes.contains(&"GP1004".to_owned()), "{codes:?}");
    }
}
