//! What `check` prints in each of its formats, and what `--deny`, `--warn` and `--allow` make of it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod ran;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use ran::{Ran, gpupol, run};

const FORMATS: [&str; 6] = ["human", "plain", "json", "sarif", "github", "junit"];

/// A policy with an error whose cause stands in another file, a warning, and text that would turn a terminal around.
const FAULTY: [(&str, &str); 3] = [
    (
        "a, b.kdl",
        "policy version=1\ntenant lab { identity podman }\ngpu-set al { model A; }\ngpu-set idle { model B; }\n",
    ),
    (
        "b.kdl",
        "// é <&>\ntenant lab { identity docker runtime=a }\ngrant \"<&>\" {\n to \"\\u{202e}x%\"\n gpus all\n}\n",
    ),
    ("c\u{1b}[2J.kdl", "test \"é\" { expect denied; }\n"),
];

const SOUND: &str = r#"policy version=1
tenant lab { identity podman }
gpu-set none { model "NVIDIA L5" }
grant notebooks {
    to lab
    gpus none
    capabilities compute utility
}
"#;

fn place(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("formats").join(name);
    if place.exists() {
        fs::remove_dir_all(&place).unwrap();
    }
    fs::create_dir_all(place.join("policies")).unwrap();
    for (name, text) in files {
        fs::write(place.join("policies").join(name), text).unwrap();
    }
    place
}

fn check(place: &Path, args: &[&str]) -> Ran {
    run(place, &[&["check"], args].concat())
}

fn json(place: &Path, args: &[&str]) -> (i32, Value) {
    let ran = check(place, &[&["--format", "json"], args].concat());
    (ran.code, serde_json::from_str(&ran.out).unwrap())
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/formats");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn shown(ran: &Ran) -> String {
    format!("standard output:\n{}\nstandard error:\n{}", ran.out, ran.err)
}

#[test]
fn each_format_says_the_same_and_ends_alike() {
    let place = place("faulty", &FAULTY);
    for format in FORMATS {
        let ran = check(&place, &["--format", format]);
        assert_eq!(ran.code, 1, "{format}");
        assert_eq!(ran.out.is_empty(), ["human", "plain"].contains(&format), "{format}");
        assert!(!shown(&ran).contains(['\u{1b}', '\u{202e}']), "{format} obeys what a policy says");
        let again = check(&place, &["--format", format]);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), (again.out.as_str(), again.err.as_str()));
        snapshot(format, &shown(&ran).replace(&rules(&ran.out), "      (all rules)\n"));
    }
}

/// The list of all rules in a document of SARIF, which is the same in every run.
fn rules(sarif: &str) -> String {
    let from = sarif.split_once("\"rules\": [\n").map(|(_, rest)| rest);
    let list = from.and_then(|rest| rest.split_once("\n          ],")).map(|(list, _)| list);
    list.map_or("\0".to_owned(), |list| format!("{list}\n"))
}

#[test]
fn a_sound_policy_is_a_whole_document_too() {
    let place = place("sound", &[("lab.kdl", &SOUND.replace("L5", "L4"))]);
    for format in FORMATS {
        let ran = check(&place, &["--format", format]);
        assert_eq!(ran.code, 0, "{format}: {}", ran.err);
        assert_eq!(ran.err, "checked 1 file, 1 grant, no tests on builtin:campus: no errors\n", "{format}");
    }
    let (_, document) = json(&place, &[]);
    assert_eq!((&document["ok"], &document["diagnostics"]), (&true.into(), &Value::Array(vec![])));
    assert_eq!(document["topology"][0]["name"], "builtin:campus");
    let sarif: Value = serde_json::from_str(&check(&place, &["--format", "sarif"]).out).unwrap();
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), gpupol::diag::Code::ALL.len());
    assert_eq!(sarif["runs"][0]["results"], Value::Array(vec![]));
}

#[test]
fn what_could_not_be_decided_is_a_whole_document_too() {
    let place = place("undecided", &[("lab.kdl", SOUND)]);
    let mut text = String::new();
    for format in FORMATS {
        let ran = check(&place, &["--format", format, "--topology", "nowhere.json"]);
        assert_eq!(ran.code, 2, "{format}");
        assert!(ran.err.starts_with("error: `nowhere.json`"), "{format}: {}", ran.err);
        text.push_str(&format!("# {format}\n{}\n", ran.out.replace(&rules(&ran.out), "      (all rules)\n")));
    }
    snapshot("undecided", &text);
    fs::write(place.join("policies/lab.kdl"), SOUND.replace("version=1", "version=1 { topology no.json; }"))
        .unwrap();
    let (code, document) = json(&place, &[]);
    assert_eq!((code, &document["ok"]), (2, &false.into()));
    assert_eq!(document["diagnostics"][0]["slug"], "no-topology");
    let nothing = check(&place, &["--format", "json", "nowhere"]);
    let document: Value = serde_json::from_str(&nothing.out).unwrap();
    assert_eq!((nothing.code, &document["failure"]["message"]), (2, &"`nowhere` is not there".into()));
}

