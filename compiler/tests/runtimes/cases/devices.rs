//! Exactly the granted nodes, whoever asks in whatever way.

use std::collections::BTreeSet;

use serde_json::Value;

use super::expect::{assert_sees, computing, runs};
use crate::bundle::look;
use crate::container::{Container, Entry};
use crate::host::{GPUS, MAJOR, MIG_MINORS};
use crate::oracle::Seen;
use crate::site::Site;

/// One GPU: its node, the shared nodes, nothing else, under their own names.
pub(crate) fn exactly_the_granted_nodes(site: &Site) {
    let seen = runs(site, &Container::training("1"));
    assert_sees(&seen, &computing(site, &[GPUS[0].minor]));
    let paths: Vec<&str> = seen.nodes.keys().map(String::as_str).collect();
    assert_eq!(paths, ["/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia4", "/dev/nvidiactl"]);
    let audit = site.installed.audit();
    let told = audit.iter().filter(|record| record.to_string().contains(GPUS[0].uuid)).count();
    assert!(told > 0, "no audit record names the device: {audit:?}");
}

/// Two, named by UUID and index.
pub(crate) fn two_devices(site: &Site) {
    let container = Container::training(&format!("1,{}", GPUS[0].uuid));
    assert_sees(&runs(site, &container), &computing(site, &[GPUS[0].minor, GPUS[1].minor]));
    let container = Container::training("").env("NVIDIA_VISIBLE_DEVICES=1");
    assert_sees(&runs(site, &container), &computing(site, &[GPUS[1].minor]));
}

/// A MIG device: its parent's node and its own two capability nodes.
pub(crate) fn mig_device(site: &Site) {
    let container = Container::in_namespace("research-a").annotation("stage", "mig").gpus("1");
    let seen = runs(site, &container);
    let mut numbers = computing(site, &[GPUS[4].minor]);
    numbers.extend(MIG_MINORS.map(|minor| (site.host.caps, minor)));
    assert_sees(&seen, &numbers);
    let [gi, ci] = MIG_MINORS.map(|minor| format!("/dev/nvidia-caps/nvidia-cap{minor}"));
    assert!(seen.nodes.contains_key(&gi) && seen.nodes.contains_key(&ci), "{seen:?}");
}

/// What dockerd writes for `docker run --gpus 2`.
pub(crate) fn docker_gpus(site: &Site) {
    assert_sees(&runs(site, &by_docker()), &computing(site, &[GPUS[0].minor, GPUS[1].minor]));
}

/// `podman run --annotation gpupol.io/gpus=1`; its grant has no `compute`, so there is no unified memory.
pub(crate) fn podman_annotation(site: &Site) {
    let seen = runs(site, &Container::through(Entry::Podman).gpus("1"));
    assert_sees(&seen, &BTreeSet::from([(MAJOR, GPUS[2].minor), (MAJOR, 255)]));
    assert!(seen.files.keys().all(|path| !path.contains("libcuda")), "{seen:?}");
}

/// `gpupol plan --config` prints for the very `config.json` what the container then gets.
pub(crate) fn same_as_plan(site: &Site) {
    let mig = Container::in_namespace("research-a").annotation("stage", "mig").gpus("1");
    for container in [Container::training("2"), by_docker(), mig, Container::of_student("1")] {
        let bundle = site.bundle();
        site.write(&bundle, &container, &look());
        let plan = site.installed.plan(&bundle.config(), container.entry, &[]);
        let seen = super::expect::ran(site.run_in(&bundle, &container));
        assert_eq!(planned_nodes(&plan), nodes(&seen), "plan: {plan:#}\nseen: {seen:?}");
    }
    let bundle = site.bundle();
    site.write(&bundle, &Container::in_namespace("default").gpus("1"), &look());
    let plan = site.installed.plan(&bundle.config(), Entry::Kubernetes, &[]);
    assert_eq!((&plan["outcome"], &plan["reason"]), (&"denied".into(), &"no-tenant".into()), "{plan:#}");
}

/// The second call for one container finds what the first one did.
pub(crate) fn hook_called_twice(site: &Site) {
    let mut container = Container::training("1");
    container.called_twice = true;
    let held = super::expect::holds(site, &container);
    assert_sees(&held.seen, &computing(site, &[GPUS[0].minor]));
    assert_eq!(site.installed.leases().len(), 1, "{:?}", site.installed.leases());
    site.delete(held);
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

pub(super) fn by_docker() -> Container {
    let mut container =
        Container::through(Entry::Docker).env("GPUPOL_LABEL_stage=train").env("NVIDIA_VISIBLE_DEVICES=0,1");
    container.docker_gpus = true;
    container
}

/// Path and numbers of the nodes that a plan lists among its edits.
pub(super) fn planned_nodes(plan: &Value) -> BTreeSet<(String, u64, u64)> {
    let edits = plan["edits"].as_array().unwrap_or_else(|| panic!("a plan without edits: {plan:#}"));
    let nodes = edits.iter().filter(|edit| edit["kind"] == "device-node");
    let number = |edit: &Value, key: &str| edit[key].as_u64().expect("a number");
    let path = |edit: &Value| edit["containerPath"].as_str().expect("a path").to_owned();
    nodes.map(|edit| (path(edit), number(edit, "major"), number(edit, "minor"))).collect()
}

pub(super) fn nodes(seen: &Seen) -> BTreeSet<(String, u64, u64)> {
    let node = |(path, node): (&String, &crate::oracle::Node)| {
        (path.clone(), u64::from(node.number.0), u64::from(node.number.1))
    };
    seen.nodes.iter().map(node).collect()
}
