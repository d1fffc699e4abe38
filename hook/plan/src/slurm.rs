//! A Slurm job, as root's Prolog records it, and how a process's cgroup names its job.
//!
//! Slurm writes nothing into a container's configuration, and whoever runs the job writes all of it. The Prolog knows
//! from slurmctld who that is; the kernel knows in which job's cgroup the container runs.
//!
//! What was allocated to a step is what both say: the record names it, and Slurm's device cgroup lets the step open it.

use serde::{Deserialize, Serialize};

use crate::document;
use crate::observed::Observed;
use crate::refusal::{Reason, Refusal, excerpt};
use crate::request::LIST_LIMIT;
use crate::request::allocation::{Allocation, Node};

/// The version of [`Job`] that this crate reads.
pub const JOB_VERSION: u32 = 1;

/// The record of one job: `slurm/JOBID.json` in an entry's state directory, root's, and readable by the job's user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Job {
    /// Always [`JOB_VERSION`]; anything else is refused.
    pub job_version: u32,
    /// `SLURM_JOB_ID`
    pub job: u32,
    /// `SLURM_JOB_UID`
    pub uid: u32,
    /// `SLURM_JOB_USER`
    pub user: String,
    /// `SLURM_JOB_ACCOUNT`
    pub account: String,
    /// `SLURM_JOB_PARTITION`
    pub partition: String,
    /// The nodes of the devices that the job has on this host, as gres.conf names their files: of a MIG device its GPU's node and
    /// its own two. Empty: it has none.
    pub gpus: Vec<String>,
}

/// What the kernel lets a process of a job open, of the nodes of the host's GPUs and of those that the record names. What is not there, or
/// is closed to the user by its mode, is in neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What it may open.
    pub open: Vec<Node>,
    /// What its device cgroup denies it.
    pub denied: Vec<String>,
}

impl Job {
    /// Reads a record.
    ///
    /// # Errors
    ///
    /// [`Reason::PlanSet`] if it is of another version or not such a document, or names what can be no device.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let job: Self = document::parse(RECORD, JOB_VERSION, bytes)?;
        let is_node = |path: &String| path.starts_with("/dev/");
        match job.gpus.iter().find(|path| !is_node(path)) {
            Some(other) => {
                let message = format!("{RECORD} names `{}`, which is no path of a device", excerpt(other));
                Err(Refusal::new(Reason::PlanSet, message))
            }
            None if job.gpus.len() > LIST_LIMIT => {
                Err(Refusal::new(Reason::PlanSet, format!("{RECORD} names more than {LIST_LIMIT} devices")))
            }
            None => Ok(job),
        }
    }
}

const RECORD: &str = "the record of the Slurm job";

/// What was allocated to the step that a container is in; nothing: none of its business.
///
/// # Errors
///
/// That something was, and cannot be told what: the record is missing, or it and the kernel contradict each other, or the kernel denies none
/// of the other GPUs, so that it says nothing. [`Reason::NotSupported`], or what [`Observed::unknown`] says.
pub fn allocated(observed: &Observed) -> Result<Allocation, Refusal> {
    let Step { open, denied } = &observed.step;
    let recorded: &[String] = observed.job.as_ref().map_or(&[], |job| &job.gpus);
    if let Some(unknown) = &observed.unknown {
        let has_some = !recorded.is_empty() || (!open.is_empty() && !denied.is_empty());
        return if has_some { Err(unknown.clone()) } else { Ok(Allocation::default()) };
    }
    let is_recorded = |path: &str| recorded.iter().any(|node| node == path);
    let (nodes, others): (Vec<Node>, Vec<Node>) =
        open.iter().cloned().partition(|node| is_recorded(&node.path));
    // What is no path is made up by a test, of which the kernel knows nothing.
    let (paths, names): (Vec<String>, Vec<String>) =
        recorded.iter().cloned().partition(|node| node.starts_with('/'));
    let answered = |path: &String| nodes.iter().any(|node| node.path == *path) || denied.contains(path);
    if let Some(path) = paths.iter().find(|path| !answered(path)) {
        let message =
            format!("`{}` is allocated to the job, and is not there or closed to its user", excerpt(path));
        return Err(Refusal::new(Reason::NotSupported, message));
    }
    // Who may not open all that the job has, and may open something else, is more likely to have that in its place than beside it.
    let withheld = paths.iter().find(|path| denied.contains(path));
    let denies_others = denied.iter().any(|path| !is_recorded(path));
    match (others.first(), withheld) {
        (Some(other), Some(path)) => Err(contradiction(path, &other.path)),
        (Some(other), None) if !nodes.is_empty() && !denies_others => Err(unconstrained(&other.path)),
        _ => Ok(Allocation { names, nodes }),
    }
}

