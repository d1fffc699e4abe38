//! Leases: which container holds which device, one small file each.
//!
//! They lie at `<stateDir>/leases/<device>/<engine>-<container>` and name devices by UUID, so that they outlive
//! plan sets. All who look at or change them hold one lock, which nobody waits for longer than five seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

use gpupol_plan::choose::{self, Lease};
use gpupol_plan::plan::Sharing;
use rustix::fs::{AtFlags, unlinkat};

use crate::error::{Called, Error, Result};
use crate::lease::record::{Found, Record};
use crate::process::Process;

pub mod live;
pub mod record;
pub mod store;

use live::Liveness;
use store::Store;

/// Whose leases are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'h> {
    /// The engine's name.
    pub engine: &'h str,
    /// The container's id.
    pub container: &'h str,
    /// The container's init, or who makes it.
    pub process: &'h Process,
    /// Whether the container is still to be made.
    pub is_pending: bool,
}

/// Whose leases are looked at.
#[derive(Clone, Debug)]
pub struct Scope<'d> {
    /// UUIDs of the devices that may be given.
    pub devices: BTreeSet<&'d str>,
    /// Whether the leases of all other devices are looked at too.
    pub whole_host: bool,
}

/// How the devices that were looked at are held.
#[derive(Debug, Default)]
pub struct Survey {
    /// By other containers that live.
    pub leases: choose::Leases,
    /// By the container itself, from an earlier call of the executor.
    pub own: BTreeSet<String>,
    /// Those of them that were taken before the container was made.
    pub pending: BTreeSet<String>,
    /// Files that cannot be understood; their devices count as held.
    pub unreadable: Vec<String>,
}

/// Leases that this call of the executor wrote.
#[derive(Debug, Default)]
pub struct Taken {
    /// The directory of all leases, if there are any.
    leases: Option<OwnedFd>,
    written: Vec<Written>,
}

/// One of them.
#[derive(Debug)]
struct Written {
    directory: OwnedFd,
    name: String,
    record: Record,
}

/// Looks at the leases in the scope, and removes those whose container is gone.
///
/// # Errors
/// The call that failed; a holder that has ended; another container of the same id that lives; what `on_dead` says.
pub fn survey(
    store: &Store,
    scope: &Scope<'_>,
    holder: Holder<'_>,
    liveness: &Liveness,
    mut on_dead: impl FnMut(&Record) -> Result<()>,
) -> Result<Survey> {
    require_alive(holder)?;
    let mut survey = Survey::default();
    for (directory, device) in scope.directories(store)? {
        let Some(opened) = store.device(&directory)? else { continue };
        for name in Store::names(&opened)? {
            match Found::read(&opened, &name) {
                Found::Record(record) if is_own(&record, holder) && scope.has(&device) => {
                    survey.own.insert(device.clone());
                    if record.pending {
                        survey.pending.insert(device.clone());
                    }
                }
                Found::Record(record) if liveness.is_live(&record)? => {
                    refuse_same_name(&record, holder)?;
                    survey.hold(&device, record.lease());
                }
                Found::Record(record) => {
                    on_dead(&record)?;
                    remove(&opened, &name)?;
                }
                Found::Gone => {}
                Found::Unreadable => {
                    survey.unreadable.push(format!("{directory}/{name}"));
                    survey.hold(&device, Lease { tenant: None, grant: None, sharing: Sharing::Exclusive {} });
                }
            }
        }
    }
    Ok(survey)
}

/// Writes leases, all or none.
///
/// # Errors
/// The call that failed.
pub fn take(store: &Store, records: &[Record]) -> Result<Taken> {
    let mut taken = Taken { leases: Some(store.descriptor()?), written: Vec::new() };
    for record in records {
        match store.write(record) {
            Ok((directory, name)) => taken.written.push(Written { directory, name, record: record.clone() }),
            Err(error) => {
                remove_written(taken.written);
                return Err(error);
            }
        }
    }
    Ok(taken)
}

/// Removes the leases of a container that has ended.
///
/// A container that still lives keeps them; the next call of the executor after its end removes them.
///
/// # Errors
/// The call that failed; what `on_dead` says.
pub fn release(
    store: &Store,
    engine: &str,
    container: &str,
    liveness: &Liveness,
    mut on_dead: impl FnMut(&Record) -> Result<()>,
) -> Result<()> {
    // A container whose id is too long for a lease never got one.
    let Ok(name) = record::file_name(engine, container) else { return Ok(()) };
    for (_, directory) in store.directories()? {
        let Found::Record(record) = Found::read(&directory, &name) else { continue };
        if !liveness.is_live(&record)? {
            on_dead(&record)?;
            remove(&directory, &name)?;
        }
    }
    Ok(())
}

impl Scope<'_> {
    fn has(&self, device: &str) -> bool {
        self.devices.contains(device)
    }

    /// The directories to look into, and whose each is. One of a device that is not to be given stands for itself.
    fn directories(&self, store: &Store) -> Result<BTreeMap<String, String>> {
        let others = if self.whole_host { store.directories()? } else { Vec::new() };
        let own = self.devices.iter().map(|device| (record::escape(device), (*device).to_owned()));
        Ok(others.into_iter().map(|(name, _)| (name.clone(), name)).chain(own).collect())
    }
}

impl Survey {
    fn hold(&mut self, device: &str, lease: Lease) {
        self.leases.entry(device.to_owned()).or_default().push(lease);
    }
}

impl Taken {
    /// Waits for the lock and removes them again, as far as they still are what was written: a container whose runtime
    /// was killed may have been started anew under its id. What cannot be removed is found dead once the container is gone.
    pub fn give_back(self) {
        // Where the lock lies is named by a descriptor: by now this process may see the container's mounts alone.
        if let Some(Ok(_store)) = self.leases.map(Store::of) {
            remove_written(self.written);
        }
    }
}

/// Under the lock.
fn remove_written(written: Vec<Written>) {
    for Written { directory, name, record } in written {
        if matches!(Found::read(&directory, &name), Found::Record(found) if found == record) {
            let _ = unlinkat(&directory, name.as_str(), AtFlags::empty());
        }
    }
}

/// A hook whose container's runtime was killed may have waited for the lock while the container was started anew, and
/// would take what that one holds for its own past.
fn require_alive(holder: Holder<'_>) -> Result<()> {
    if holder.process.is_alive()? {
        return Ok(());
    }
    Err(Error::found(format!("process {}, the container's init, has ended", holder.process.pid)))
}

fn is_own(record: &Record, holder: Holder<'_>) -> bool {
    record.container == holder.container
        && record.engine.name() == holder.engine
        && (is_of(record, holder.process) || (record.pending && !holder.is_pending))
}

fn is_of(record: &Record, process: &Process) -> bool {
    record.pid == process.pid && record.start_time == process.start_time
}

fn refuse_same_name(record: &Record, holder: Holder<'_>) -> Result<()> {
    if record.container != holder.container || record.engine.name() != holder.engine {
        return Ok(());
    }
    Err(Error::found(format!(
        "another container `{}` of {} lives as process {} and holds {}",
        record.container, holder.engine, record.pid, record.device
    )))
}

fn remove(directory: &OwnedFd, name: &str) -> Result<()> {
    unlinkat(directory.as_fd(), name, AtFlags::empty()).called(|| format!("unlinkat(lease `{name}`)"))
}
