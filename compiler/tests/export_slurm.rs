//! `gpupol export slurm`: the lines of gres.conf for recorded hosts, and what is refused.
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

use ran::run;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn topologies() -> Vec<String> {
    let all =
        fs::read_dir(root().join("examples/topologies")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut all: Vec<String> =
        all.map(|name| format!("examples/topologies/{}", name.to_str().unwrap())).collect();
    all.retain(|name| name.ends_with(".json"));
    all.sort();
    all
}

#[test]
fn some_recorded_hosts() {
    let hosts = ["campus", "hgx-h100-8x", "amd-mi210-8x", "a100-8x-minor-mismatch", "numa-na-1gpu-2x3090"];
    let named: Vec<String> = hosts.iter().map(|name| format!("examples/topologies/{name}.json")).collect();
    let args: Vec<&str> =
        ["export", "slurm"].into_iter().chain(named.iter().flat_map(|name| ["--topology", name])).collect();
    let ran = run(&root(), &args);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("export-slurm", ran.out));
}

/// Each device that a topology has stands on one line, by its own nodes, and no other device does.
#[test]
fn every_device_of_every_recorded_host() {
    let mut whole = 0;
    for file in topologies() {
        let topology: Value = serde_json::from_slice(&fs::read(root().join(&file)).unwrap()).unwrap();
        let ran = run(&root(), &["export", "slurm", "--topology", &file]);
        if topology["gpus"].as_array().unwrap().iter().any(|gpu| gpu["nodes"].as_array().unwrap().is_empty())
        {
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{file}");
            assert!(ran.err.contains("has no device node that is known"), "{ran}");
            continue;
        }
        assert_eq!(ran.code, 0, "{ran}");
        whole += 1;
        let (gres, _) = ran.out.split_once("# oci.conf").unwrap();
        let lines: Vec<&str> = gres.lines().filter(|line| line.starts_with("NodeName=")).collect();
        let devices = topology["gpus"].as_array().unwrap().iter().flat_map(|gpu| match gpu["mig"] == true {
            true => gpu["migDevices"].as_array().unwrap().clone(),
            false => vec![gpu.clone()],
        });
        assert_eq!(lines.len(), devices.count(), "{file}: {gres}");
        let files: BTreeSet<&str> =
            lines.iter().map(|line| line.split(' ').find(|word| word.contains("File")).unwrap()).collect();
        assert_eq!(files.len(), lines.len(), "{file}: {gres}");
        for line in &lines {
            let links = line.split(' ').find_map(|word| word.strip_prefix("Links="));
            assert!(links.is_none_or(|links| links.split(',').count() == lines.len()), "{file}: {line}");
            assert!(
                line.starts_with(&format!("NodeName={} Name=gpu Type=", topology["host"].as_str().unwrap()))
            );
        }
    }
    assert!(whole > 15, "{whole}");
}

/// The page of Slurm shows the same oci.conf.
#[test]
fn oci_conf_is_that_of_the_page() {
    let ran = run(&root(), &["export", "slurm", "--topology", "builtin:campus"]);
    let (_, oci) = ran.out.split_once("# oci.conf\n").unwrap();
    let lines: Vec<&str> = oci.lines().filter(|line| !line.starts_with('#')).collect();
    let page = fs::read_to_string(root().join("docs/slurm.md")).unwrap();
    assert!(page.contains(&format!("```text\n{}\n```", lines.join("\n"))), "{oci}");
}

#[test]
fn what_cannot_be_a_node() {
    let place = tempfile::tempdir().unwrap();
    let campus = fs::read_to_string(root().join("examples/topologies/campus.json")).unwrap();
    fs::write(place.path().join("a.json"), &campus).unwrap();
    let twice =
        run(place.path(), &["export", "slurm", "--topology", "a.json", "--topology", "builtin:campus"]);
    assert_eq!(twice.code, 2, "{twice}");
    assert!(twice.err.contains("two topologies are of host"), "{twice}");
    let mut spaced: Value = serde_json::from_str(&campus).unwrap();
    spaced["host"] = "a b".into();
    fs::write(place.path().join("a.json"), spaced.to_string()).unwrap();
    let ran = run(place.path(), &["export", "slurm", "--topology", "a.json"]);
    assert_eq!(ran.code, 2, "{ran}");
    assert!(ran.err.contains("is no name of a node"), "{ran}");
    fs::write(place.path().join("gres.conf"), "AutoDetect=nvml\n").unwrap();
    let kept = run(place.path(), &["export", "slurm", "--topology", "builtin:campus", "-o", "."]);
    assert_eq!(kept.code, 2, "{kept}");
    assert_eq!(fs::read_to_string(place.path().join("gres.conf")).unwrap(), "AutoDetect=nvml\n");
}

/// What no line names is open to every step, so all of a host is named or nothing is written.
#[test]
fn what_no_line_could_name() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path().join("a.json");
    let recorded = |name: &str| -> Value {
        let file = root().join(format!("examples/topologies/{name}.json"));
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    };
    let mut undivided = recorded("a100-mig");
    let divided = undivided["gpus"].as_array().unwrap().iter().position(|gpu| gpu["mig"] == true).unwrap();
    let mut alike = undivided.clone();
    undivided["gpus"][divided]["migDevices"] = Value::Array(Vec::new());
    for mig in alike["gpus"][divided]["migDevices"].as_array_mut().unwrap() {
        mig["nodes"] = Value::Array(Vec::new());
    }
    let mut silent = recorded("hgx-h100-8x");
    let gpu = silent["gpus"].as_array_mut().unwrap().pop().unwrap();
    let of = |key: &str| gpu[key].clone();
    let without = |link: &Value| !link["gpus"].as_array().unwrap().contains(&gpu["index"]);
    silent["links"].as_array_mut().unwrap().retain(without);
    silent["outOfService"] = serde_json::json!([{"index": of("index"), "vendor": of("vendor"), "uuid": of("uuid"),
        "pci": of("pci"), "minor": of("minor"), "model": of("model"), "state": "lost", "reason": "it has fallen off the bus"}]);
    let told = [
        (undivided, "is in MIG mode and has no MIG device"),
        (alike, "has MIG devices of which no node is known"),
        (silent, "is out of service"),
    ];
    for (topology, why) in told {
        fs::write(&at, topology.to_string()).unwrap();
        let ran = run(place.path(), &["export", "slurm", "--topology", "a.json"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{why}: {ran}");
        assert!(ran.err.contains(why), "{ran}");
    }
}
