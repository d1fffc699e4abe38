//! Every order of the protocol's steps, with crashes between them.

use gpupol_lease_model::{Flaw, Scenario, Wish};
use stateright::{Checker, Model};

const EXCLUSIVE: Wish = Wish { count: 1, replicas: 1 };
const BOTH: Wish = Wish { count: 2, replicas: 1 };
const SHARED: Wish = Wish { count: 1, replicas: 2 };

fn holds(scenario: Scenario) {
    let checker = scenario.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.unique_state_count() > 10_000, "hardly anything was checked");
}

/// One device, exclusive, wanted by three.
#[test]
fn exclusive() {
    holds(Scenario::new(1, &[EXCLUSIVE; 3], None));
}

/// Two devices, one of three containers wants both.
#[test]
fn several_devices() {
    holds(Scenario::new(2, &[BOTH, EXCLUSIVE, EXCLUSIVE], None).once());
}

/// One device that two may share, wanted by three.
#[test]
fn replicas() {
    holds(Scenario::new(1, &[SHARED; 3], None).once());
}

/// One device, which some want to share and one does not.
#[test]
fn shared_and_exclusive() {
    holds(Scenario::new(1, &[SHARED, SHARED, EXCLUSIVE], None));
}

/// More devices than the tenant may have.
#[test]
fn limit() {
    holds(Scenario::new(2, &[EXCLUSIVE, EXCLUSIVE, EXCLUSIVE], Some(1)));
}

/// The model finds what a protocol without its precautions would do.
#[test]
fn flaws_are_found() {
    for flaw in [
        Flaw::NoLock,
        Flaw::LeaseAfterApply,
        Flaw::BlindGiveBack,
        Flaw::BlindRelease,
        Flaw::InitAlone,
        Flaw::DeadStarter,
        Flaw::OwnByName,
    ] {
        let scenario = Scenario::new(1, &[EXCLUSIVE; 2], None).with(flaw);
        let checker = scenario.checker().threads(2).spawn_bfs().join();
        let found: Vec<&str> = checker.discoveries().into_keys().collect();
        let is_wrong = |name: &&str| name.starts_with("a device is held as") || name.starts_with("who has");
        assert!(found.iter().any(is_wrong), "{flaw:?} is not found: {found:?}");
    }
}
