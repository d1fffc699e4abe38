//! Two containers of two tenants at a time: each has its own nodes and no others, whatever its engine does with it.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;

use super::expect::{assert_sees, computing, holds};
use crate::container::{Container, Entry};
use crate::host::{GPUS, MAJOR};
use crate::oracle::Seen;
use crate::podman::Podman;
use crate::runtime::Kind;
use crate::site::{Held, Site, text};

/// A GPU of its own for one, a share of another GPU for the other, in the hook form.
pub(crate) fn by_the_hook(site: &Site) {
    keep_their_own(site);
}

/// The same in the spec form.
pub(crate) fn by_the_wrapper(site: &Site) {
    site.use_wrapper();
    keep_their_own(site);
}

/// The same under Podman, which calls the link of another entry for each tenant.
pub(crate) fn by_podman(site: &Site) {
    site.use_wrapper();
    let podman = Podman::new(site);
    site.installed.use_spec_form(&site.runtime_of(&site.dir));
    let links = [Entry::Docker, Entry::Podman].map(|entry| site.link(entry));
    let own = [computing(site, &[GPUS[0].minor]), BTreeSet::from([(MAJOR, GPUS[2].minor), (MAJOR, 255)])];
    let names = ["research", "desks"];
    let asking: [&[&str]; 2] = [
        &["--env=GPUPOL_LABEL_stage=train", "--env=NVIDIA_VISIBLE_DEVICES=0"],
        &["--annotation=gpupol.io/gpus=1"],
    ];
    for ((name, link), asking) in names.iter().zip(&links).zip(asking) {
        podman.hold(link, name, asking);
    }
    let look = |when: &str| {
        for ((name, link), own) in names.iter().zip(&links).zip(&own) {
            let seen = podman.looks(link, name);
            assert_eq!(&seen.allowed(), own, "{name} {when}");
            assert_sees(&seen, own);
        }
    };
    look("at the start");
    let each =
        |words: &[&str]| names.iter().zip(&links).for_each(|(name, link)| podman.tell(link, words, name));
    each(&["pause"]);
    each(&["unpause"]);
    look("after pause and unpause");
    if can_limit(site) {
        each(&["update", "--cpu-shares=512"]);
        look("after update");
    }
    each(&["rm", "--force", "--time=0"]);
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

fn keep_their_own(site: &Site) {
    let held = two(site);
    commands(site, &held);
    forbid_devices(site, &held);
    held.into_iter().for_each(|held| site.delete(held));
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

fn two(site: &Site) -> [Held; 2] {
    let held =
        [Container::training("1"), Container::of_student("1")].map(|container| holds(site, &container));
    assert_sees(&held[0].seen, &computing(site, &[GPUS[0].minor]));
    own(site, &held, "beside the other");
    held
}

fn own(site: &Site, [first, second]: &[Held; 2], when: &str) {
    let look = |held: &Held, minor: u32| -> Seen {
        let seen = site.looks(held);
        assert_eq!(seen.allowed(), computing(site, &[minor]), "{when}: {}", held.id);
        seen
    };
    assert_sees(&look(first, GPUS[0].minor), &computing(site, &[GPUS[0].minor]));
    assert_sees(&look(second, GPUS[2].minor), &computing(site, &[GPUS[2].minor]));
}

/// All that an engine does with a container that runs.
fn commands(site: &Site, held: &[Held; 2]) {
    for one in held {
        site.tell(one, &["pause"], &[]);
    }
    for one in held {
        site.tell(one, &["resume"], &[]);
    }
    own(site, held, "after pause and resume");
    each_update(site, held, |when| own(site, held, when));
}

/// What an engine changes of a container that runs; after each change `look` is told which.
pub(super) fn each_update(site: &Site, held: &[Held], look: impl Fn(&str)) {
    let limits = [["--memory", "268435456"], ["--cpu-share", "512"], ["--pids-limit", "500"]];
    for limit in limits.iter().filter(|_| can_limit(site)) {
        for one in held {
            site.tell(one, &[["update"].as_slice(), limit].concat(), &[]);
        }
        look(&format!("after update {limit:?}"));
    }
    for one in held {
        site.update(one);
    }
    look("after an update that changes nothing");
}

/// Whether the view has the controllers of ordinary limits: they are in one of a host's hierarchies alone.
fn can_limit(site: &Site) -> bool {
    let controllers = fs::read_to_string(site.view.path("/sys/fs/cgroup/cgroup.controllers"));
    controllers.map_or(site.cgroup().is_v1(), |list| {
        ["memory", "cpu", "pids"].iter().all(|name| list.contains(name))
    })
}

/// An update that names devices itself is the one thing that takes them away, under crun: it says what there is from then
/// on, and ours is not in it. runc leaves devices out of an update.
fn forbid_devices(site: &Site, held: &[Held; 2]) {
    let resources = site.dir.join("devices.json");
    let rules = json!([
        {"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}
    ]);
    fs::write(&resources, json!({ "devices": rules }).to_string()).expect("the directory is ours");
    for (one, gpu) in held.iter().zip([&GPUS[0], &GPUS[2]]) {
        site.tell(one, &["update", "--resources", text(&resources)], &[]);
        let kept = match site.kind() {
            Kind::Runc => computing(site, &[gpu.minor]),
            Kind::Crun => BTreeSet::new(),
        };
        assert_eq!(site.looks(one).allowed(), kept);
    }
}
