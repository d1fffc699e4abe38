//! A Slurm job, as root's Prolog records it, and how a process's cgroup names its job.
//!
//! Slurm writes nothing into a container's configuration, and whoever runs the job writes all of it. The Prolog knows
//! from slurmctld who that is; the kernel knows in which job's cgroup the container runs.

use serde::{Deserialize, Serialize};

use crate::document;
use crate::refusal::Refusal;

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
}

impl Job {
    /// Reads a record.
    ///
    /// # Errors
    ///
    /// [`crate::refusal::Reason::PlanSet`] if it is of another version or not such a document.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        document::parse("the record of the Slurm job", JOB_VERSION, bytes)
    }
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
    use super::{Job, job_of};

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
        assert_eq!(Job::parse(record(1, "").as_bytes()).unwrap().account, "lab");
        for text in [record(2, ""), record(1, r#","qos":"high""#), r#"{"jobVersion":1,"job":7}"#.to_owned()] {
            assert!(Job::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
