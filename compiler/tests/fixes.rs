//! `gpupol check --fix` on real files.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod ran;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use ran::{Ran, run};

/// A policy without a fault, whose last line is for faults.
const SOUND: &str = "policy version=1
tenant a { identity podman }
gpu-set s { model \"NVIDIA L4\" }
grant g { to a; gpus s at-most=2; capabilities compute utility }
";

/// What one run came to.
/// A directory with one policy file.
struct Place(tempfile::TempDir);

impl Place {
    fn new(text: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.file(), text).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("p.kdl")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn check(&self, args: &[&str]) -> Ran {
        run(self.0.path(), &[&["check", "p.kdl"], args].concat())
    }

    fn findings(&self) -> Vec<Value> {
        let document: Value = serde_json::from_str(&self.check(&["--format", "json"]).out).unwrap();
        document.get("diagnostics").unwrap().as_array().unwrap().clone()
    }
}

fn code(finding: &Value) -> String {
    finding.get("code").unwrap().as_str().unwrap().to_owned()
}

fn has_fix(finding: &Value, applicability: &str) -> bool {
    finding.pointer("/fix/applicability").is_some_and(|kind| kind == applicability)
}

#[expect(clippy::disallowed_methods, reason = "tests read their cases")]
fn cases(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { cases(&path) } else { vec![path] }).collect();
    cases.sort();
    cases
}

/// Every policy with a fault that this project knows.
fn faulty() -> Vec<(String, String)> {
    let files = cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad"));
    let text = |path: &PathBuf| (path.display().to_string(), fs::read_to_string(path).unwrap());
    files.iter().filter(|path| path.extension().is_some_and(|kind| kind == "kdl")).map(text).collect()
}

/// Mends a file and looks at what that left.
fn mended(name: &str, text: &str, flag: &str, remaining: &[&str]) -> (usize, String) {
    let place = Place::new(text);
    let before = place.findings();
    let fixable = before.iter().filter(|one| remaining.iter().any(|kind| has_fix(one, kind))).count();
    let ran = place.check(&[flag]);
    let once = place.text();
    assert_eq!(once != text, fixable > 0, "{name}: {}", ran.err);
    assert_eq!(
        ran.err.contains("\nfixed p.kdl:") || ran.err.starts_with("fixed p.kdl:"),
        fixable > 0,
        "{name}"
    );
    if fixable == 0 {
        return (0, once);
    }
    let after = place.findings();
    for finding in &after {
        assert!(!remaining.iter().any(|kind| has_fix(finding, kind)), "{name}: {finding}\n{once}");
    }
    let known: BTreeSet<String> = before.iter().map(code).collect();
    // A guess may lay open what could not be seen before, but nothing about the text itself.
    let safe = flag == "--fix";
    let lowest = if safe { before.iter().map(code).min() } else { Some("GP1000".to_owned()) };
    for new in after.iter().map(code).filter(|code| !known.contains(code)) {
        assert!(Some(&new) > lowest.as_ref(), "{name}: {new} is new\n{once}");
    }
    place.check(&[flag]);
    assert_eq!(place.text(), once, "{name}: twice is not once");
    (fixable, once)
}

#[test]
fn a_fixed_finding_is_gone_and_no_graver_one_comes() {
    let fixed: usize = faulty().iter().map(|(name, text)| mended(name, text, "--fix", &["safe"]).0).sum();
    assert!(fixed >= 12, "{fixed} safe fixes");
}

#[test]
fn a_guess_leaves_nothing_to_guess() {
    let kinds = ["safe", "unsafe"];
    let fixed =
        faulty().iter().map(|(name, text)| mended(name, text, "--unsafe-fixes", &kinds).0).sum::<usize>();
    assert!(fixed >= 40, "{fixed} fixes");
}

