//! Who holds which device, and for how long.

use std::collections::BTreeMap;
use std::thread;

use serde_json::Value;

use super::expect::{assert_sees, computing, holds, is_refused, refused, runs};
use crate::container::Container;
use crate::host::GPUS;
use crate::site::{Held, Outcome, Site};

/// An exclusive GPU is one container's, until that ends.
pub(crate) fn exclusive(site: &Site) {
    let first = holds(site, &Container::training("1"));
    assert_sees(&first.seen, &computing(site, &[GPUS[0].minor]));
    let second = holds(site, &Container::training("1"));
    assert_sees(&second.seen, &computing(site, &[GPUS[1].minor]));
    refused(site, &Container::training("1"), "no-free-device");
    refused(site, &Container::training(GPUS[0].uuid), "no-free-device");
    assert_eq!(site.installed.leases().len(), 2);
    site.delete(first);
    assert_sees(&runs(site, &Container::training("1")), &computing(site, &[GPUS[0].minor]));
    site.delete(second);
}

/// A container that was killed, and for which nobody called poststop, holds nothing.
pub(crate) fn killed_without_poststop(site: &Site) {
    let first = holds(site, &Container::training("2"));
    refused(site, &Container::training("1"), "no-free-device");
    site.kill(&first);
    assert_eq!(site.installed.leases().len(), 2, "nobody was told, so the leases are still written down");
    let seen = runs(site, &Container::training("2"));
    assert_sees(&seen, &computing(site, &[GPUS[0].minor, GPUS[1].minor]));
    let audit = site.installed.audit();
    let reclaimed = audit.iter().filter(|record| record.to_string().contains("reclaimed")).count();
    assert!(reclaimed > 0, "no audit record says that the leases were reclaimed: {audit:?}");
}

/// `docker restart`: the same id in the same cgroup, and Docker has no poststop hook. What the container held before
/// does not stand in its own way.
pub(crate) fn started_again(site: &Site) {
    let bundle = site.bundle();
    let container = Container::training("2").edited(|config| config["hooks"]["poststop"] = Value::Null);
    let mut held = site.hold_in(&bundle, &container).unwrap();
    for _ in 0..2 {
        site.kill(&held);
        held = site.start_again(&bundle, held).unwrap();
        assert_sees(&held.seen, &computing(site, &[GPUS[0].minor, GPUS[1].minor]));
        refused(site, &Container::training("1"), "no-free-device");
        assert_eq!(site.installed.leases().len(), 2);
    }
}

/// Two devices of two replicas each fit four containers, and not five.
pub(crate) fn time_slicing(site: &Site) {
    let held: Vec<Held> = (0..4).map(|_| holds(site, &Container::of_student("1"))).collect();
    let mut containers: BTreeMap<u32, u32> = BTreeMap::new();
    for container in &held {
        let minors: Vec<u32> =
            GPUS.iter().map(|gpu| gpu.minor).filter(|minor| has(container, *minor)).collect();
        assert_eq!(minors.len(), 1, "not one GPU: {:?}", container.seen);
        minors.iter().for_each(|minor| *containers.entry(*minor).or_default() += 1);
    }
    assert_eq!(containers, BTreeMap::from([(GPUS[2].minor, 2), (GPUS[3].minor, 2)]));
    refused(site, &Container::of_student("1"), "no-free-device");
    held.into_iter().for_each(|container| site.delete(container));
    runs(site, &Container::of_student("1"));
}

/// poststop gives the lease back, and only that container's.
pub(crate) fn poststop_releases(site: &Site) {
    let [first, second] = [0, 1].map(|_| holds(site, &Container::of_student("1")));
    assert_eq!(site.installed.leases().len(), 2);
    site.delete(first);
    assert_eq!(site.installed.leases().len(), 1, "{:?}", site.installed.leases());
    site.delete(second);
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// Leases name devices, so they outlive the plan set by which they were taken.
pub(crate) fn replaced_plan_set(site: &Site) {
    let first = holds(site, &Container::training("2"));
    site.installed.change_policies("gpus big at-most=2 default=1 place=nvlink", "gpus big at-most=1");
    refused(site, &Container::training("1"), "no-free-device");
    site.delete(first);
    assert_sees(&runs(site, &Container::training("1")), &computing(site, &[GPUS[0].minor]));
}

/// Of several containers that start at one moment for the same devices, one gets them.
pub(crate) fn simultaneous(site: &Site) {
    let bundles = [0; 4].map(|_| site.bundle());
    let outcomes: Vec<Result<Held, Box<Outcome>>> = thread::scope(|scope| {
        let start = |bundle| scope.spawn(move || site.hold_in(bundle, &Container::training("2")));
        let starts: Vec<_> = bundles.iter().map(start).collect();
        starts.into_iter().map(|start| start.join().expect("no start panics")).collect()
    });
    let (held, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(held.len(), 1, "not one container has both GPUs");
    for outcome in refused.into_iter().filter_map(Result::err) {
        is_refused(*outcome, "no-free-device");
    }
    assert_eq!(site.installed.leases().len(), 2, "{:?}", site.installed.leases());
}

fn has(container: &Held, minor: u32) -> bool {
    container.seen.nodes.contains_key(&format!("/dev/nvidia{minor}"))
}
