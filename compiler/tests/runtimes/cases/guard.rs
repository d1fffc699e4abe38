//! Containers whose own configuration goes around their plan.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::expect::{computing, holds, refused, runs};
use super::side_by_side::each_update;
use crate::container::Container;
use crate::host::{GPUS, MAJOR};
use crate::oracle::Seen;
use crate::site::Site;

/// Nobody's container that may open everything keeps that but for GPUs.
pub(crate) fn everything_is_contained(site: &Site) {
    let container = Container::in_namespace("kube-system").edited(allow_everything);
    assert_eq!(gpus(&runs(site, &container)), BTreeSet::new());
    let audit = site.installed.audit();
    let told = audit.iter().find(|record| record["event"] == "guard").expect("a record of the guard");
    assert_eq!((&told["answer"], &told["rows"]), (&"contain".into(), &json!(["all-devices"])), "{told}");
}

/// A tenant that asks for one and brings another gets the one.
pub(crate) fn only_what_is_granted_opens(site: &Site) {
    for edit in [allow_another as fn(&mut Value), allow_everything] {
        let seen = runs(site, &Container::of_student("1").edited(edit));
        let granted: BTreeSet<(u32, u32)> =
            computing(site, &[GPUS[2].minor]).into_iter().filter(|number| number.0 == MAJOR).collect();
        assert_eq!(gpus(&seen), granted, "{seen:?}");
    }
    let mut twice = Container::of_student("1").edited(allow_another);
    twice.called_twice = true;
    assert_eq!(gpus(&runs(site, &twice)), BTreeSet::from([(MAJOR, GPUS[2].minor), (MAJOR, 255)]));
}

/// Engines change limits of containers that run, the kubelet by itself: that lifts nothing.
pub(crate) fn an_update_lifts_nothing(site: &Site) {
    let held = [Container::of_student("1"), Container::in_namespace("kube-system")]
        .map(|container| holds(site, &container.edited(allow_everything)));
    let own = BTreeSet::from([(MAJOR, GPUS[2].minor), (MAJOR, 255)]);
    let look = |when: &str| {
        let seen = held.each_ref().map(|one| gpus(&site.looks(one)));
        assert_eq!(seen, [own.clone(), BTreeSet::new()], "{when}");
    };
    look("at the start");
    each_update(site, &held, look);
    held.into_iter().for_each(|one| site.delete(one));
}

/// What could lift containment is refused for a tenant, and nobody's container is contained all the same.
pub(crate) fn what_could_undo_it(site: &Site) {
    refused(site, &Container::of_student("1").edited(administrate), "guard");
    refused(site, &Container::in_namespace("course-7").edited(administrate), "guard");
    let seen = runs(site, &Container::in_namespace("kube-system").edited(administrate));
    assert_eq!(gpus(&seen), BTreeSet::new());
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// `on-bypass refuse`: neither asking nor being of a tenant is needed.
pub(crate) fn refuse(site: &Site) {
    site.installed.change_policies("on-denied refuse", "on-denied run-without-gpu\n    on-bypass refuse");
    for edit in [allow_everything as fn(&mut Value), allow_another, bind_dev] {
        refused(site, &Container::in_namespace("kube-system").edited(edit), "guard");
        refused(site, &Container::of_student("1").edited(edit), "guard");
    }
    super::expect::runs_without_gpu(site, &Container::in_namespace("default"));
}

/// `on-bypass report`: it is only written down.
pub(crate) fn report(site: &Site) {
    site.installed.change_policies("on-denied refuse", "on-denied refuse\n    on-bypass report");
    let seen = runs(site, &Container::in_namespace("kube-system").edited(allow_everything));
    assert!(gpus(&seen).len() >= GPUS.len(), "{seen:?}");
    runs(site, &Container::in_namespace("kube-system").edited(bind_dev));
    let audit = site.installed.audit();
    let reported = audit.iter().filter(|record| record["answer"] == "report").count();
    assert_eq!(reported, 2, "{audit:?}");
}

/// A bind of the host's `/dev` shows nodes, and opens none.
pub(crate) fn a_bind_of_dev(site: &Site) {
    let seen = runs(site, &Container::in_namespace("kube-system").edited(bind_dev));
    assert_eq!(gpus(&seen), BTreeSet::new());
}

/// A plan set that nobody can read contains too, and disturbs nobody else.
pub(crate) fn without_a_plan_set(site: &Site) {
    fs::remove_file(site.installed.plans().join("current")).unwrap();
    let seen = runs(site, &Container::in_namespace("kube-system").edited(allow_everything));
    assert_eq!(gpus(&seen), BTreeSet::new());
    super::expect::runs_without_gpu(site, &Container::in_namespace("default"));
}

/// A trusted one passes, and a grant gives it all, while others hold the devices and without a lease.
pub(crate) fn trusted(site: &Site) {
    let rules = "trust watch reason=\"reads every GPU\" { identity kubernetes namespace=watch }\n\
                 grant watching { to watch; gpus any; capabilities utility }\n\ntenant guests {";
    site.installed.change_policies("tenant guests {", rules);
    let seen = runs(site, &Container::in_namespace("watch").edited(allow_everything));
    assert!(gpus(&seen).len() >= GPUS.len(), "{seen:?}");
    let held = holds(site, &Container::training("2"));
    let leases = site.installed.leases();
    let seen = runs(site, &Container::in_namespace("watch").gpus("1"));
    let all = GPUS[..4].iter().map(|gpu| (MAJOR, gpu.minor)).chain([(MAJOR, 255)]).collect();
    assert_eq!(gpus(&seen), all);
    assert_eq!(site.installed.leases(), leases);
    site.delete(held);
}

/// Numbers under NVIDIA's own major number that open.
pub(super) fn gpus(seen: &Seen) -> BTreeSet<(u32, u32)> {
    seen.allowed().into_iter().filter(|number| number.0 == MAJOR).collect()
}

fn list<'c>(config: &'c mut Value, pointer: &str) -> &'c mut Vec<Value> {
    config.pointer_mut(pointer).and_then(Value::as_array_mut).unwrap_or_else(|| panic!("no list {pointer}"))
}

pub(super) fn allow_everything(config: &mut Value) {
    list(config, "/linux/resources/devices").push(json!({ "allow": true, "access": "rwm" }));
}

/// As `--device /dev/nvidia4`.
pub(super) fn allow_another(config: &mut Value) {
    let minor = GPUS[0].minor;
    let rule = json!({ "allow": true, "type": "c", "major": MAJOR, "minor": minor, "access": "rwm" });
    list(config, "/linux/resources/devices").push(rule);
    let node =
        json!({ "type": "c", "path": "/dev/another", "major": MAJOR, "minor": minor, "fileMode": 438 });
    crate::bundle::at(config, "/linux/devices", json!([node]));
}

fn administrate(config: &mut Value) {
    allow_everything(config);
    for set in ["bounding", "permitted", "effective"] {
        list(config, &format!("/process/capabilities/{set}")).push(json!("CAP_SYS_ADMIN"));
    }
}

fn bind_dev(config: &mut Value) {
    let bind = json!({ "type": "bind", "source": "/dev", "destination": "/host", "options": ["bind", "ro"] });
    list(config, "/mounts").push(bind);
}