#[test]
fn habits_of_other_languages_become_kdl_2() {
    for (old, new) in [
        (
            "grant g2 named=true { to a; gpus s; capabilities compute }",
            "grant g2 named=#true { to a; gpus s; capabilities compute }",
        ),
        ("deny d { to: a; gpus: s }", "deny d { to a; gpus s }"),
        ("deny d { to = a; gpus=s }", "deny d { to a; gpus s }"),
        ("deny d { to [a]; gpus[s, ] }", "deny d { to a; gpus s }"),
        ("deny d { to 'a'; gpus r\"s\" }", "deny d { to \"a\"; gpus #\"s\"# }"),
        ("deny d { to r#\"a\"#; gpus s }", "deny d { to #\"a\"#; gpus s }"),
        (
            "grant h rank: 2 { to a; gpus s; capabilities compute, utility , video }",
            "grant h rank=2 { to a; gpus s; capabilities compute utility  video }",
        ),
        (
            "grant h rank=2 { to a; gpus s; capabilities \"compute\",\"utility\" }",
            "grant h rank=2 { to a; gpus s; capabilities \"compute\" \"utility\" }",
        ),
        (
            "gpu-set m { mig-profile 1g.10gb }\ndeny d { to a; gpus m }",
            "gpu-set m { mig-profile \"1g.10gb\" }\ndeny d { to a; gpus m }",
        ),
        ("deny d\n\n{ to a; gpus s }", "deny d { to a; gpus s }"),
        (
            "tenant t { identity docker daemon=x; limit gpus=\"2\" }\ndeny d { to t; gpus s }\nassert isolated a t",
            "tenant t { identity docker daemon=x; limit gpus=2 }\ndeny d { to t; gpus s }\nassert isolated a t",
        ),
        ("deny d { to a a; gpus s s }", "deny d { to a; gpus s }"),
        ("deny d { to a; to a; gpus s }", "deny d { to a; gpus s }"),
        (
            "grant h rank=2 rank=2 { to a; gpus s; capabilities compute }",
            "grant h rank=2 { to a; gpus s; capabilities compute }",
        ),
        (
            "grant h rank=(u8)2 { to a; gpus s; capabilities compute }",
            "grant h rank=2 { to a; gpus s; capabilities compute }",
        ),
        ("policy version=1\n", ""),
        ("// why\nallow-finding GP4001 reason=\"x\"; // and since when\n", "// why\n// and since when\n"),
        ("  allow-finding GP4001 until=\"2020-01-01\"\n", ""),
    ] {
        let (_, text) = mended(old, &format!("{SOUND}{old}"), "--fix", &["safe"]);
        assert_eq!(text, format!("{SOUND}{new}"));
        let place = Place::new(&text);
        assert_eq!(place.check(&[]).code, 0, "{text}: {}", place.check(&[]).err);
    }
}

#[test]
fn what_is_only_probable_waits_to_be_asked_for() {
    for (old, new) in [
        ("deny d { to b; gpus s }", "deny d { to a; gpus s }"),
        ("deny d { to a; gpsu s }", "deny d { to a; gpus s }"),
        (
            "grant h rank=2 { to a; gpus s at-most 2; capabilities compute }",
            "grant h rank=2 { to a; gpus s at-most=2; capabilities compute }",
        ),
        (
            "gpu-set m { memory at-least=\"40gib\" }\ndeny d { to a; gpus m }",
            "gpu-set m { memory at-least=\"40GiB\" }\ndeny d { to a; gpus m }",
        ),
        ("tenant idle { identity docker daemon=x }\ndeny d { to a; gpus s }", "deny d { to a; gpus s }"),
    ] {
        let text = format!("{SOUND}{old}");
        let place = Place::new(&text);
        place.check(&["--fix"]);
        assert_eq!(place.text(), text, "a guess was written");
        let (_, text) = mended(old, &text, "--unsafe-fixes", &["safe", "unsafe"]);
        assert_eq!(text, format!("{SOUND}{new}"));
    }
}

