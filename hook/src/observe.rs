//! What decides about a container and does not stand in its `config.json`: asked of the kernel and of root's files.

use gpupol_plan::entry::Entry;
use gpupol_plan::index::{Index, ReadAt};
use gpupol_plan::observed::Observed;

use crate::cgroup::Hierarchy;
use crate::error::Result;
use crate::mountinfo::MountInfo;
use crate::process::{self, Process};
use crate::state::State;

pub(crate) mod slurm;

/// Finds out what somebody is known by in the index under this entry.
///
/// # Errors
/// The call that failed.
pub(crate) fn observe<S: ReadAt>(entry: &Entry, state: &State, index: &Index<S>) -> Result<Observed> {
    let user = process::caller()?;
    let cgroup = index.reads_cgroup(entry.engine).then(|| cgroup(&state.process()?)).transpose()?.flatten();
    Ok(Observed { cgroup, user, ..Observed::default() })
}

/// The path of a process's cgroup, unless that lies outside of what can be seen from here.
fn cgroup(process: &Process) -> Result<Option<String>> {
    let path = Hierarchy::find(&MountInfo::read()?)?.path_of(process)?;
    let hidden = path.split('/').any(|name| name == "..");
    Ok(Some(path).filter(|_| !hidden))
}
