#![expect(clippy::disallowed_methods, reason = "tests fail by panicking, and look at files")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::emit::PlanSet;

const HOST: &str = "sha256:0123";

fn plan_set(index: &[u8]) -> PlanSet {
    let (index, plans) = (index.to_vec(), b"plans".to_vec());
    let digest = digest::plan_set(&index, &plans);
    PlanSet { index, plans, count: 1, majors: BTreeSet::new(), digest }
}

/// A directory in which a plan set is in force that was compiled for the host.
fn compiled() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let stored = store::write(place.path(), &plan_set(b"index")).unwrap();
    keep(place.path(), HOST, stored.name()).unwrap();
    assert!(is_as(place.path(), HOST).unwrap());
    place
}

#[test]
fn another_host_is_a_change() {
    assert!(!is_as(compiled().path(), "sha256:4567").unwrap());
    let nothing = tempfile::tempdir().unwrap();
    assert!(!is_as(nothing.path(), HOST).unwrap());
}

/// As `gpupol compile --topology OTHER --force` does, which knows nothing of this.
#[test]
fn another_plan_set_in_force_is_a_change() {
    let place = compiled();
    store::write(place.path(), &plan_set(b"of another host")).unwrap();
    assert!(!is_as(place.path(), HOST).unwrap());
    store::write(place.path(), &plan_set(b"index")).unwrap();
    assert!(is_as(place.path(), HOST).unwrap(), "the old one again");
    fs::remove_file(place.path().join("current")).unwrap();
    assert!(!is_as(place.path(), HOST).unwrap());
}

#[test]
fn a_plan_set_that_is_not_as_written_is_a_change() {
    for file in ["index", "plans"] {
        let place = compiled();
        let path = place.path().join("current").join(file);
        fs::write(&path, "x").unwrap();
        assert!(!is_as(place.path(), HOST).unwrap(), "{file} is cut");
        fs::remove_file(&path).unwrap();
        assert!(!is_as(place.path(), HOST).unwrap(), "{file} is gone");
    }
    let place = compiled();
    fs::remove_file(place.path().join("current")).unwrap();
    symlink("../elsewhere", place.path().join("current")).unwrap();
    assert!(!is_as(place.path(), HOST).unwrap(), "the hook would not follow it");
}

#[test]
fn policies_that_are_gone_are_no_success() {
    let place = tempfile::tempdir().unwrap();
    assert!(are_there(&[place.path().to_owned()]).is_ok());
    let both = [place.path().to_owned(), place.path().join("gone")];
    assert!(matches!(are_there(&both), Err(Failure::Unreadable { .. })));
}