#[test]
fn no_fix_gives_a_tenant_what_its_policy_does_not_name() {
    let policy = |line: &str| {
        format!(
            "policy version=1
tenant students {{ identity podman }}
tenant prod {{ identity docker runtime=gpupol }}
gpu-set set-a {{ model \"NVIDIA H100*\" }}
gpu-set set-b {{ model \"NVIDIA L4\" }}
grant p {{ to prod; gpus set-a; capabilities compute }}
{line}
"
        )
    };
    for (line, mended) in [
        (
            "grant g { to students; gpuss set-b; capabilities compute }",
            "grant g { to students; gpus set-b; capabilities compute }",
        ),
        (
            "grant g { too students; gpus set-b; capabilities compute }",
            "grant g { to students; gpus set-b; capabilities compute }",
        ),
        ("denny d { to students; gpus set-b }", "deny d { to students; gpus set-b }"),
        (
            "tenant t { identity docker daemon=x; guarante gpus=1 from=set-b }\nassert isolated students t",
            "tenant t { identity docker daemon=x; guarantee gpus=1 from=set-b }\nassert isolated students t",
        ),
    ] {
        let (_, text) = fixed_by_guesses(&policy(line));
        assert_eq!(text, policy(mended));
    }
    // Nobody knows what this is, so nobody knows what is not used.
    let nothing = policy("zebra d { to students; gpus set-b }");
    assert_eq!(fixed_by_guesses(&nothing), (1, nothing));
    // A definition that nothing names stays as long as an error is left, wherever that is.
    let other = policy("gpu-set idle { numa 0 }\ndeny d { to students; gpus set-b }\ngrant h rank=x { }");
    assert_eq!(fixed_by_guesses(&other), (1, other));
}

/// The exit code and the text after `--unsafe-fixes`.
fn fixed_by_guesses(text: &str) -> (i32, String) {
    let place = Place::new(text);
    let ran = place.check(&["--unsafe-fixes"]);
    (ran.code, place.text())
}

#[test]
fn meanings_that_are_not_certain_stay() {
    for text in
        ["deny d { to [a; gpus s }", "deny d { to 'a; gpus s }", "deny d { to a; gpus x=[s] }", "true { }"]
    {
        let text = format!("{SOUND}{text}\n");
        let place = Place::new(&text);
        let ran = place.check(&["--fix"]);
        assert_eq!((ran.code, place.text()), (1, text), "{}", ran.err);
    }
}

#[test]
fn what_was_fixed_is_said_and_what_is_left_decides() {
    let text = format!("{SOUND}deny d {{ to [a]; gpus q }}\n");
    let place = Place::new(&text);
    let ran = place.check(&["--fix", "--format", "plain"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(
        ran.err.starts_with("fixed p.kdl:5:13: GP0006 old-kdl: KDL has no lists in brackets\n"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("p.kdl:5:21: error GP2002") || ran.err.contains("p.kdl:5:20: error GP2002"),
        "{}",
        ran.err
    );
    assert!(ran.err.ends_with(": 1 error, 1 fixed\n"), "{}", ran.err);
    let place = Place::new(&text.replace(" q ", " s "));
    let ran = place.check(&["--fix", "--format", "json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &document["counts"]["fixed"], &document["ok"]), (0, &1.into(), &true.into()));
}

#[test]
fn a_diff_shows_what_fixing_does_and_does_nothing() {
    let text = format!("// é\n{SOUND}deny d {{ to [a]; gpus: s }}\n");
    let place = Place::new(&text);
    let diff = place.check(&["--fix", "--diff"]);
    assert_eq!((diff.code, place.text()), (1, text.clone()));
    assert!(diff.err.starts_with("would fix p.kdl:6:13: "), "{}", diff.err);
    fs::write(place.0.path().join("p.diff"), &diff.out).unwrap();
    let git =
        Command::new("git").args(["apply", "-p0", "p.diff"]).current_dir(place.0.path()).status().unwrap();
    assert!(git.success(), "{}", diff.out);
    let by_diff = place.text();
    fs::write(place.file(), &text).unwrap();
    assert_eq!(place.check(&["--fix"]).code, 0);
    assert_eq!(place.text(), by_diff);
    assert_eq!(place.check(&["--fix", "--diff"]).code, 0, "nothing is left to fix");
    assert_eq!(place.check(&["--diff"]).code, 2);
    assert_eq!(place.check(&["--fix", "--diff", "--format", "json"]).code, 2);
}

#[test]
fn the_edits_of_the_documents_are_those_that_are_made() {
    let text = format!("{SOUND}// é\ndeny d {{ to [a]; gpus s }}\n");
    let place = Place::new(&text);
    let edit =
        place.findings().into_iter().find(|one| has_fix(one, "safe")).unwrap()["fix"]["edits"][0].clone();
    let at = |key: &str| usize::try_from(edit[key].as_u64().unwrap()).unwrap();
    let (head, tail) = (text.get(..at("byte_start")).unwrap(), text.get(at("byte_end")..).unwrap());
    let by_hand = format!("{head}{}{tail}", edit["text"].as_str().unwrap());
    let sarif: Value = serde_json::from_str(&place.check(&["--format", "sarif"]).out).unwrap();
    let fixes =
        sarif["runs"][0]["results"].as_array().unwrap().iter().find_map(|one| one["fixes"].get(0)).unwrap();
    let replacement = &fixes["artifactChanges"][0]["replacements"][0];
    assert_eq!(replacement["insertedContent"]["text"], edit["text"]);
    assert_eq!(replacement["deletedRegion"]["byteOffset"], edit["byte_start"]);
    assert_eq!(replacement["deletedRegion"]["startLine"], 6);
    place.check(&["--fix"]);
    assert_eq!(place.text(), by_hand);
}

#[test]
fn a_file_keeps_its_mode_and_a_link_stays_one() {
    let place = Place::new("");
    let real = place.0.path().join("real.txt");
    fs::write(&real, format!("{SOUND}policy version=1\n")).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    fs::remove_file(place.file()).unwrap();
    symlink("real.txt", place.file()).unwrap();
    assert_eq!(place.check(&["--fix"]).code, 0);
    assert_eq!(fs::read_to_string(&real).unwrap(), SOUND);
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(place.file()).unwrap().is_symlink());
    assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 2);
}
