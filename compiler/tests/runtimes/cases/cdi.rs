//! Devices of CDI, named to a real Podman: what it gives by the exported specification is what the hook gives by itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::expect::{does_not_start, is_refused, ran, runs};
use crate::container::{Container, Entry};
use crate::host::{GPUS, MAJOR};
use crate::oracle::{Answer, File, Seen};
use crate::podman::Podman;
use crate::site::{Site, text};

const DEVICE: &str = "--device=gpupol.io/gpu=desks.desk";

/// A device that is named, and any one, with the nodes and files of all driver capabilities.
pub(crate) fn same_as_the_hook(site: &Site) {
    site.installed.change_policies(
        "    capabilities utility\n",
        "    capabilities compute utility video graphics compat32\n",
    );
    let podman = Podman::new(site);
    let by_hook =
        runs(site, &Container::through(Entry::Podman).gpus("1").env("NVIDIA_DRIVER_CAPABILITIES=all"));
    for which in ["2", "any"] {
        let seen = ran(podman.run(&[&format!("{DEVICE}.{which}")]));
        assert_eq!(nodes(&seen), nodes(&by_hook), "{seen:?}");
        assert_eq!(seen.rules, by_hook.rules, "{seen:?}");
        assert_eq!(files(&seen), files(&by_hook), "{which}");
        let others: Vec<&Answer> = GPUS
            .iter()
            .filter(|gpu| gpu.minor != GPUS[2].minor)
            .map(|gpu| &seen.rules[&(MAJOR, gpu.minor)])
            .collect();
        assert!(others.iter().all(|answer| **answer == Answer::Denied), "{seen:?}");
    }
    let events: Vec<Value> = site.installed.audit().iter().map(|record| record["event"].clone()).collect();
    assert_eq!(events, ["start", "stop", "start", "stop", "start", "stop"]);
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// Several devices of one grant are one request, whichever call of the hook comes first.
pub(crate) fn several_are_one_request(site: &Site) {
    site.installed.change_policies(
        "gpus small at-most=1\n    sharing time-slicing replicas=2\n    capabilities utility\n",
        "gpus small at-most=2\n    sharing exclusive\n    capabilities utility\n",
    );
    let podman = Podman::new(site);
    let seen = ran(podman.run(&[&format!("{DEVICE}.2"), &format!("{DEVICE}.3")]));
    let given: BTreeSet<(u32, u32)> = seen.nodes.values().map(|node| node.number).collect();
    assert_eq!(given, BTreeSet::from([(MAJOR, GPUS[2].minor), (MAJOR, GPUS[3].minor), (MAJOR, 255)]));
    site.installed.change_policies(
        "gpus small at-most=2\n    sharing exclusive",
        "gpus small at-most=1\n    sharing exclusive",
    );
    let podman = Podman::new(site);
    is_refused(podman.run(&[&format!("{DEVICE}.2"), &format!("{DEVICE}.3")]), "too-many");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// Naming is asking: who may not have a device does not get it by its name.
pub(crate) fn naming_is_asking(site: &Site) {
    // That the container would run without a GPU does not hold for one whose configuration has the nodes.
    site.installed.change_policies("on-denied refuse", "on-denied run-without-gpu");
    let podman = Podman::new(site);
    let line = is_refused(podman.run(&["--device=gpupol.io/gpu=research.training.0"]), "device-not-granted");
    assert!(line.contains("tenant `desks` names a CDI device of tenant `research`"), "{line}");
    is_refused(podman.run(&[&format!("{DEVICE}.2"), &format!("{DEVICE}.any")]), "bad-request");
    let unknown = podman.run(&["--device=gpupol.io/gpu=desks.desk.0"]);
    assert!(!unknown.started && unknown.said.contains("unresolvable"), "{unknown:?}");
    let requires = podman.run(&[&format!("{DEVICE}.2"), "--env=NVIDIA_REQUIRE_CUDA=cuda>=99.1"]);
    is_refused(requires, "requirement");
}

/// A specification that is older than the plans is no way to a device that they no longer give.
pub(crate) fn older_than_the_plans(site: &Site) {
    let podman = Podman::new(site);
    site.installed.change_policies(
        "grant desk {\n    to desks\n    gpus small at-most=1",
        "grant desk {\n    to desks\n    gpus big at-most=1",
    );
    is_refused(podman.run(&[&format!("{DEVICE}.2")]), "device-not-granted");
    let checked = site.installed.exported(&[
        "cdi",
        "--entry",
        "podman",
        "--hook",
        "/x/gpupol-hook",
        "--check",
        text(&podman.specification()),
    ]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("device `desks.desk.2` is given no more\n"), "{said}");
}

/// A node beside those of the device goes around the plan, as it does without CDI.
pub(crate) fn a_node_beside(site: &Site) {
    let node = site.host.file(&format!("dev/nvidia{}", GPUS[3].minor));
    let podman = Podman::new(site);
    let beside = format!("--device={}:/dev/nvidia{}", text(&node), GPUS[3].minor);
    let seen = ran(podman.run(&[&format!("{DEVICE}.2"), &beside]));
    let allowed: BTreeSet<(u32, u32)> = seen.allowed();
    assert_eq!(allowed, BTreeSet::from([(MAJOR, GPUS[2].minor), (MAJOR, 255)]), "{seen:?}");
    site.installed.change_policies("on-denied refuse", "on-denied refuse\n    on-bypass refuse");
    let line = does_not_start(podman.run(&[&format!("{DEVICE}.2"), &beside]));
    assert!(line.contains("(gpu-node)"), "{line}");
    ran(podman.run(&[&format!("{DEVICE}.2")]));
}

/// The mark of a pod's sandbox, which anybody may write into the annotations, is no way to a device.
pub(crate) fn a_made_up_sandbox(site: &Site) {
    site.installed.change_policies("on-denied refuse", "on-denied run-without-gpu");
    let podman = Podman::through(site, Entry::Kubernetes);
    let sandbox = "--annotation=io.kubernetes.cri.container-type=sandbox";
    let line = is_refused(podman.run(&[sandbox, &format!("{DEVICE}.2")]), "bad-request");
    assert!(line.contains("a pod's sandbox names CDI devices"), "{line}");
    assert_eq!(site.installed.audit().last().map(|record| record["event"].clone()), Some("refusal".into()));
}

pub(super) fn nodes(seen: &Seen) -> BTreeMap<&str, ((u32, u32), u32)> {
    seen.nodes.iter().map(|(path, node)| (path.as_str(), (node.number, node.mode))).collect()
}

/// Each file with its first line, what writing to it gives, and the options that a plan can say.
pub(super) fn files(seen: &Seen) -> BTreeMap<&str, (&str, &str, Vec<&str>)> {
    let file = |file| {
        let File { line, write, mount }: &File = file;
        let said = ["ro", "nosuid", "nodev", "noexec"].into_iter().filter(|option| mount.contains(*option));
        (line.as_str(), write.as_str(), said.collect())
    };
    seen.files.iter().map(|(path, seen)| (path.as_str(), file(seen))).collect()
}