fn contradiction(recorded: &str, open: &str) -> Refusal {
    let (recorded, open) = (excerpt(recorded), excerpt(open));
    let message = format!(
        "the Prolog's record says that the job has `{recorded}`, and Slurm's device cgroup allows `{open}` in its place: \
         let the Prolog name gres.conf's files"
    );
    Refusal::new(Reason::NotSupported, message)
}

fn unconstrained(other: &str) -> Refusal {
    let message = format!(
        "the job's cgroup denies no GPU, not even `{}`, which the job does not have: set `ConstrainDevices=yes` in cgroup.conf and `TaskPlugin=task/cgroup` in slurm.conf",
        excerpt(other)
    );
    Refusal::new(Reason::NotSupported, message)
}

/// The job to which slurmd gave a cgroup, by its path: `/slurm[_NODE]/uid_UID/job_ID/…` on cgroup v1,
/// `/system.slice/[NODE_]slurmstepd.scope/job_ID/…` on v2. Only in these places the name is slurmd's: further below
/// the job's user may make directories.
#[must_use]
pub fn job_of(cgroup: &str) -> Option<u32> {
    let mut names = cgroup.strip_prefix('/')?.split('/');
    let (root, below, job) = (names.next()?, names.next()?, names.next()?);
    let v1 = (root == "slurm" || root.starts_with("slurm_")) && number(below, "uid_").is_some();
    let v2 = root == "system.slice" && (below == "slurmstepd.scope" || below.ends_with("_slurmstepd.scope"));
    if v1 || v2 { number(job, "job_") } else { None }
}

