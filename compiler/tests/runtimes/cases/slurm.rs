//! Containers of Slurm's steps: an ordinary user's runtime in a device cgroup that is made as slurmd makes it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::expect::{holds, is_refused, ran, refused, runs};
use super::guard::allow_everything;
use super::users::assert_has;
use crate::container::{Container, Entry};
use crate::host::{GPUS, MAJOR, MIG_MINORS, OTHER_MIG_MINORS, free_majors, make_node};
use crate::oracle::Answer;
use crate::site::{Held, Outcome, Site};
use crate::user::{By, UID};
use crate::view::Cgroup;

const POLICIES: &str = r#"
    policy version=1
    tenant steps { limit gpus=1; identity slurm account="lab-*" user=ada }
    gpu-set small { model "NVIDIA L4" }
    grant g { to steps; gpus small; capabilities compute utility }
"#;

/// The GPU that the job has.
const OWN: u32 = GPUS[2].minor;

/// Where the nodes of MIG devices lie.
const CAPS: &str = "/dev/nvidia-caps";

/// What slurmd has of a job: its cgroup, held by a container that is in it, and the host's nodes.
struct Step<'s> {
    site: &'s Site,
    held: Option<Held>,
    cgroup: PathBuf,
    nodes: Vec<PathBuf>,
}

impl<'s> Step<'s> {
    /// A step of job 7 whose cgroup denies what that change of its `config.json` denies.
    fn of_job(site: &'s Site, deny: fn(&mut Value)) -> Self {
        site.installed.set_policies(POLICIES);
        let path = match site.runtime().cgroup() {
            Cgroup::V1 | Cgroup::SystemdV1 => "/slurm_ID/uid_1000/job_7/step_0/task_0",
            Cgroup::V2 | Cgroup::Systemd => "/system.slice/ID_slurmstepd.scope/job_7/step_0/user/task_0",
        };
        let held = holds(site, &Container::through(Entry::Kubernetes).in_cgroup(path).edited(deny));
        let path = path.replace("ID", &held.id);
        let cgroup = match site.runtime().cgroup() {
            Cgroup::V1 | Cgroup::SystemdV1 => format!("/sys/fs/cgroup/devices{path}"),
            Cgroup::V2 | Cgroup::Systemd => format!("/sys/fs/cgroup{path}"),
        };
        let node = |gpu: &crate::host::Gpu| site.view.path(&format!("/dev/nvidia{}", gpu.minor));
        let nodes: Vec<PathBuf> = GPUS.iter().map(node).collect();
        for (node, gpu) in nodes.iter().zip(&GPUS) {
            make_node(node, MAJOR, gpu.minor);
        }
        Self { site, held: Some(held), cgroup: cgroup.into(), nodes }
    }

    /// The nodes of the MIG devices as the driver makes them, beside one of an instance that is gone, and of a right that is
    /// about no instance.
    fn make_caps(&mut self) {
        let directory = self.site.view.path(CAPS);
        fs::create_dir_all(&directory).expect("the view's /dev is ours");
        for minor in MIG_MINORS.into_iter().chain(OTHER_MIG_MINORS).chain([2, 77]) {
            let node = directory.join(format!("nvidia-cap{minor}"));
            make_node(&node, self.site.host.caps, minor);
            fs::set_permissions(&node, fs::Permissions::from_mode(0o444)).expect("we are root");
            self.nodes.push(node);
        }
    }

    /// Starts a container in it, as its user.
    fn run(&self, container: &Container) -> Outcome {
        self.site.run_as_user(container, By::Engine, Some(&self.cgroup))
    }

    /// Writes what root's Prolog does.
    fn record(&self, change: impl FnOnce(&mut Value)) -> PathBuf {
        let mut record = json!({
            "jobVersion": 1, "job": 7, "uid": UID, "user": "ada", "account": "lab-1", "partition": "gpu",
            "gpus": [format!("/dev/nvidia{OWN}")],
        });
        change(&mut record);
        self.site.installed.record_job(&record)
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        self.nodes.iter().for_each(|node| drop(fs::remove_file(node)));
        drop(fs::remove_dir(self.site.view.path(CAPS)));
        self.held.take().into_iter().for_each(|held| self.site.delete(held));
        let inside = self.site.view.path(self.cgroup.to_str().unwrap_or_default());
        inside.ancestors().take_while(|path| is_slurms(path)).for_each(|path| drop(fs::remove_dir(path)));
    }
}

