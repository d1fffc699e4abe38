//! Who a container is by what the kernel says.

use std::os::unix::fs::chown;

use serde_json::{Value, json};

use super::devices::{nodes, planned_nodes};
use super::expect::{assert_sees, computing, does_not_start, ran, refused, runs};
use super::guard::allow_everything;
use crate::bundle::look;
use crate::container::{Container, Entry};
use crate::host::{GPUS, MAJOR};
use crate::site::Site;

const POLICIES: &str = r#"
    policy version=1
    tenant lab { identity cgroup path="/**/lab/*" engine=kubernetes }
    tenant steps { identity slurm account="lab-*" user=ada }
    tenant desk { identity podman user=1000; identity podman }
    gpu-set small { model "NVIDIA L4" }
    grant g { to lab steps desk; gpus small; sharing time-slicing replicas=9; capabilities compute utility }
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

/// A job is whose root's record says; nothing is given yet, and the refusal says of which tenant it is.
pub(crate) fn slurm_record(site: &Site) {
    site.installed.set_policies(POLICIES);
    let step = Container::through(Entry::Slurm).in_cgroup("/slurm_ID/uid_1000/job_7/step_0").gpus("1");
    let line = refused(site, &step, "no-tenant");
    assert!(line.contains("no record of Slurm job 7"), "{line}");
    // Who may start without a GPU does so without those that its own configuration allows.
    site.installed.change_policies("policy version=1", "policy version=1 { on-denied run-without-gpu }");
    let everything = Container::through(Entry::Slurm).in_cgroup("/slurm_ID/uid_1000/job_7/step_0");
    let seen = runs(site, &everything.edited(allow_everything));
    assert!(seen.allowed().iter().all(|(major, _)| *major != MAJOR), "{seen:?}");
    site.installed.change_policies(" { on-denied run-without-gpu }", "");
    let record = |job: u32, account: &str| json!({ "jobVersion": 1, "job": job, "uid": 1000, "user": "ada", "account": account, "partition": "gpu" });
    site.installed.record_job(&record(7, "other"));
    let line = refused(site, &step, "no-tenant");
    assert!(line.contains("slurm account=other user=ada partition=gpu"), "{line}");
    let path = site.installed.record_job(&record(7, "lab-1"));
    refused(site, &step, "not-supported");
    assert_eq!(last(site)["tenant"], "steps");
    refused(site, &step.clone().in_cgroup("/ID/slurm_x/uid_1000/job_7"), "no-tenant");
    chown(path, Some(1000), None).expect("we are root");
    let line = does_not_start(site.run(&step));
    assert!(line.contains("belongs to uid 1000"), "{line}");
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

fn last(site: &Site) -> Value {
    site.installed.audit().pop().expect("a refusal is audited")
}
