//! A policy of two hundred files, healthy and then with thirty faults of different kinds: one run finds each of them
//! once, and nothing else.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod ran;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use ran::run;

/// A fault: the file that it is in, what stands there, what is written instead, and what must be found.
type Fault = (&'static str, &'static str, &'static str, &'static str);

const SHAPE: [Fault; 16] = [
    ("grants/g000.kdl", "gpus s00", "gpus s00 at-mots=1", "GP1002"),
    ("grants/g001.kdl", "gpus s01", "gpsu s01", "GP1001"),
    ("grants/g002.kdl", "sharing exclusive", "sharing exclusive 3", "GP1003"),
    ("grants/g003.kdl", "    capabilities compute utility\n", "", "GP1004"),
    ("grants/g004.kdl", "at-most=1", "at-most=1 at-most=2", "GP1005"),
    ("grants/g006.kdl", "to t006", "to t006 t006", "GP1005"),
    ("sets/s10.kdl", "NVIDIA L4", "NVIDIA L5", "GP4001"),
    ("grants/g007.kdl", "at-most=1", "at-most=\"a few\"", "GP1006"),
    ("grants/g013.kdl", "at-most=1", "at-most=3", "GP4002"),
    ("sets/s09.kdl", "model \"NVIDIA L4\"", "model \"NVIDIA L4\"; memory at-least=\"20\"", "GP1007"),
    ("grants/g010.kdl", "at-most=1", "at-most=1 place=nvlnk", "GP1008"),
    ("grants/g011.kdl", "compute utility", "compute utilty", "GP1008"),
    ("grants/g012.kdl", "compute utility", "compute utility { video; }", "GP1009"),
    ("grants/g022.kdl", "compute utility", "compute utility\n    features gdrcopy", "GP4014"),
    ("tests/c014.kdl", "expect grant=g014", "expect granted=g014", "GP1002"),
    ("denies/d15.kdl", "gpus big", "gpus big\n    gpu big", "GP1001"),
];

const MEANING: [Fault; 14] = [
    ("policy.kdl", "version=1", "version=1\npolicy version=1 { on-denied refuse; }", "GP1010"),
    ("denies/d16.kdl", "deny d16", "deny", "GP1004"),
    (
        "tenants/t018.kdl",
        "tenant t018",
        "tenant t017 { identity kubernetes namespace=else; }\ntenant t018",
        "GP2001",
    ),
    ("grants/g019.kdl", "to t019", "to t0019", "GP2002"),
    ("grants/g020.kdl", "gpus s00", "gpus s000", "GP2002"),
    ("tests/c021.kdl", "tenant=t021", "tenant=t0021", "GP2002"),
    ("sets/s12.kdl", "model \"NVIDIA L4\"", "model \"NVIDIA L4\"; except s12", "GP2003"),
    ("grants/g023.kdl", "to t023", "to t023\n    when { label a.b=c; label a-b=c; }", "GP2005"),
    ("tenants/t025.kdl", "team-025-*", "team-024-*", "GP3001"),
    (
        "grants/g026.kdl",
        "grant g026",
        "grant g126 { to t026; gpus s06; capabilities video; }\ngrant g026",
        "GP3002",
    ),
    ("grants/g027.kdl", "to t027", "to t027\n    when { image a; engine docker; }", "GP3003"),
    ("tenants/t028.kdl", "team-028-*", "*a????????????????????????????????????????", "GP3004"),
    ("denies/d17.kdl", "deny d17", "allow-finding GP3001\ndeny d17", "GP8004"),
    ("sets/s11.kdl", "model \"NVIDIA L4\"", "mig-profile \"1g.11gb\"", "GP4016"),
];

const TEXT: [Fault; 8] = [
    ("grants/g030.kdl", "grant g030", "grant g030 named=true", "GP0006"),
    ("grants/g031.kdl", "compute utility", "[compute, utility]", "GP0006"),
    ("grants/g032.kdl", "at-most=1", "at-most: 1", "GP0006"),
    ("tenants/t033.kdl", "namespace=\"team-033-*\"", "namespace=team-033/x", "GP0001"),
    ("sets/s14.kdl", "\"NVIDIA L4\"", "r\"NVIDIA L4\"", "GP0006"),
    ("sets/s15.kdl", "\"NVIDIA L4\"", "\"NVIDIA\\ L4\\d\"", "GP0001"),
    ("tests/c034.kdl", "gpus=1\n}", "gpus=1\n}\n}", "GP0004"),
    ("denies/d19.kdl", "gpus big", "gpus 1big", "GP0001"),
];

