//! The lease protocol among real processes.

use std::io::{BufRead, BufReader, Write};
use std::process::Child;

use gpupol_hook::cgroup::Hierarchy;
use gpupol_hook::lease::live::Liveness;
use gpupol_hook::lease::record::{CgroupName, LEASE_VERSION, Record};
use gpupol_hook::lease::store::Store;
use gpupol_hook::lease::{self, Holder, Scope, Survey};
use gpupol_hook::mountinfo::MountInfo;
use gpupol_hook::process::Process;
use gpupol_plan::choose::{Lease, admits};
use gpupol_plan::entry::Engine;
use gpupol_plan::plan::Sharing;

use crate::scene::{self, Folder};

const DEVICE: &str = "GPU-1";
const PLAIN: &str = r#"exec "$@""#;

fn liveness() -> Liveness {
    Liveness { hierarchy: Hierarchy::find(&MountInfo::read().unwrap()).unwrap(), own: None }
}

fn me() -> Process {
    Process::open(std::process::id()).unwrap().unwrap()
}

fn record(container: &str, process: &Process, sharing: Sharing) -> Record {
    Record {
        lease_version: LEASE_VERSION,
        engine: Engine::Podman,
        container: container.to_owned(),
        device: DEVICE.to_owned(),
        tenant: "a".to_owned(),
        grant: "g".to_owned(),
        sharing,
        pid: process.pid,
        start_time: process.start_time,
        pending: false,
        pending_until: None,
        cgroup: None,
    }
}

fn survey(store: &Store, container: &str, process: &Process) -> (Survey, Vec<String>) {
    survey_of(store, &of_device(), container, process)
}

fn of_device() -> Scope<'static> {
    Scope { devices: [DEVICE].into(), whole_host: false }
}

fn survey_of(store: &Store, scope: &Scope<'_>, container: &str, process: &Process) -> (Survey, Vec<String>) {
    let mut dead = Vec::new();
    let holder = Holder { engine: "podman", container, process, is_pending: false };
    let found = lease::survey(store, scope, holder, &liveness(), |record| {
        dead.push(record.container.clone());
        Ok(())
    });
    (found.unwrap(), dead)
}

/// One contender: takes a lease if it may, says so, and lives until its input ends.
fn contend(state: &str, container: &str, sharing: &Sharing) {
    let process = me();
    let store = Store::lock(state).unwrap();
    let (survey, _) = survey(&store, container, &process);
    let held = survey.leases.get(DEVICE).map(Vec::as_slice).unwrap_or_default();
    let admitted = admits(&record(container, &process, sharing.clone()).lease(), held);
    if admitted {
        lease::take(&store, &[record(container, &process, sharing.clone())]).unwrap();
    }
    drop(store);
    println_flushed(if admitted { "taken" } else { "held" });
    let _ = std::io::stdin().lines().next();
}

fn println_flushed(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

fn answer(child: &mut Child) -> String {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    lines.map(Result::unwrap).find(|line| line == "taken" || line == "held").unwrap_or_default()
}

fn contest(test: &str, sharing: &Sharing, expected: usize) {
    if let Some(words) = scene::role() {
        return contend(&words[0], &words[1], sharing);
    }
    let folder = Folder::new("leases");
    let state = folder.path("state");
    let start = |number: u32| {
        let container = format!("c{number}");
        scene::child(test, &[&state, &container], PLAIN).spawn().unwrap()
    };
    let mut children: Vec<Child> = (0..100).map(start).collect();
    let answers: Vec<String> = children.iter_mut().map(answer).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "taken").count(), expected, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| *answer == "held").count(), 100 - expected);
    for child in &mut children {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
    let (after, dead) = survey(&Store::lock(&state).unwrap(), "later", &me());
    assert_eq!(dead.len(), expected, "every dead lease is removed, once");
    assert!(after.leases.is_empty());
    assert!(survey(&Store::lock(&state).unwrap(), "later", &me()).1.is_empty());
}

#[test]
fn of_a_hundred_processes_one_gets_an_exclusive_device() {
    contest("leases::of_a_hundred_processes_one_gets_an_exclusive_device", &Sharing::Exclusive {}, 1);
}

#[test]
fn of_a_hundred_processes_as_many_as_replicas_share_a_device() {
    contest(
        "leases::of_a_hundred_processes_as_many_as_replicas_share_a_device",
        &Sharing::TimeSlicing { replicas: 7 },
        7,
    );
}

