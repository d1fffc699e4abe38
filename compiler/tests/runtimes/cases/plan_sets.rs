//! Plan sets that are not what they should be: who asks is refused, everybody else starts.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use gpupol_plan::index::{self, Contents, Index};
use serde_json::{Value, json};

use super::expect::{refused, runs_without_gpu};
use crate::container::{Container, Entry};
use crate::site::Site;

/// There is none.
pub(crate) fn missing(site: &Site) {
    fs::remove_file(site.installed.plans().join("current")).unwrap();
    refuses_only_who_asks(site);
}

/// The index ends too early.
pub(crate) fn truncated_index(site: &Site) {
    truncate(site, "index");
    refuses_only_who_asks(site);
}

/// The plans end too early.
pub(crate) fn truncated_plans(site: &Site) {
    truncate(site, "plans");
    refuses_only_who_asks(site);
}

/// The index is of a version to come.
pub(crate) fn newer_index(site: &Site) {
    let path = site.installed.in_force("index");
    let mut bytes = fs::read(&path).unwrap();
    assert_eq!(bytes[8..12], 1_u32.to_le_bytes());
    bytes[8] = 2;
    fs::write(&path, bytes).unwrap();
    refuses_only_who_asks(site);
}

/// The plan is of a version to come.
pub(crate) fn newer_plan(site: &Site) {
    let path = site.installed.in_force("plans");
    let plans = fs::read_to_string(&path).unwrap();
    assert!(plans.contains("\"planVersion\":1"), "{plans}");
    fs::write(&path, plans.replace("\"planVersion\":1", "\"planVersion\":2")).unwrap();
    refuses_only_who_asks(site);
}

/// Somebody else's file.
pub(crate) fn wrong_owner(site: &Site) {
    for name in ["index", "plans", ""] {
        let path = site.installed.in_force(name);
        chown(&path, Some(1000), None).unwrap();
        refuses_only_who_asks(site);
        chown(&path, Some(0), None).unwrap();
    }
}

/// A file that others than root may change.
pub(crate) fn writable_by_group(site: &Site) {
    for (name, loose, strict) in [("index", 0o664, 0o644), ("plans", 0o646, 0o644), ("", 0o775, 0o755)] {
        let path = site.installed.in_force(name);
        fs::set_permissions(&path, Permissions::from_mode(loose)).unwrap();
        refuses_only_who_asks(site);
        fs::set_permissions(&path, Permissions::from_mode(strict)).unwrap();
    }
}

/// Plans that lie nowhere, or everywhere.
pub(crate) fn hostile_offsets(site: &Site) {
    for (offset, length) in [(u64::MAX, u64::MAX), (0, 1 << 40), (1 << 62, 100), (0, 0)] {
        for part in ["plan", "shared"] {
            change_index(site, |index| {
                for grant in index["grants"].as_array_mut().unwrap() {
                    grant[part] = json!({"offset": offset, "length": length});
                }
            });
            refuses_only_who_asks(site);
        }
    }
}

/// An index that leads to somebody else's plan.
pub(crate) fn plan_of_another_tenant(site: &Site) {
    change_index(site, |index| {
        let grants = index["grants"].as_array_mut().unwrap();
        let other = grants.iter().find(|grant| grant["tenant"] == "students").unwrap().clone();
        for grant in grants {
            grant["plan"] = other["plan"].clone();
            grant["shared"] = other["shared"].clone();
        }
    });
    refuses_only_who_asks(site);
}

/// An index that would keep its reader waiting.
pub(crate) fn index_is_a_fifo(site: &Site) {
    let path = site.installed.in_force("index");
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    refuses_only_who_asks(site);
}

/// Files that would fill the memory of their reader.
pub(crate) fn endless(site: &Site) {
    for name in ["index", "plans"] {
        let path = site.installed.in_force(name);
        let bytes = fs::read(&path).unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        if name == "plans" {
            change_index(site, |index| {
                index["grants"]
                    .as_array_mut()
                    .unwrap()
                    .iter_mut()
                    .for_each(|grant| grant["plan"]["length"] = json!(1_u64 << 39));
            });
        }
        refuses_only_who_asks(site);
        fs::write(&path, bytes).unwrap();
    }
}

fn refuses_only_who_asks(site: &Site) {
    refused(site, &Container::training("1"), "plan-set");
    runs_without_gpu(site, &Container::in_namespace("research-vision"));
    runs_without_gpu(site, &Container::through(Entry::Podman));
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

fn truncate(site: &Site, name: &str) {
    let path = site.installed.in_force(name);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, bytes.split_at(bytes.len() / 2).0).unwrap();
}

fn change_index(site: &Site, change: impl FnOnce(&mut Value)) {
    let path = site.installed.in_force("index");
    let bytes = fs::read(&path).unwrap();
    let mut contents = serde_json::to_value(Index::of(&bytes).unwrap().contents().unwrap()).unwrap();
    change(&mut contents);
    let contents: Contents = serde_json::from_value(contents).unwrap();
    let automaton = index::automaton(&contents.tenants).unwrap();
    fs::write(&path, index::write(&contents, &automaton)).unwrap();
}
