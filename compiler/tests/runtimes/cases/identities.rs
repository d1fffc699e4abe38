//! Who a container is by what the kernel says.

use serde_json::json;

use super::devices::{nodes, planned_nodes};
use super::expect::{assert_sees, computing, ran, refused, runs};
use crate::bundle::look;
use crate::container::{Container, Entry};
use crate::host::GPUS;
use crate::site::Site;

const POLICIES: &str = r#"
    policy version=1
    tenant lab { identity cgroup path="/**/lab/*" engine=kubernetes }
    tenant desk { identity podman user=1000; identity podman }
    gpu-set small { model "NVIDIA L4" }
    grant g { to lab desk; gpus small; sharing time-slicing replicas=9; capabilities compute utility }
"#;

fn in_lab() -> Container {
    Container::through(Entry::Kubernetes).in_cgroup("/ID/lab/c").gpus("1")
}

/// The cgroup decides, as the kernel names it to the host; `gpupol plan` says the same of the same path.
pub(crate) fn cgroup(site: &Site) {
    site.installed.set_policies(POLICIES);
    let bundle = site.bundle();
    let id = site.write(&bundle, &in_lab(), &look());
    let known = format!("cgroup=/{id}/lab/c");
    let plan = site.installed.plan(&bundle.config(), Entry::Kubernetes, &[&known]);
    let seen = ran(site.run_in(&bundle, &in_lab()));
    assert_sees(&seen, &computing(site, &[GPUS[2].minor]));
    assert_eq!(planned_nodes(&plan), nodes(&seen), "plan: {plan:#}\nseen: {seen:?}");
    let line = refused(site, &in_lab().in_cgroup("/ID/lob/c"), "no-tenant");
    assert!(line.contains("cgroup=") && line.contains("/lob/c`"), "{line}");
    refused(site, &in_lab().in_cgroup("/ID/lab/c/d"), "no-tenant");
}

/// Where whoever starts a container chooses its cgroup, nobody is known by it.
pub(crate) fn cgroup_of_another_engine(site: &Site) {
    site.installed.set_policies(POLICIES);
    let by_docker = Container::through(Entry::Docker).in_cgroup("/ID/lab/c").gpus("1");
    refused(site, &by_docker, "no-tenant");
    assert_sees(&runs(site, &in_lab()), &computing(site, &[GPUS[2].minor]));
}

/// A user's own Podman calls the hook as that user: whose it is is known by that, and who does not ask is left alone.
pub(crate) fn users_own_podman(site: &Site) {
    site.installed.set_policies(POLICIES);
    let said = |uid, verb, container: &Container| {
        let bundle = site.bundle();
        let id = site.write(&bundle, container, &look());
        let state =
            json!({ "ociVersion": "1.0.2", "id": id, "status": "creating", "pid": 2, "bundle": bundle.dir });
        let output = site.call_hook_as(uid, verb, Entry::Podman, &state);
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let asking = Container::through(Entry::Podman).gpus("1");
    let (started, line) = said(1000, "createRuntime", &asking);
    assert!(!started && line.contains("hides its container"), "{line}");
    let (started, line) = said(1001, "createRuntime", &asking);
    assert!(!started && line.contains("(no-tenant)") && line.contains("podman user=1001"), "{line}");
    assert_sees(&runs(site, &asking), &computing(site, &[GPUS[2].minor]));
    for verb in ["createRuntime", "poststop"] {
        assert_eq!(said(1000, verb, &Container::through(Entry::Podman)), (true, String::new()), "{verb}");
    }
}