#[test]
fn a_second_call_for_a_container_finds_its_own_lease() {
    let folder = Folder::new("own");
    let (state, process) = (folder.path("state"), me());
    let store = Store::lock(&state).unwrap();
    let taken = lease::take(&store, &[record("a/../b", &process, Sharing::Exclusive {})]).unwrap();
    let (own, _) = survey(&store, "a/../b", &process);
    assert!(own.own.contains(DEVICE) && own.leases.is_empty());
    let (other, _) = survey(&store, "b", &process);
    assert!(other.own.is_empty());
    let lease = record("b", &process, Sharing::Exclusive {}).lease();
    assert_eq!(other.leases[DEVICE], [lease]);
    // To give back is to wait for the lock.
    drop(store);
    taken.give_back();
    assert!(survey(&Store::lock(&state).unwrap(), "b", &process).0.leases.is_empty());
}

#[test]
fn a_living_container_of_the_same_id_is_not_the_same_container() {
    let folder = Folder::new("same");
    let store = Store::lock(&folder.path("state")).unwrap();
    let init = Process::open(1).unwrap().unwrap();
    lease::take(&store, &[record("a", &init, Sharing::Exclusive {})]).unwrap();
    let process = me();
    let holder = Holder { engine: "podman", container: "a", process: &process, is_pending: false };
    let found = lease::survey(&store, &of_device(), holder, &liveness(), |_| Ok(()));
    assert!(found.unwrap_err().to_string().contains("lives as process 1"));
}

/// What was taken for a container before it was made is its own once it is there, and somebody else's for another who
/// would make one of that id.
#[test]
fn a_pending_lease_is_the_containers_own() {
    let folder = Folder::new("pending");
    let store = Store::lock(&folder.path("state")).unwrap();
    let maker = Process::open(1).unwrap().unwrap();
    let pending = Record { pending: true, ..record("a", &maker, Sharing::Exclusive {}) };
    lease::take(&store, &[pending]).unwrap();
    let process = me();
    let of = |is_pending| Holder { engine: "podman", container: "a", process: &process, is_pending };
    let survey = |holder| lease::survey(&store, &of_device(), holder, &liveness(), |_| Ok(()));
    let own = survey(of(false)).unwrap();
    assert_eq!((&own.own, &own.pending), (&[DEVICE.to_owned()].into(), &[DEVICE.to_owned()].into()));
    assert!(own.leases.is_empty());
    assert!(survey(of(true)).unwrap_err().to_string().contains("lives as process 1"));
    let until = |until| Record {
        pending: true,
        pending_until: Some(until),
        ..record("a", &maker, Sharing::Exclusive {})
    };
    assert!(liveness().is_live(&until(u64::MAX)).unwrap());
    assert!(!liveness().is_live(&until(0)).unwrap(), "whoever makes it runs on, and has not come so far");
    lease::take(&store, &[record("a", &process, Sharing::Exclusive {})]).unwrap();
    let held = survey(of(false)).unwrap();
    assert!(held.own.contains(DEVICE) && held.pending.is_empty());
}

/// Its runtime was killed, and the container started anew, while the hook of its first life failed.
#[test]
fn only_what_was_written_is_given_back() {
    let folder = Folder::new("anew");
    let state = folder.path("state");
    let lock = || Store::lock(&state).unwrap();
    let first = lease::take(&lock(), &[record("a", &me(), Sharing::Exclusive {})]).unwrap();
    let init = Process::open(1).unwrap().unwrap();
    let second = lease::take(&lock(), &[record("a", &init, Sharing::Exclusive {})]).unwrap();
    first.give_back();
    assert_eq!(survey(&lock(), "b", &me()).0.leases[DEVICE].len(), 1, "the second life lost its lease");
    second.give_back();
    assert!(survey(&lock(), "b", &me()).0.leases.is_empty());
}

/// Its runtime was killed, and the container started anew in its cgroup, while the hook of its first life waited.
#[test]
fn a_hook_whose_container_has_ended_judges_nobody() {
    let folder = Folder::new("ended");
    let store = Store::lock(&folder.path("state")).unwrap();
    let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let ended = Process::open(child.id()).unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let version = liveness().hierarchy.version;
    let own = Some(CgroupName { version, path: "/".to_owned() });
    let mut anew = record("a", &me(), Sharing::Exclusive {});
    (anew.cgroup, anew.start_time) = (own.clone(), anew.start_time + 1);
    lease::take(&store, &[anew]).unwrap();
    let holder = Holder { engine: "podman", container: "a", process: &ended, is_pending: false };
    let liveness = Liveness { own, ..liveness() };
    let found = lease::survey(&store, &of_device(), holder, &liveness, |_| panic!("a life was taken"));
    assert!(found.unwrap_err().to_string().contains("has ended"));
}

