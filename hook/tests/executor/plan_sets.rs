//! Plan sets that are missing, damaged, newer or in the wrong hands.

use std::os::unix::fs::{PermissionsExt, chown, symlink};

use gpupol_hook::planset::PlanSet;
use gpupol_plan::index::GrantPlan;
use serde_json::{Value, json};

use crate::scene::{self, Folder};

fn plan(tenant: &str) -> Value {
    json!({
        "planVersion": 1, "tenant": tenant, "grant": "g",
        "rule": {"file": "p.kdl", "line": 1, "name": "grant g"},
        "policyDigest": "sha256:0", "topologyDigest": "sha256:0",
        "host": {"bootId": null, "driverVersion": null},
        "capabilities": ["compute"], "capabilitiesRule": {"file": "p.kdl", "line": 1, "name": "grant g"}, "lines": [], "edits": {}
    })
}

/// The files of a sound plan set: of two tenants `a` and `b`, each with a plan.
fn files() -> (Value, Vec<u8>) {
    let (mut plans, mut grants, mut tenants) = (Vec::new(), Vec::new(), Vec::new());
    for tenant in ["a", "b"] {
        let (bytes, slices) = scene::parts(&plan(tenant), plans.len());
        plans.extend(bytes);
        grants.push(json!({"tenant": tenant, "name": "g", "rank": 0, "named": false, "when": [],
            "plan": slices["plan"], "shared": slices["shared"]}));
        tenants.push(json!({"name": tenant, "identities": [{"engine": "docker", "daemon": tenant}]}));
    }
    let index = json!({"indexVersion": 1, "onDenied": "refuse", "requestIndices": "auto", "tenants": tenants,
        "grants": grants});
    (index, plans)
}

/// A sound plan set at `plans/current`.
fn plans(folder: &Folder) -> String {
    let (index, plans) = files();
    folder.directory("plans/one");
    folder.write("plans/one/index", scene::index(&index));
    folder.write("plans/one/plans", plans);
    symlink("one", folder.path("plans/current")).unwrap();
    folder.path("plans")
}

fn grant(set: &PlanSet, tenant: &str) -> GrantPlan {
    set.index.grant(tenant, "g").unwrap().unwrap()
}

fn refusal(folder: &Folder) -> String {
    let error = PlanSet::open(&folder.path("plans"))
        .and_then(|set| set.plan(&set.index.grant("b", "g")?.unwrap()).map(drop))
        .unwrap_err();
    let refusal = error.into_plan_set_refusal();
    assert_eq!(refusal.reason.slug(), "plan-set");
    refusal.message
}

fn mode(path: &str, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn each_plan_is_read_from_its_place() {
    let folder = Folder::new("plans");
    let set = PlanSet::open(&plans(&folder)).unwrap();
    for tenant in ["a", "b"] {
        assert_eq!(set.plan(&grant(&set, tenant)).unwrap().tenant, tenant);
    }
}

#[test]
fn a_switch_does_not_reach_a_set_that_is_open() {
    let folder = Folder::new("switch");
    let set = PlanSet::open(&plans(&folder)).unwrap();
    std::fs::remove_file(folder.path("plans/current")).unwrap();
    std::fs::rename(folder.path("plans/one"), folder.path("plans/old")).unwrap();
    assert!(set.plan(&grant(&set, "a")).is_ok());
    assert!(refusal(&folder).contains("No such file or directory"));
}

#[test]
fn hands_other_than_roots_are_refused_wherever_they_are() {
    let folder = Folder::new("hands");
    plans(&folder);
    for below in ["plans", "plans/one", "plans/one/index", "plans/one/plans"] {
        let path = folder.path(below);
        let before = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        for writable in [0o020, 0o002] {
            mode(&path, before | writable);
            assert!(refusal(&folder).contains("can be written by others than root"), "{below}");
        }
        mode(&path, before);
        chown(&path, Some(1000), None).unwrap();
        assert!(refusal(&folder).contains("belongs to uid 1000, not to root"), "{below}");
        chown(&path, Some(0), None).unwrap();
    }
    mode(&folder.path(""), 0o757);
    assert!(refusal(&folder).contains("can be written by others than root"), "a parent");
}

#[test]
fn current_may_only_name_a_directory_beside_it() {
    let folder = Folder::new("current");
    plans(&folder);
    let outside = folder.directory("outside");
    for target in [outside.as_str(), "../outside", "./one", "..", "."] {
        std::fs::remove_file(folder.path("plans/current")).unwrap();
        symlink(target, folder.path("plans/current")).unwrap();
        assert!(refusal(&folder).contains("not a directory beside it"), "{target}");
    }
    std::fs::remove_file(folder.path("plans/current")).unwrap();
    symlink("two", folder.path("plans/current")).unwrap();
    symlink("one", folder.path("plans/two")).unwrap();
    assert!(refusal(&folder).contains("openat(`two`)"));
}

#[test]
fn files_that_are_no_files_are_refused() {
    let folder = Folder::new("kinds");
    plans(&folder);
    std::fs::rename(folder.path("plans/one/index"), folder.path("plans/one/x")).unwrap();
    symlink("x", folder.path("plans/one/index")).unwrap();
    assert!(refusal(&folder).contains("openat(`index`)"));
    std::fs::remove_file(folder.path("plans/one/index")).unwrap();
    folder.directory("plans/one/index");
    assert!(refusal(&folder).contains("not a regular file"));
}

#[test]
fn newer_and_truncated_sets_are_refused() {
    let folder = Folder::new("damaged");
    plans(&folder);
    let (sound, plans) = files();
    let good = scene::index(&sound);
    let mut newer = good.clone();
    newer[8] = 2;
    folder.write("plans/one/index", newer);
    assert!(refusal(&folder).contains("index is of version 2"));
    for cut in [0, 7, 100, good.len() / 2, good.len() - 1] {
        folder.write("plans/one/index", &good[..cut]);
        assert!(refusal(&folder).contains("index is damaged"), "{cut}");
    }
    folder.write("plans/one/index", &good);
    folder.write("plans/one/plans", &plans[..plans.len() / 2]);
    assert!(refusal(&folder).contains("the index names"));
    folder.write("plans/one/plans", &plans);
    let with = |plan: Value| {
        let mut index = sound.clone();
        index["grants"][1]["plan"] = plan;
        folder.write("plans/one/index", scene::index(&index));
        refusal(&folder)
    };
    assert!(with(json!({"offset": 0, "length": u64::MAX})).contains("the index names"));
    assert!(with(json!({"offset": u64::MAX, "length": 2})).contains("the index names"));
    assert!(with(sound["grants"][0]["plan"].clone()).contains("it is of another grant"));
    assert!(with(sound["grants"][1]["shared"].clone()).contains("plan is damaged"));
    std::fs::remove_file(folder.path("plans/one/plans")).unwrap();
    assert!(refusal(&folder).contains("openat(`plans`)"));
}
