//! What decides about a container and does not stand in its `config.json`: asked of the kernel and of root's files.

use std::os::fd::AsFd;

use gpupol_plan::entry::{Engine, Entry};
use gpupol_plan::index::{Index, ReadAt};
use gpupol_plan::observed::Observed;
use gpupol_plan::refusal::{Reason, Refusal};
use gpupol_plan::slurm::{self, Job};
use rustix::io::Errno;

use crate::cgroup::Hierarchy;
use crate::error::{Error, Result};
use crate::file::{self, Trust};
use crate::mountinfo::MountInfo;
use crate::process;
use crate::state::State;

/// Larger than any record of a job.
const LIMIT: usize = 64 * 1024;

/// Finds out what somebody is known by in the index under this entry.
///
/// # Errors
/// The call that failed; a refusal if Slurm's record of the job is missing or of somebody else.
pub(crate) fn observe<S: ReadAt>(entry: &Entry, state: &State, index: &Index<S>) -> Result<Observed> {
    let user = process::caller()?;
    if !index.reads_cgroup(entry.engine) && entry.engine != Engine::Slurm {
        return Ok(Observed { user, ..Observed::default() });
    }
    let cgroup = cgroup(state)?;
    let of_job = |id| job(entry, id, user);
    let id = cgroup.as_deref().filter(|_| entry.engine == Engine::Slurm).and_then(slurm::job_of);
    Ok(Observed { job: id.map(of_job).transpose()?, cgroup, user })
}

/// The path of the container's cgroup, unless that lies outside of what can be seen from here.
fn cgroup(state: &State) -> Result<Option<String>> {
    let process = state.process()?;
    let path = Hierarchy::find(&MountInfo::read()?)?.path_of(&process)?;
    let hidden = path.split('/').any(|name| name == "..");
    Ok(Some(path).filter(|_| !hidden))
}

/// What root's Prolog recorded of a job.
fn job(entry: &Entry, id: u32, user: Option<u32>) -> Result<Job> {
    let (directory, name) = (format!("{}/slurm", entry.state_dir), format!("{id}.json"));
    let path = format!("{directory}/{name}");
    let read = file::open_trusted_directory(&directory)
        .and_then(|directory| file::read_bounded(directory.as_fd(), &name, LIMIT, Trust::Root));
    let bytes = match read {
        Err(Error::Failed { errno: Some(Errno::NOENT), .. }) => {
            let why = format!("no record of Slurm job {id}: root's Prolog writes it to `{path}`");
            return Err(Refusal::new(Reason::NoTenant, why).into());
        }
        other => other.map_err(|error| error.during(|| format!("`{path}`")))?,
    };
    let job = Job::parse(&bytes)?;
    // Ids of jobs come again, and a record may be of an earlier one.
    if job.job != id || user.is_some_and(|user| user != job.uid) {
        let why =
            format!("`{path}` is of job {} of uid {}, and the container is of another", job.job, job.uid);
        return Err(Refusal::new(Reason::NoTenant, why).into());
    }
    Ok(job)
}