/// Whether slurmd makes it, and nobody else has anything there.
fn is_slurms(cgroup: &Path) -> bool {
    cgroup.iter().any(|name| name.to_string_lossy().contains("slurm"))
}

/// All but the job's own, as slurmd does: what gres.conf does not name is allowed.
fn deny_others(config: &mut Value) {
    let deny =
        |minor: u32| json!({"allow": false, "type": "c", "major": MAJOR, "minor": minor, "access": "rwm"});
    let others = GPUS.iter().map(|gpu| gpu.minor).filter(|minor| *minor != OWN).map(deny);
    let rules: Vec<Value> = [json!({"allow": true, "access": "rwm"})].into_iter().chain(others).collect();
    config["linux"]["resources"]["devices"] = rules.into();
    config["hooks"] = Value::Null;
}

/// All but the job's one MIG device.
fn deny_other_slices(config: &mut Value) {
    let [_, caps] = free_majors();
    let parent = GPUS[4].minor;
    let gpus = GPUS.iter().map(|gpu| gpu.minor).filter(|minor| *minor != parent).map(|minor| (MAJOR, minor));
    let deny = |(major, minor): (u32, u32)| json!({"allow": false, "type": "c", "major": major, "minor": minor, "access": "rwm"});
    let others = gpus.chain(OTHER_MIG_MINORS.map(|minor| (caps, minor))).map(deny);
    let rules: Vec<Value> = [json!({"allow": true, "access": "rwm"})].into_iter().chain(others).collect();
    config["linux"]["resources"]["devices"] = rules.into();
    config["hooks"] = Value::Null;
}

/// Nothing, as without `ConstrainDevices`.
fn deny_none(config: &mut Value) {
    config["linux"]["resources"]["devices"] = json!([{"allow": true, "access": "rwm"}]);
    config["hooks"] = Value::Null;
}

/// What record and kernel both say is bound; what the grant says of sharing and limits is Slurm's to keep.
pub(crate) fn allocated(site: &Site) {
    let step = Step::of_job(site, deny_others);
    step.record(|_| {});
    for forged in ["SLURM_JOB_ID=8", "SLURM_JOB_GPUS=0,1,2,3,4"] {
        let container = Container::through(Entry::Slurm).env(forged).env("NVIDIA_VISIBLE_DEVICES=all");
        let seen = ran(step.run(&container));
        assert_has(&seen, &[(MAJOR, OWN)], site);
        for other in GPUS.iter().map(|gpu| gpu.minor).filter(|minor| *minor != OWN) {
            assert_eq!(
                seen.rules[&(MAJOR, other)],
                Answer::Denied,
                "Slurm's cgroup is the ceiling: {seen:?}"
            );
        }
    }
    assert_eq!((site.installed.leases(), site.installed.audit()), (Vec::new(), Vec::new()));
    drop(step);
}