/// Two hundred files that are one policy without a finding.
fn healthy() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    files.insert("policy.kdl".to_owned(), "policy version=1\n".to_owned());
    files.insert("sets/big.kdl".to_owned(), "gpu-set big { model \"NVIDIA H100*\" }\n".to_owned());
    for at in 0..60 {
        let set = at % 20;
        files.insert(
            format!("tenants/t{at:03}.kdl"),
            format!("tenant t{at:03} {{\n    identity kubernetes namespace=\"team-{at:03}-*\"\n}}\n"),
        );
        files.insert(
            format!("grants/g{at:03}.kdl"),
            format!(
                "grant g{at:03} {{\n    to t{at:03}\n    gpus s{set:02} at-most=1\n    sharing exclusive\n    \
                 capabilities compute utility\n}}\n"
            ),
        );
    }
    for at in 0..20 {
        files.insert(format!("sets/s{at:02}.kdl"), format!("gpu-set s{at:02} {{ model \"NVIDIA L4\" }}\n"));
        files.insert(
            format!("denies/d{at:02}.kdl"),
            format!("deny d{at:02} {{\n    to t{at:03}\n    gpus big\n}}\n"),
        );
    }
    for at in 0..38 {
        files.insert(
            format!("tests/c{at:03}.kdl"),
            format!(
                "test \"{at}\" {{\n    container tenant=t{at:03} {{ request gpus=1 }}\n    expect grant=g{at:03} gpus=1\n}}\n"
            ),
        );
    }
    assert_eq!(files.len(), 200);
    files
}

/// Code and file of each finding, in the order of the document, and the whole document.
fn check(files: &BTreeMap<String, String>) -> (Vec<(String, String)>, String) {
    let place = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = place.path().join("policies").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let document = printed(place.path(), &["policies"]);
    let reversed: Vec<String> = files.keys().rev().map(|name| format!("policies/{name}")).collect();
    let reversed: Vec<&str> = reversed.iter().map(String::as_str).collect();
    assert_eq!(printed(place.path(), &reversed), document, "the order of the arguments changes something");
    let value: Value = serde_json::from_str(&document).unwrap();
    let word = |finding: &Value, at: &str| finding.pointer(at).unwrap().as_str().unwrap().to_owned();
    let findings = value.get("diagnostics").unwrap().as_array().unwrap().clone();
    let found = findings.iter().map(|finding| {
        let file = word(finding, "/spans/0/file");
        (file.strip_prefix("policies/").unwrap().to_owned(), word(finding, "/code"))
    });
    (found.collect(), document)
}

fn printed(place: &Path, paths: &[&str]) -> String {
    run(place, &[&["check"], paths, &["--format", "json"]].concat()).out
}

fn finds_each_fault_once(faults: &[Fault]) {
    let mut files = healthy();
    for (file, old, new, _) in faults {
        let text = files.get_mut(*file).unwrap();
        assert_eq!(text.matches(old).count(), 1, "{file}: {old}");
        *text = text.replace(old, new);
    }
    let (found, document) = check(&files);
    assert!(found.is_sorted_by_key(|(file, _)| file), "not in the order of the files: {found:?}");
    let mut expected: Vec<(String, String)> =
        faults.iter().map(|(file, _, _, code)| ((*file).to_owned(), (*code).to_owned())).collect();
    expected.sort();
    assert_eq!(found, expected, "{document}");
}

#[test]
fn two_hundred_healthy_files_have_no_finding() {
    let (found, document) = check(&healthy());
    assert_eq!(found, [], "{document}");
    assert!(document.contains("\"ok\": true"));
}

#[test]
fn thirty_faults_are_thirty_findings() {
    let faults: Vec<Fault> = SHAPE.into_iter().chain(MEANING).collect();
    assert_eq!(faults.len(), 30);
    finds_each_fault_once(&faults);
}

#[test]
fn files_that_cannot_be_read_hide_nothing_of_the_others() {
    let faults: Vec<Fault> =
        SHAPE.into_iter().skip(4).chain(MEANING.into_iter().skip(4)).chain(TEXT).collect();
    assert_eq!(faults.len(), 30);
    finds_each_fault_once(&faults);
}
