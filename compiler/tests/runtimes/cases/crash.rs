//! The hook killed after its n-th system call: the container does not start, nothing of it stays on the host, no other
//! container loses anything, and the next start works.

use std::collections::BTreeSet;
use std::fs;

use gpupol_tracer::End;

use super::expect::{assert_sees, computing, holds, runs};
use crate::bundle::{Bundle, look};
use crate::container::{Container, Entry};
use crate::host::{GPUS, MAJOR};
use crate::leftovers::cgroups;
use crate::site::{Outcome, Site};
use crate::traced;

/// Set: it is killed after every call, and not only after those by which something changes that outlives it.
const ALL: &str = "GPUPOL_TEST_EVERY_CALL";
const LASTING: [&str; 10] =
    ["bpf", "flock", "fsmount", "mkdirat", "mknodat", "move_mount", "renameat", "setns", "unlinkat", "write"];

/// A start with a plan of two nodes.
pub(crate) fn after_each_call(site: &Site) {
    let shared = "sharing time-slicing replicas=2\n    capabilities utility\n}";
    site.installed.change_policies(shared, "capabilities utility\n}");
    let container = Container::through(Entry::Podman).gpus("1");
    let neighbour = holds(site, &container);
    assert_sees(&neighbour.seen, &BTreeSet::from([(MAJOR, 255), (MAJOR, GPUS[2].minor)]));
    let calls = calls(site, &container);
    assert!(calls.len() > 100, "{calls:?}");
    for (number, name) in (1..).zip(&calls) {
        if std::env::var_os(ALL).is_some() || LASTING.contains(&name.as_str()) {
            killed(site, &container, number, name);
        }
    }
    assert_eq!(site.installed.leases().len(), 1, "{:?}", site.installed.leases());
    site.delete(neighbour);
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// The wrapper, which takes leases for a container that is never made.
pub(crate) fn of_the_wrapper(site: &Site) {
    site.use_wrapper();
    let container = Container::training(GPUS[0].uuid);
    let create = |count: u64| {
        let bundle = site.bundle();
        let id = site.write(&bundle, &container, &look());
        let written = fs::read(bundle.config()).unwrap();
        let mut command = site.traced_runtime_command(container.entry.name());
        command.args(["create", "--bundle"]).arg(&bundle.dir).arg(&id);
        let (ended, calls) = traced::run(command, count);
        let config = fs::read(bundle.config()).unwrap();
        let is_whole = serde_json::from_slice::<serde_json::Value>(&config).is_ok();
        assert!(is_whole, "killed after call {count}: half a `config.json`");
        (ended, calls, config == written)
    };
    let (ended, calls, is_unchanged) = create(u64::MAX);
    assert!(ended == End::Became && calls.len() > 100 && !is_unchanged, "{ended:?}: {calls:?}");
    for (number, name) in (1..).zip(&calls) {
        if std::env::var_os(ALL).is_some() || LASTING.contains(name) {
            assert_eq!(create(number).0, End::Killed, "{number}, {name}");
            site.require_unchanged(name);
            assert_sees(&runs(site, &container), &computing(site, &[GPUS[0].minor]));
            assert_eq!(site.installed.leases(), Vec::<String>::new(), "killed after call {number}, {name}");
        }
    }
}

/// The system calls of a start that nobody kills.
fn calls(site: &Site, container: &Container) -> Vec<String> {
    let bundle = site.bundle();
    let (outcome, calls) = start(site, &bundle, container, usize::MAX).1;
    assert!(outcome.started && outcome.seen.is_some(), "{outcome:?}");
    calls
}

fn killed(site: &Site, container: &Container, number: usize, name: &str) {
    let bundle = site.bundle();
    let before = bundle.listing();
    let (id, (outcome, calls)) = start(site, &bundle, container, number);
    let case = format!("killed after call {number}, {name}: {outcome:?}");
    assert_eq!(calls.len(), number, "{case}");
    assert!(!outcome.started && outcome.seen.is_none(), "{case}");
    assert_eq!(cgroups(&id), Vec::<std::path::PathBuf>::new(), "{case}");
    site.require_unchanged(&case);
    for (path, what) in bundle.listing() {
        // What stays in the image are empty targets of mounts.
        let same = before.get(&path) == Some(&what);
        assert!(same || what.2 == 0 && !before.contains_key(&path), "{case}: {} {what:?}", path.display());
    }
    let seen = runs(site, container);
    assert_sees(&seen, &BTreeSet::from([(MAJOR, 255), (MAJOR, GPUS[3].minor)]));
    let leases = site.installed.leases();
    assert_eq!(leases.len(), 1, "{case}: only the neighbour holds anything: {leases:?}");
}

/// A start whose hook ends after a call, with the names of those that it made.
fn start(
    site: &Site,
    bundle: &Bundle,
    container: &Container,
    count: usize,
) -> (String, (Outcome, Vec<String>)) {
    let id = site.write(bundle, container, &look());
    let names = traced::kill_after(bundle, count);
    let outcome = site.start(bundle, &id, container.entry, false);
    let names = fs::read_to_string(names).expect("the hook was called");
    (id, (outcome, names.lines().map(str::to_owned).collect()))
}