/// Of a MIG device the nodes are there to be read alone, and a step of a job that has two of them may have one.
pub(crate) fn mig_device(site: &Site) {
    let device = site.host.divide_further(&site.view);
    let mut step = Step::of_job(site, deny_other_slices);
    step.make_caps();
    site.installed.change_topology(|topology| {
        topology["gpus"][4]["migDevices"].as_array_mut().expect("it is in MIG mode").push(device);
    });
    site.installed.change_policies(r#"model "NVIDIA L4""#, r#"mig-profile "1g.5gb""#);
    let cap = |minor: u32| format!("{CAPS}/nvidia-cap{minor}");
    let own: Vec<String> = ["/dev/nvidia0".to_owned()].into_iter().chain(MIG_MINORS.map(cap)).collect();
    let both: Vec<String> = own.iter().cloned().chain(OTHER_MIG_MINORS.map(cap)).collect();
    for gpus in [own, both] {
        step.record(|record| record["gpus"] = json!(gpus));
        let seen = ran(step.run(&Container::through(Entry::Slurm)));
        let nodes = MIG_MINORS.map(|minor| (site.host.caps, minor));
        assert_has(&seen, &[(MAJOR, GPUS[4].minor), nodes[0], nodes[1]], site);
    }
    drop(step);
}

/// What the grant does not cover is refused, and named; whose job it is the record says.
pub(crate) fn not_covered(site: &Site) {
    let step = Step::of_job(site, deny_others);
    step.record(|record| record["account"] = "other".into());
    let line = is_refused(step.run(&Container::through(Entry::Slurm)), "no-tenant");
    assert!(line.contains("slurm account=other user=ada partition=gpu"), "{line}");
    step.record(|_| {});
    site.installed.change_policies("NVIDIA L4", "NVIDIA H100*");
    let line = is_refused(step.run(&Container::through(Entry::Slurm)), "device-not-granted");
    assert!(line.contains(&format!("`/dev/nvidia{OWN}`")), "{line}");
    drop(step);
}

/// Without a record of just this job nobody knows whose it is; without an allocation nothing is looked at.
pub(crate) fn records(site: &Site) {
    let step = Step::of_job(site, deny_others);
    let container = Container::through(Entry::Slurm);
    let line = is_refused(step.run(&container), "no-tenant");
    assert!(line.contains("no record of Slurm job 7"), "{line}");
    step.record(|record| record["uid"] = 1001.into());
    let line = is_refused(step.run(&container), "no-tenant");
    assert!(line.contains("is of job 7 of uid 1001"), "{line}");
    step.record(|record| record["gpus"] = json!([format!("/dev/nvidia{}", GPUS[3].minor)]));
    let line = is_refused(step.run(&container), "not-supported");
    assert!(line.contains("gres.conf"), "{line}");
    step.record(|record| record["gpus"] = json!([]));
    let seen = ran(step.run(&container));
    assert!(seen.nodes.is_empty() && seen.files.is_empty(), "{seen:?}");
    let line = is_refused(step.run(&container.clone().gpus("1")), "not-supported");
    assert!(line.contains("--gres=gpu:1"), "{line}");
    let path = step.record(|_| {});
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("we are root");
    let line = is_refused(step.run(&container), "no-tenant");
    assert!(line.contains("can be written by others than root"), "{line}");
    drop(step);
}

/// Within a second user namespace the user's uid would be whatever the first one says: there nothing is trusted to be root's.
pub(crate) fn nested_namespaces(site: &Site) {
    let step = Step::of_job(site, deny_others);
    step.record(|_| {});
    let container = Container::through(Entry::Slurm);
    let outcome = site.run_as_user(&container, By::Nested, Some(&step.cgroup));
    assert!(!outcome.started && outcome.seen.is_none(), "{outcome:?}");
    assert!(outcome.said.contains("belongs to uid 65534, not to root"), "{outcome:?}");
    drop(step);
}

/// A cgroup that denies nothing says nothing of what the step has.
pub(crate) fn unconstrained(site: &Site) {
    let step = Step::of_job(site, deny_none);
    step.record(|_| {});
    let line = is_refused(step.run(&Container::through(Entry::Slurm)), "not-supported");
    assert!(line.contains("`ConstrainDevices=yes`"), "{line}");
    step.record(|record| {
        record["gpus"] = GPUS.iter().map(|gpu| format!("/dev/nvidia{}", gpu.minor)).collect()
    });
    let line = is_refused(step.run(&Container::through(Entry::Slurm)), "device-not-granted");
    assert!(line.contains("/dev/nvidia"), "{line}");
    drop(step);
}

/// A runtime that is not in the step asks the kernel about another cgroup; one of root's is guarded as ever.
pub(crate) fn outside_of_the_step(site: &Site) {
    site.installed.set_policies(POLICIES);
    let step = Container::through(Entry::Slurm).in_cgroup("/slurm_ID/uid_1000/job_7/step_0");
    refused(site, &step.clone().in_cgroup("/ID/slurm_x/uid_1000/job_7").gpus("1"), "not-supported");
    // Who may start without a GPU does so without those that its own configuration allows.
    site.installed.change_policies("policy version=1", "policy version=1 { on-denied run-without-gpu }");
    let seen = runs(site, &step.clone().gpus("1").edited(allow_everything));
    assert!(seen.allowed().iter().all(|(major, _)| *major != MAJOR), "{seen:?}");
    site.installed.change_policies(" { on-denied run-without-gpu }", "");
    let record = json!({ "jobVersion": 1, "job": 7, "uid": 1000, "user": "ada", "account": "lab-1", "partition": "gpu", "gpus": [format!("/dev/nvidia{OWN}")] });
    site.installed.record_job(&record);
    let line = refused(site, &step, "not-supported");
    assert!(line.contains("its runtime is in"), "{line}");
    assert_eq!(site.installed.audit().pop().expect("root's is audited")["tenant"], "steps");
}