#[test]
fn github_hears_of_errors_first() {
    let place = place("github", &FAULTY);
    let kinds: Vec<String> = check(&place, &["--format", "github"])
        .out
        .lines()
        .map(|line| line.split([' ', ':']).nth(2).unwrap().to_owned())
        .collect();
    assert!(kinds.len() > 2 && kinds.is_sorted(), "{kinds:?}");
    assert!(kinds.contains(&"warning".to_owned()), "{kinds:?}");
}

#[test]
fn levels_are_set_by_code_slug_or_for_all_warnings() {
    let place = place("levels", &[("lab.kdl", SOUND)]);
    let tally = |args: &[&str]| {
        let ran = check(&place, args);
        (ran.code, ran.err.trim_end().rsplit(": ").next().unwrap().to_owned())
    };
    let as_it_is = tally(&[]);
    assert_eq!(as_it_is, (0, "no errors, 1 warning".to_owned()));
    for denied in ["GP4001", "gp4001", "empty-gpu-set", "warnings", "unused,GP4001"] {
        assert_eq!(tally(&["--deny", denied]), (1, "1 error".to_owned()), "{denied}");
    }
    for allowed in ["GP4001", "empty-gpu-set", "warnings"] {
        assert_eq!(tally(&["--allow", allowed]), (0, "no errors, 1 allowed".to_owned()), "{allowed}");
    }
    assert_eq!(tally(&["--deny", "warnings", "--warn", "GP4001"]), as_it_is);
    for (args, said) in [
        (&["--deny", "empty-gpu-sets"][..], "did you mean `empty-gpu-set`?"),
        (&["--allow", "GP2002"], "`GP2002 unresolved-name` is an error, and stays one"),
        (&["--warn", "test-failed"], "`GP8001 test-failed` is an error, and stays one"),
        (&["--allow", "GP4001", "--deny", "empty-gpu-set"], "`GP4001 empty-gpu-set` is set to two levels"),
    ] {
        let ran = check(&place, args);
        assert_eq!(ran.code, 2, "{args:?}");
        assert!(ran.err.contains(said), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_limit_hides_the_least_grave_and_counts_all() {
    let many = format!("{SOUND}{}\ntenent x\n", "tenant a { identity podman }\n".repeat(3));
    let place = place("limit", &[("lab.kdl", &many)]);
    let (_, all) = json(&place, &[]);
    let (_, few) = json(&place, &["--max-diagnostics", "2"]);
    assert_eq!(all["counts"], few["counts"]);
    let shown = few["diagnostics"].as_array().unwrap();
    assert!(shown.len() == 2 && shown.iter().all(|finding| finding["severity"] == "error"));
    let hidden = all["diagnostics"].as_array().unwrap().len() - 2;
    assert_eq!(few["omitted"], hidden);
    let plain = check(&place, &["--format", "plain", "--max-diagnostics", "0"]).err;
    assert!(plain.starts_with(&format!("{0} more of {0} findings not shown\n", hidden + 2)), "{plain}");
}

#[test]
fn what_stays_the_same_keeps_its_fingerprint() {
    let before = place("fingerprint", &FAULTY);
    let prints = |place: &Path| {
        let (_, document) = json(place, &[]);
        let findings = document["diagnostics"].as_array().unwrap().clone();
        findings.into_iter().map(|finding| finding["fingerprint"].clone()).collect::<Vec<_>>()
    };
    let first = prints(&before);
    let moved: Vec<(&str, String)> =
        FAULTY.iter().map(|(name, text)| (*name, format!("\n\n{text}"))).collect();
    let moved: Vec<(&str, &str)> = moved.iter().map(|(name, text)| (*name, text.as_str())).collect();
    assert_eq!(prints(&place("fingerprint", &moved)), first);
    let mut once = first.clone();
    once.dedup();
    assert_eq!(once, first);
}

#[test]
fn many_findings_on_one_line_are_written_in_time() {
    let text = format!("policy version=1\n{}\n", "tenent a;".repeat(8_000));
    let place = place("many", &[("p.kdl", &text)]);
    let (code, document) = json(&place, &[]);
    assert_eq!((code, &document["counts"]["error"]), (1, &8_000.into()));
}

#[test]
fn a_reader_who_leaves_is_no_error() {
    let place = place("pipe", &FAULTY);
    for format in FORMATS {
        let mut command = gpupol(&place, &["check", "--format", format]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().unwrap().code(), Some(1), "{format}");
    }
}