#[test]
fn a_reused_pid_is_dead_and_a_populated_cgroup_is_not() {
    let folder = Folder::new("live");
    let store = Store::lock(&folder.path("state")).unwrap();
    let mut reused = record("a", &me(), Sharing::Exclusive {});
    reused.start_time += 1;
    assert!(!liveness().is_live(&reused).unwrap());
    let version = liveness().hierarchy.version;
    reused.cgroup = Some(CgroupName { version, path: "/no-such-cgroup".to_owned() });
    assert!(!liveness().is_live(&reused).unwrap());
    reused.cgroup = Some(CgroupName { version, path: "/".to_owned() });
    assert!(liveness().is_live(&reused).unwrap());
    lease::take(&store, &[reused]).unwrap();
    lease::release(&store, "podman", "a", &liveness(), |_| panic!("a living container lost its lease"))
        .unwrap();
    assert_eq!(survey(&store, "b", &me()).0.leases[DEVICE].len(), 1);
}

#[test]
fn what_cannot_be_read_counts_as_held() {
    let folder = Folder::new("unreadable");
    let state = folder.path("state");
    drop(Store::lock(&state).unwrap());
    folder.directory("state/leases/GPU-1");
    folder.write("state/leases/GPU-1/podman-x", "{");
    folder.write("state/leases/GPU-1/podman-y", r#"{"leaseVersion":2}"#);
    folder.write("state/leases/GPU-1/.new", "half a lease of a crash");
    let name = std::os::unix::ffi::OsStrExt::from_bytes(b"podman-\xff");
    let foreign = std::path::Path::new(&folder.path("state/leases/GPU-1")).join::<&std::ffi::OsStr>(name);
    std::fs::write(foreign, "").unwrap();
    let (found, dead) = survey(&Store::lock(&state).unwrap(), "b", &me());
    let nobodys = Lease { tenant: None, grant: None, sharing: Sharing::Exclusive {} };
    assert_eq!(found.leases[DEVICE], [nobodys.clone(), nobodys.clone(), nobodys]);
    assert_eq!(found.unreadable, ["GPU-1/podman-x", "GPU-1/podman-y", "GPU-1/podman-\u{fffd}"]);
    assert!(dead.is_empty());
}

#[test]
fn a_state_directory_in_other_hands_is_refused() {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    let folder = Folder::new("hands");
    let state = folder.directory("state");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(Store::lock(&state).unwrap_err().to_string().contains("can be written by others"));
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o755)).unwrap();
    chown(&state, Some(1000), None).unwrap();
    assert!(Store::lock(&state).unwrap_err().to_string().contains("belongs to uid 1000"));
    chown(&state, Some(0), None).unwrap();
    symlink(folder.directory("elsewhere"), folder.path("state/leases")).unwrap();
    assert!(Store::lock(&state).is_err());
    assert_eq!(std::fs::read_dir(folder.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn leases_are_private_and_a_missing_directory_is_not_made_to_release() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("private");
    let state = folder.path("state");
    assert!(Store::lock_existing(&state).unwrap().is_none());
    assert!(!std::fs::exists(&state).unwrap());
    let store = Store::lock(&state).unwrap();
    lease::take(&store, &[record("a", &me(), Sharing::Exclusive {})]).unwrap();
    let mode = |below: &str| std::fs::metadata(folder.path(below)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("state/leases/GPU-1/podman-a"), 0o600);
    assert_eq!(mode("state/leases/GPU-1") & 0o077, 0);
    drop(store);
    assert!(Store::lock_existing(&state).unwrap().is_some());
}

#[test]
fn a_survey_of_the_whole_host_names_the_tenant_of_every_lease() {
    let folder = Folder::new("whole-host");
    let store = Store::lock(&folder.path("state")).unwrap();
    let elsewhere = |container: &str, device: &str, tenant: &str| {
        let mut record = record(container, &me(), Sharing::Exclusive {});
        record.device = device.to_owned();
        record.tenant = tenant.to_owned();
        record
    };
    let [far, legacy] = ["GPU-9", "MIG-GPU-1/2/0"];
    let own = elsewhere("mine", DEVICE, "a");
    lease::take(&store, &[elsewhere("c1", far, "a"), elsewhere("c2", legacy, "b"), own]).unwrap();
    folder.write("state/leases/notes", "nobody's lease");
    let tenants = |devices: &[&str], whole_host| {
        let scope = Scope { devices: devices.iter().copied().collect(), whole_host };
        let survey = survey_of(&store, &scope, "mine", &me()).0;
        let mut tenants: Vec<_> =
            survey.leases.into_values().flatten().filter_map(|lease| lease.tenant).collect();
        tenants.sort();
        (tenants.concat(), survey.own.len())
    };
    assert_eq!(tenants(&[DEVICE], false), (String::new(), 1));
    assert_eq!(tenants(&[DEVICE], true), ("ab".to_owned(), 1));
    assert_eq!(tenants(&[DEVICE, legacy], true), ("ab".to_owned(), 1), "each lease is found once");
    assert_eq!(tenants(&[DEVICE, legacy], false), ("b".to_owned(), 1));
}
