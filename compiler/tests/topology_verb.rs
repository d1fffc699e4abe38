//! `gpupol topology`: what it shows of recorded hosts, which documents it takes, and what it says of two that differ.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod ran;

use std::fs;
use std::path::{Path, PathBuf};

use ran::{Ran, run};

const HOSTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/topologies");

fn topology(place: &Path, args: &[&str]) -> Ran {
    run(place, &[&["topology"], args].concat())
}

fn hosts(args: &[&str]) -> Ran {
    topology(Path::new(HOSTS), args)
}

fn place(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("topology").join(name);
    if place.exists() {
        fs::remove_dir_all(&place).unwrap();
    }
    fs::create_dir_all(&place).unwrap();
    place
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/topology");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn every_recorded_host_is_shown_and_valid() {
    let mut files: Vec<String> =
        fs::read_dir(HOSTS).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.retain(|file| file.ends_with(".json"));
    files.sort();
    for file in &files {
        let shown = hosts(&["show", file]);
        assert_eq!((shown.code, shown.err.as_str()), (0, ""));
        snapshot(file.strip_suffix(".json").unwrap(), &shown.out);
        let json = hosts(&["show", "--format", "json", file]);
        assert_eq!(json.out, fs::read_to_string(Path::new(HOSTS).join(file)).unwrap());
    }
    let mut all = vec!["validate"];
    all.extend(files.iter().map(String::as_str));
    let valid = hosts(&all);
    assert_eq!((valid.code, valid.err.as_str()), (0, ""));
    assert_eq!(valid.out.lines().count(), files.len());
}

#[test]
fn faults_and_gpus_out_of_service_are_shown() {
    let place = place("condition");
    let campus = fs::read_to_string(Path::new(HOSTS).join("campus.json")).unwrap();
    let mut host: serde_json::Value = serde_json::from_str(&campus).unwrap();
    host["gpus"][1]["faults"] = serde_json::json!(["row-remap-failed", "tpc-repair-pending"]);
    host["gpus"][1]["computeMode"] = "exclusive-process".into();
    host["gpus"][2]["ecc"] = false.into();
    host["gpus"][2]["persistence"] = serde_json::Value::Null;
    host["gpus"][3]["fabric"] = "completed".into();
    host["gpus"][3]["clique"] = "6f3d0b5c-0000-4000-8000-00000000000a.7".into();
    host["gpus"][3]["memoryNode"] = 2.into();
    host["gpus"][4]["pci"] = serde_json::Value::Null;
    host["links"][0]["nvlinks"] = serde_json::json!({ "unknown": "no permission" });
    let [lost, nameless] = [9, 10].map(|index| {
        serde_json::json!({
            "index": index, "vendor": "nvidia", "uuid": "GPU-00000000-0000-4000-8000-0000000000ff", "pci": "0001:ff:00.0",
            "minor": 9, "model": "NVIDIA L4", "state": "unresponsive", "reason": "NVML: no answer within 10 s",
        })
    });
    let mut nameless = nameless;
    for field in ["uuid", "pci", "minor", "model"] {
        nameless[field] = serde_json::json!({ "unknown": "nobody says which GPU it is" });
    }
    host["outOfService"] = serde_json::json!([lost, nameless]);
    fs::write(place.join("host.json"), host.to_string()).unwrap();
    let shown = topology(&place, &["show", "host.json"]);
    assert_eq!((shown.code, shown.err.as_str()), (0, ""));
    snapshot("condition", &shown.out);
    assert_eq!(topology(&place, &["validate", "host.json"]).code, 0);
}

#[test]
fn every_document_is_validated_and_each_bad_one_named() {
    let place = place("validate");
    let campus = fs::read_to_string(Path::new(HOSTS).join("campus.json")).unwrap();
    let newer = campus.replacen("\"topologyVersion\": 1", "\"topologyVersion\": 99", 1);
    let twice = campus.replace("0000-4000-8000-000000000001", "0000-4000-8000-000000000000");
    let files: [(&str, &[u8]); 5] = [
        ("bytes.json", b"\xff"),
        ("good.json", campus.as_bytes()),
        ("half.json", campus.split_at(campus.len() / 2).0.as_bytes()),
        ("newer.json", newer.as_bytes()),
        ("twice.json", twice.as_bytes()),
    ];
    let mut args = vec!["validate"];
    for (name, bytes) in files {
        fs::write(place.join(name), bytes).unwrap();
        args.push(name);
    }
    let ran = topology(&place, &args);
    assert_eq!(ran.code, 1);
    snapshot("validate", &format!("{}\n{}", ran.out, ran.err));
    assert_eq!(topology(&place, &["validate", "good.json", "absent.json"]).code, 2);
}

#[test]
fn what_a_driver_lacks_is_shown_by_what_needs_it() {
    let place = place("missing");
    let whole = fs::read_to_string(Path::new(HOSTS).join("t4-1x-cloud.json")).unwrap();
    let names = ["a", "b", "c", "d", "e", "f"].map(|name| {
        let capability = if name == "f" { "video" } else { "graphics" };
        format!(r#"{{ "name": "lib{name}.so.550.163.01", "kind": "library", "capability": "{capability}" }}"#)
    });
    let firmware = r#"{ "name": "nvidia/550.163.01/gsp*.bin", "kind": "firmware" }"#;
    let missing = format!("\"missingDriverFiles\": [{}, {firmware}]", names.join(","));
    let half = whole.replace("\"missingDriverFiles\": []", &missing);
    fs::write(place.join("half.json"), half).unwrap();
    let shown = topology(&place, &["show", "half.json"]);
    let valid = topology(&place, &["validate", "half.json"]);
    snapshot("missing", &format!("{}\n{}", shown.out, valid.out));
}

#[test]
fn what_differs_is_said_and_ends_with_one() {
    let same = hosts(&["diff", "campus.json", "builtin:campus"]);
    assert_eq!((same.code, same.out.as_str(), same.err.as_str()), (0, "", ""));
    let place = place("diff");
    let campus = fs::read_to_string(Path::new(HOSTS).join("campus.json")).unwrap();
    let new = campus.replace("550.163.01", "570.86.10").replacen("\"gi\": 10", "\"gi\": 11", 1).replacen(
        "\"mig\": false",
        "\"mig\": {\"unknown\": \"\\u001b[2Jno permission\"}",
        1,
    );
    fs::write(place.join("new.json"), new).unwrap();
    let differs = topology(&place, &["diff", "builtin:campus", "new.json"]);
    assert_eq!((differs.code, differs.err.as_str()), (1, ""));
    snapshot("diff", &differs.out);
    let json = topology(&place, &["diff", "--format", "json", "new.json", "builtin:campus"]);
    assert_eq!(json.code, 1);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["drift"].as_array().unwrap().len(), differs.out.lines().count());
    assert_eq!(topology(&place, &["diff", "builtin:campus", "absent.json"]).code, 2);
}
