//! Starts whose audit record cannot be written: the disk is full, or the file is none.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::expect::{assert_sees, computing, does_not_start, holds, runs, runs_without_gpu};
use crate::bundle::at;
use crate::container::{Container, Entry};
use crate::host::GPUS;
use crate::site::{Site, text};

/// One page, and something that fills it.
const FILL: &str = "mount -t tmpfs -o size=4096,mode=755 gpupol-test \"$1\" && : >\"$1/audit.jsonl\"
cat /dev/zero >\"$1/filler\" 2>/dev/null; test -s \"$1/filler\"";

/// `audit required`, as when nothing is said: no device is given, and who gets none is not disturbed.
pub(crate) fn required_on_a_full_disk(site: &Site) {
    on_full_disk(site, || required(site, "No space left on device"));
}

/// A start's record says who got what by which rule, and how long that took.
pub(crate) fn of_a_start(site: &Site) {
    let held = holds(site, &Container::training("1"));
    let records = site.installed.audit();
    let record = records.iter().find(|record| record["event"] == "start").unwrap();
    let class = |key: &str| {
        let keys = record["identity"].as_array().unwrap();
        keys.iter().find(|one| one["key"] == key).map(|one| one["class"].clone())
    };
    assert_eq!(class("namespace"), Some("orchestrator".into()));
    assert_eq!(class("name").unwrap_or("tenant".into()), "tenant");
    for digest in ["policyDigest", "topologyDigest"] {
        assert!(record[digest].as_str().unwrap().starts_with("sha256:"), "{record}");
    }
    assert!(record["durationUs"].as_u64().is_some_and(|took| (1..60_000_000).contains(&took)), "{record}");
    site.delete(held);
}

/// `audit best-effort`: what cannot be written down is given all the same.
pub(crate) fn best_effort_on_a_full_disk(site: &Site) {
    site.installed.change_policies("on-denied refuse", "on-denied refuse\n    audit best-effort");
    on_full_disk(site, || best_effort(site));
}

/// The same where the file cannot be opened.
pub(crate) fn unwritable(site: &Site) {
    let log = site.dir.join("log");
    fs::create_dir_all(log.join("audit.jsonl")).unwrap();
    audit_in(site, &log);
    required(site, "Is a directory");
    site.installed.change_policies("on-denied refuse", "on-denied refuse\n    audit best-effort");
    best_effort(site);
}

fn required(site: &Site, why: &str) {
    let bundle = site.bundle();
    let before = bundle.listing();
    let line = does_not_start(site.run_in(&bundle, &Container::training("1")));
    assert!(line.contains("audit") && line.contains(why), "{line}");
    assert_eq!(bundle.listing(), before, "something stayed in the rootfs");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
    without_devices(site);
}

fn best_effort(site: &Site) {
    assert_sees(&runs(site, &Container::training("1")), &computing(site, &[GPUS[0].minor]));
    let held = holds(site, &Container::training("1"));
    assert_eq!(site.installed.leases().len(), 1, "what is not audited is leased");
    site.delete(held);
    without_devices(site);
}

/// Containers that get no device start, also those that the guard contains.
fn without_devices(site: &Site) {
    runs_without_gpu(site, &Container::in_namespace("default"));
    let everything = |config: &mut Value| {
        at(config, "/linux/resources/devices", json!([{ "allow": true, "access": "rwm" }]));
    };
    let seen = runs(site, &Container::in_namespace("kube-system").edited(everything));
    assert!(seen.allowed().iter().all(|number| number.0 != crate::host::MAJOR), "{seen:?}");
}

/// Does something while the audit's disk is full.
fn on_full_disk(site: &Site, act: impl FnOnce()) {
    let log = site.dir.join("log");
    fs::create_dir(&log).unwrap();
    in_view(site, "sh", &["-c", FILL, "sh", text(&log)]);
    audit_in(site, &log);
    act();
    in_view(site, "umount", &[text(&log)]);
}

fn in_view(site: &Site, program: &str, arguments: &[&str]) {
    let output = site.view.command(Path::new(program)).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Has the entry of these containers write its audit there.
fn audit_in(site: &Site, log: &Path) {
    let path = site.installed.entry(Entry::Kubernetes);
    let mut entry: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    entry["audit"] = json!(log.join("audit.jsonl"));
    fs::write(path, entry.to_string()).unwrap();
}
