//! Features: their nodes and files, for who asks and for nobody else.

use std::collections::BTreeSet;

use super::expect::{assert_sees, computing, refused, runs};
use crate::container::Container;
use crate::host::{CHANNEL, FS_MINORS, GPUS};
use crate::site::Site;

/// NVIDIA's variable gives the nodes and the file, and only to the container that sets it.
pub(crate) fn given_when_asked(site: &Site) {
    let seen = runs(site, &direct());
    assert_sees(&seen, &computing(site, &[GPUS[2].minor]));
    assert!(!seen.files.contains_key("/etc/cufile.json"), "{seen:?}");
    let seen = runs(site, &direct().env("NVIDIA_GDS=enabled"));
    assert_sees(&seen, &with(site, &FS_MINORS));
    let file = seen.files.get("/etc/cufile.json").unwrap_or_else(|| panic!("no settings: {seen:?}"));
    assert!(file.write.contains("Read-only"), "{seen:?}");
    assert!(file.mount.contains("ro") && file.mount.contains("nosuid"), "{seen:?}");
    let audit = site.installed.audit();
    let told = audit.iter().filter(|record| record["features"] == serde_json::json!(["gds"])).count();
    assert_eq!(told, 1, "the audit names the feature once: {audit:?}");
}

/// A channel of IMEX, in a directory below `/dev`.
pub(crate) fn one_channel(site: &Site) {
    let seen = runs(site, &direct().annotation("gpupol.io/features", &format!("imex/{CHANNEL}")));
    assert_sees(&seen, &with(site, &[CHANNEL]));
    assert!(seen.nodes.contains_key(&format!("/dev/nvidia-caps-imex-channels/channel{CHANNEL}")), "{seen:?}");
    let seen = runs(site, &direct().env(&format!("NVIDIA_IMEX_CHANNELS={CHANNEL}")));
    assert_sees(&seen, &with(site, &[CHANNEL]));
}

/// What is granted and not there, and what is there and not granted.
pub(crate) fn refused_features(site: &Site) {
    let line = refused(site, &direct().env("NVIDIA_GDRCOPY=enabled"), "feature-lacking");
    assert!(line.contains("`gdrcopy`"), "{line}");
    refused(site, &direct().env("NVIDIA_IMEX_CHANNELS=6"), "feature-lacking");
    refused(site, &direct().env("NVIDIA_IMEX_CHANNELS=7"), "feature-not-granted");
    refused(site, &direct().env("NVIDIA_NVSWITCH=enabled"), "feature-not-granted");
    refused(site, &Container::training("1").env("NVIDIA_GDS=enabled"), "feature-not-granted");
    assert_eq!(site.installed.leases(), Vec::<String>::new());
}

/// A driver that was loaded anew may have another number, and the planned one may by then be another device's.
pub(crate) fn other_number(site: &Site) {
    site.installed.change_topology(|topology| topology["features"]["gds"][1]["minor"] = 202.into());
    let line = refused(site, &direct().env("NVIDIA_GDS=enabled"), "plan-set");
    assert!(line.contains("nvidia-fs1"), "{line}");
    runs(site, &direct());
}

fn direct() -> Container {
    Container::in_namespace("research-vision").annotation("stage", "direct").gpus("1")
}

/// The numbers of a GPU for computing and of these nodes of features.
fn with(site: &Site, minors: &[u32]) -> BTreeSet<(u32, u32)> {
    let mut numbers = computing(site, &[GPUS[2].minor]);
    numbers.extend(minors.iter().map(|minor| (site.host.caps, *minor)));
    numbers
}
