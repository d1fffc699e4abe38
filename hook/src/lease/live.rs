//! Does the container of a lease still live?

use crate::cgroup::Hierarchy;
use crate::error::Result;
use crate::lease::record::{CgroupName, Record};
use crate::process::{Process, since_boot};

/// What is needed to judge leases.
#[derive(Debug)]
pub struct Liveness {
    /// The hierarchy in which cgroups are looked up.
    pub hierarchy: Hierarchy,
    /// The cgroup of the container that is about to start, if it holds that container alone.
    pub own: Option<CgroupName>,
}

impl Liveness {
    /// A lease lives while its container's init exists or its cgroup holds a process. A cgroup of a hierarchy
    /// that cannot be seen from here counts as populated. One that holds the starting container alone holds no
    /// other: engines start a container again in the cgroup that it had before, and need not say that it ended.
    ///
    /// One that is pending lives no longer than it may be so.
    ///
    /// # Errors
    /// The call that failed.
    pub fn is_live(&self, record: &Record) -> Result<bool> {
        if record.pending_until.is_some() && record.is_past(since_boot()?) {
            return Ok(false);
        }
        let init = Process::open(record.pid)?;
        if init.is_some_and(|init| init.start_time == record.start_time) {
            return Ok(true);
        }
        match &record.cgroup {
            None => Ok(false),
            Some(_) if record.cgroup == self.own => Ok(false),
            Some(cgroup) if cgroup.version != self.hierarchy.version => Ok(true),
            Some(cgroup) => self.hierarchy.is_populated(&cgroup.path),
        }
    }
}
