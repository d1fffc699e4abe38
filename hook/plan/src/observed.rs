//! What is known of a container from elsewhere than its `config.json`.

use crate::refusal::Refusal;
use crate::slurm::{Job, Step};

/// Facts of the kernel, and what they led to. None of them is the container's to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The path of its cgroup in the hierarchy that decides over devices, from the hierarchy's root; absent: not
    /// asked for, or not to be seen from here.
    pub cgroup: Option<String>,
    /// The uid on the host of the user who runs the engine; absent: root.
    pub user: Option<u32>,
    /// What root's Prolog recorded of its Slurm job; absent: it is of none.
    pub job: Option<Job>,
    /// What the kernel lets the job's step open.
    pub step: Step,
    /// Why it cannot be said what its Slurm job is or has, if it cannot.
    pub unknown: Option<Refusal>,
}