fn number(name: &str, prefix: &str) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{JOB_VERSION, Job, Step, allocated, job_of};
    use crate::observed::Observed;
    use crate::refusal::{Reason, Refusal};
    use crate::request::allocation::Node;

    #[test]
    fn a_job_is_read_only_where_slurmd_names_it() {
        for (path, job) in [
            ("/slurm/uid_1000/job_7/step_0/task_0", Some(7)),
            ("/slurm_gpu-3/uid_0/job_12", Some(12)),
            ("/system.slice/slurmstepd.scope/job_4/step_0/user/task_0", Some(4)),
            ("/system.slice/gpu-3_slurmstepd.scope/job_4/step_batch/user/task_special", Some(4)),
            ("/user.slice/slurmstepd.scope/job_4", None),
            ("/system.slice/evil.scope/job_4", None),
            ("/slurm/x/job_7", None),
            ("/slurm/uid_/job_7", None),
            ("/slurm/uid_1/job_+7", None),
            ("/a/slurm/uid_1/job_7", None),
            ("/docker/x", None),
            ("/", None),
        ] {
            assert_eq!(job_of(path), job, "{path}");
        }
    }

    #[test]
    fn a_record_of_another_shape_or_version_is_refused() {
        let record = |version: u32, more: &str| {
            format!(
                r#"{{"jobVersion":{version},"job":7,"uid":1000,"user":"ada","account":"lab","partition":"gpu"{more}}}"#
            )
        };
        let gpus = |nodes: &str| record(1, &format!(r#","gpus":[{nodes}]"#));
        assert_eq!(Job::parse(gpus(r#""/dev/nvidia0""#).as_bytes()).unwrap().gpus, ["/dev/nvidia0"]);
        for text in [
            record(2, r#","gpus":[]"#),
            record(1, ""),
            record(1, r#","gpus":[],"qos":"high""#),
            gpus("0"),
            gpus(r#""0""#),
            gpus(&vec![r#""/dev/nvidia0""#; 1025].join(",")),
            r#"{"jobVersion":1,"job":7}"#.to_owned(),
        ] {
            assert!(Job::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    /// The paths of what was allocated, or why it cannot be told.
    fn told(recorded: Option<&[&str]>, open: &[&str], denied: &[&str]) -> Result<Vec<String>, String> {
        let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        let record = |gpus: &[&str]| Job {
            job_version: JOB_VERSION,
            job: 7,
            uid: 1000,
            user: "ada".to_owned(),
            account: "lab".to_owned(),
            partition: "gpu".to_owned(),
            gpus: owned(gpus),
        };
        let node = |path: &&str| Node { path: (*path).to_owned(), number: (195, 0) };
        let step = Step { open: open.iter().map(node).collect(), denied: owned(denied) };
        let unknown = recorded.is_none().then(|| Refusal::new(Reason::NoTenant, "no record"));
        let observed = Observed { job: recorded.map(record), step, unknown, ..Observed::default() };
        let told = allocated(&observed).map_err(|refusal| refusal.message)?;
        Ok(told.nodes.into_iter().map(|node| node.path).collect())
    }

    #[test]
    fn allocated_is_what_record_and_kernel_both_say() {
        let nothing = || Ok(Vec::new());
        let one = Ok(vec!["/dev/nvidia1".to_owned()]);
        assert_eq!(told(Some(&["/dev/nvidia1"]), &["/dev/nvidia1"], &["/dev/nvidia0"]), one);
        // A step has fewer than its job; a card for the screen is nobody's, where the step has all of its job's.
        assert_eq!(
            told(
                Some(&["/dev/nvidia0", "/dev/nvidia1"]),
                &["/dev/nvidia1"],
                &["/dev/nvidia0", "/dev/nvidia2"]
            ),
            one
        );
        assert_eq!(told(Some(&["/dev/nvidia1"]), &["/dev/nvidia1", "/dev/nvidia3"], &["/dev/nvidia0"]), one);
        // Who has all of them is denied none.
        assert_eq!(told(Some(&["/dev/nvidia1"]), &["/dev/nvidia1"], &[]), one);
        assert_eq!(told(Some(&["/dev/nvidia1"]), &[], &["/dev/nvidia0", "/dev/nvidia1"]), nothing());
        assert_eq!(told(Some(&[]), &["/dev/nvidia0"], &[]), nothing());
        assert_eq!(told(None, &["/dev/nvidia0"], &[]), nothing());
        assert_eq!(told(None, &[], &["/dev/nvidia0"]), nothing());
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        for (recorded, open, denied, said) in [
            (
                Some(&["/dev/nvidia1"][..]),
                &["/dev/nvidia0", "/dev/nvidia1"][..],
                &[][..],
                "`ConstrainDevices=yes` in cgroup.conf and `TaskPlugin=task/cgroup` in slurm.conf",
            ),
            (Some(&["/dev/nvidia1"]), &[], &["/dev/nvidia0"], "not there or closed"),
            (Some(&["/dev/nvidia1"]), &["/dev/nvidia0"], &["/dev/nvidia1", "/dev/nvidia2"], "in its place"),
            (Some(&["/dev/nvidia1"]), &["/dev/nvidia0"], &["/dev/nvidia1"], "in its place"),
            (
                Some(&["/dev/nvidia0", "/dev/nvidia1"]),
                &["/dev/nvidia1", "/dev/nvidia3"],
                &["/dev/nvidia0", "/dev/nvidia2"],
                "in its place",
            ),
            (None, &["/dev/nvidia0"], &["/dev/nvidia1"], "no record"),
        ] {
            let message = told(recorded, open, denied).expect_err(said);
            assert!(message.contains(said), "{message}");
        }
    }
}
