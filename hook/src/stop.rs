//! Containers are gone: poststop says it of one, and `reclaim` looks for all.

use gpupol_plan::entry::Entry;
use gpupol_plan::index::Auditing;

use crate::arguments::Arguments;
use crate::audit::{Audit, EndedBy, Record};
use crate::cgroup::Hierarchy;
use crate::error::Result;
use crate::lease;
use crate::lease::live::Liveness;
use crate::lease::store::Store;
use crate::mountinfo::MountInfo;
use crate::state::State;
use crate::{entry, process};

/// Gives back the leases of the container of the state on standard input.
///
/// # Errors
/// Why they stay. The next start of any container that asks for the devices removes them.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let state = State::read()?;
    let entry = entry::load(&arguments.entries, &arguments.entry)?;
    with_leases(&entry, EndedBy::Poststop, |store, liveness, on_dead| {
        lease::release(store, entry.engine.name(), &state.id, liveness, on_dead)
    })
}

/// Gives back the leases of all containers that have ended, of which no start has come to know.
///
/// # Errors
/// Why they stay.
pub(crate) fn reclaim(arguments: &Arguments) -> Result<()> {
    let entry = entry::load(&arguments.entries, &arguments.entry)?;
    with_leases(&entry, EndedBy::Reclaimed, |store, liveness, on_dead| {
        lease::reclaim(store, liveness, on_dead)
    })
}

fn with_leases(
    entry: &Entry,
    ended_by: EndedBy,
    remove: impl FnOnce(&Store, &Liveness, &mut dyn FnMut(&lease::record::Record) -> Result<()>) -> Result<()>,
) -> Result<()> {
    // What a user's own engine starts never has a lease, and the leases are not the user's to see.
    if process::caller()?.is_some() {
        return Ok(());
    }
    let Some(store) = Store::lock_existing(&entry.state_dir)? else { return Ok(()) };
    let liveness = Liveness { hierarchy: Hierarchy::find(&MountInfo::read()?)?, own: None };
    remove(&store, &liveness, &mut |ended| {
        Audit::open(&entry.audit, Auditing::Required)?.append(&Record::stop(ended, ended_by))
    })
}
