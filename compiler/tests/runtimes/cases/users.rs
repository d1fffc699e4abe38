//! Containers of engines that run as a user: nodes and files are bound, and nothing is leased, allowed or audited.

use super::expect::{does_not_start, is_refused, ran};
use crate::container::{Container, Entry};
use crate::host::{GPUS, MAJOR};
use crate::oracle::{Answer, Seen};
use crate::rootless;
use crate::runtime::Kind;
use crate::site::Site;
use crate::user::By;

const POLICIES: &str = r#"
    policy version=1
    tenant desk { identity podman user=1000 }
    gpu-set small { model "NVIDIA L4" }
    gpu-set large { model "NVIDIA H100*" }
    grant shared { to desk; gpus small; sharing time-slicing replicas=2; capabilities compute utility }
    grant alone rank=1 { to desk; when { label stage=alone }; gpus large; capabilities compute utility }
"#;

/// A user's own Podman: the granted nodes are there, which the kernel lets the user open anyhow.
pub(crate) fn rootless_podman(site: &Site) {
    site.installed.set_policies(POLICIES);
    for by in [By::Runtime, By::Engine] {
        let asking = Container::through(Entry::Podman).gpus("1");
        if hides(site, by) {
            let line = does_not_start(site.run_as_user(&asking, by, None));
            assert!(line.contains("`unshare --user --map-root-user --mount`"), "{line}");
            continue;
        }
        for _ in 0..3 {
            let seen = ran(site.run_as_user(&asking, by, None));
            assert_has(&seen, &[(MAJOR, GPUS[2].minor)], site);
        }
        let quiet = ran(site.run_as_user(&Container::through(Entry::Podman), by, None));
        assert!(quiet.nodes.is_empty() && quiet.files.is_empty(), "{quiet:?}");
    }
    assert_eq!((site.installed.leases(), site.installed.audit()), (Vec::new(), Vec::new()));
}

/// The same by a real Podman.
pub(crate) fn real_podman(site: &Site) {
    site.installed.set_policies(POLICIES);
    let seen = ran(rootless::run(site, &["--annotation=gpupol.io/gpus=1"]));
    assert_has(&seen, &[(MAJOR, GPUS[2].minor)], site);
    let quiet = ran(rootless::run(site, &[]));
    assert!(quiet.nodes.is_empty() && quiet.files.is_empty(), "{quiet:?}");
    let alone = ["--annotation=gpupol.io/gpus=1", "--annotation=stage=alone"];
    let line = is_refused(rootless::run(site, &alone), "not-supported");
    assert!(line.contains("podman is run by uid 1000"), "{line}");
    assert_eq!((site.installed.leases(), site.installed.audit()), (Vec::new(), Vec::new()));
}

/// What nobody keeps there is not given, and who else runs an engine as a user gets nothing.
pub(crate) fn promises_that_nobody_keeps(site: &Site) {
    site.installed.set_policies(POLICIES);
    let podman = || Container::through(Entry::Podman).gpus("1");
    let refused =
        |container: &Container, reason| is_refused(site.run_as_user(container, By::Engine, None), reason);
    let line = refused(&podman().annotation("stage", "alone"), "not-supported");
    assert!(line.contains("gpu-set `large` of grant `alone` is exclusive"), "{line}");
    refused(&podman().gpus("GPU-00000000-0000-4000-8000-000000000000"), "device-not-granted");
    refused(&Container::through(Entry::Docker).gpus("1"), "no-tenant");
    site.installed.change_policies("tenant desk {", "tenant desk { limit gpus=1; ");
    let line = refused(&podman(), "not-supported");
    assert!(line.contains("tenant `desk` has a limit of 1"), "{line}");
    site.installed.change_entry(Entry::Podman, |entry| {
        entry["form"] = "spec".into();
        entry["realRuntime"] = "/usr/bin/crun".into();
    });
    let line = refused(&podman(), "not-supported");
    assert!(line.contains("its runtime did not make this one"), "{line}");
}

/// Whether the runtime lets its own caller nowhere near the container.
fn hides(site: &Site, by: By) -> bool {
    by == By::Runtime && site.runtime().kind() == Kind::Crun
}

/// Just these devices' nodes and the shared ones are in `/dev`, and open.
pub(crate) fn assert_has(seen: &Seen, devices: &[(u32, u32)], site: &Site) {
    let shared = [(MAJOR, 255), (site.host.uvm, 0), (site.host.uvm, 1)];
    let mut numbers: Vec<(u32, u32)> = devices.iter().copied().chain(shared).collect();
    numbers.sort_unstable();
    let mut found: Vec<(u32, u32)> = seen.nodes.values().map(|node| node.number).collect();
    found.sort_unstable();
    assert_eq!(found, numbers, "/dev has other nodes: {seen:?}");
    assert!(seen.nodes.values().all(|node| node.answer == Answer::Allowed), "{seen:?}");
    assert!(seen.files.keys().any(|path| path.contains("libcuda")), "no driver files: {seen:?}");
}
