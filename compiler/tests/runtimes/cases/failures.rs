//! Starts that fail: nothing stays behind, and containers without GPUs are not disturbed.

use std::fs;

use serde_json::json;

use super::expect::{assert_sees, computing, does_not_start, is_refused, refused, runs, runs_without_gpu};
use crate::bundle::{at, look};
use crate::container::{Container, Entry};
use crate::host::{DRIVER, GPUS, set_driver, set_minor};
use crate::site::{Site, text};

/// A failure in the middle is undone, in the rootfs and among the leases, and is told with file and errno.
pub(crate) fn undone(site: &Site) {
    let bundle = site.bundle();
    fs::create_dir_all(bundle.rootfs().join("usr/bin/nvidia-smi/not-a-file")).unwrap();
    let before = bundle.listing();
    let line = does_not_start(site.run_in(&bundle, &Container::training("1")));
    assert!(line.contains("nvidia-smi"), "the line does not name the edit: {line}");
    assert_eq!(bundle.listing(), before, "something stayed in the rootfs");
    assert_eq!(site.installed.leases(), Vec::<String>::new());

    let library = site.host.file(&format!("libnvidia-ml.so.{DRIVER}"));
    fs::remove_file(&library).unwrap();
    let line = refused_by_edit(site);
    assert!(line.contains(text(&library)) && line.contains("No such file"), "{line}");
    fs::write(&library, "made again\n").unwrap();
    assert_sees(&runs(site, &Container::training("1")), &computing(site, &[GPUS[0].minor]));
}

/// Plans of another boot are not applied.
pub(crate) fn stale_boot(site: &Site) {
    site.installed.change_topology(|topology| at(topology, "/bootId", json!("not-this-boot")));
    refused(site, &Container::training("1"), "plan-set");
    runs_without_gpu(site, &Container::in_namespace("research-vision"));
}

/// Plans for another driver are not applied.
pub(crate) fn stale_driver(site: &Site) {
    set_driver(&site.view, "560.35.03");
    let line = refused(site, &Container::training("1"), "plan-set");
    assert!(line.contains(DRIVER) && line.contains("560.35.03"), "{line}");
    set_driver(&site.view, DRIVER);
    runs(site, &Container::training("1"));
}

/// A GPU whose minor changed would be somebody else's.
pub(crate) fn other_minor(site: &Site) {
    set_minor(&site.view, &GPUS[0], 9);
    refused(site, &Container::training(GPUS[0].uuid), "plan-set");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
    runs_without_gpu(site, &Container::in_namespace("research-vision"));
}

/// A state without a pid: no GPU for who asks, no trouble for who does not.
pub(crate) fn state_without_pid(site: &Site) {
    for (container, succeeds) in
        [(Container::training("1"), false), (Container::in_namespace("default"), true)]
    {
        let bundle = site.bundle();
        let id = site.write(&bundle, &container, &look());
        let state = json!({ "ociVersion": "1.0.2", "id": id, "status": "creating", "bundle": bundle.dir });
        let output = site.call_hook("createRuntime", Entry::Kubernetes, &state);
        let line = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), succeeds, "{line}");
        assert_eq!(line.lines().count(), usize::from(!succeeds), "{line}");
    }
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// A `config.json` of 20 MB: no GPU for who asks, no trouble for who does not.
pub(crate) fn big_config(site: &Site) {
    let big = |config: &mut serde_json::Value| at(config, "/x-filler", json!("x".repeat(20 << 20)));
    runs_without_gpu(site, &Container::in_namespace("default").edited(big));
    let outcome = site.run(&Container::training("1").edited(big));
    let line = is_refused(outcome, "bad-request");
    assert!(line.contains("config.json"), "{line}");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

fn refused_by_edit(site: &Site) -> String {
    let bundle = site.bundle();
    let before = bundle.listing();
    let line = does_not_start(site.run_in(&bundle, &Container::training("1")));
    assert_eq!(bundle.listing(), before, "something stayed in the rootfs");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
    line
}
