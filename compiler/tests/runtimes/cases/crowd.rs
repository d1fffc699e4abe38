//! Fifty containers at once.

use std::thread;

use super::expect::refused;
use crate::container::Container;
use crate::site::{Held, Site};

/// Two devices of twenty-five replicas each, and as many runtimes at a time as a busy host may have.
const CONTAINERS: usize = 50;
const AT_ONCE: usize = 10;

/// They share two devices, the fifty-first is refused, and what half of them held when they were killed is had again.
pub(crate) fn fifty(site: &Site) {
    let shared = "sharing time-slicing replicas=2\n    capabilities compute utility\n}\ngrant visits";
    site.installed.change_policies(shared, &shared.replace("replicas=2", "replicas=25"));
    let mut held = start(site, CONTAINERS);
    assert_eq!(site.installed.leases().len(), CONTAINERS);
    refused(site, &Container::of_student("1"), "no-free-device");
    let killed = held.split_off(CONTAINERS / 2);
    killed.iter().for_each(|container| site.kill(container));
    held.extend(start(site, CONTAINERS / 2));
    assert_eq!(site.installed.leases().len(), CONTAINERS);
    held.into_iter().for_each(|container| site.delete(container));
    assert_eq!(site.installed.leases(), Vec::<String>::new());
    let audit = site.installed.audit();
    let count = |event: &str| audit.iter().filter(|record| record["event"] == event).count();
    assert_eq!((count("start"), count("stop")), (CONTAINERS * 3 / 2, CONTAINERS * 3 / 2));
}

fn start(site: &Site, count: usize) -> Vec<Held> {
    let mut held = Vec::new();
    while held.len() < count {
        let bundles: Vec<_> = (held.len()..count).take(AT_ONCE).map(|_| site.bundle()).collect();
        held.extend(thread::scope(|scope| {
            let start =
                |bundle| scope.spawn(move || site.hold_in(bundle, &Container::of_student("1")).unwrap());
            let starts: Vec<_> = bundles.iter().map(start).collect();
            starts.into_iter().map(|start| start.join().expect("no start panics")).collect::<Vec<_>>()
        }));
    }
    held
}
