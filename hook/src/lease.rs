//! Leases: which container holds which device, one small file each.
//!
//! They lie at `<stateDir>/leases/<device>/<engine>-<container>` and name devices by UUID, so that they outlive
//! plan sets. All who look at or change them hold one lock, which nobody waits for longer than five seconds.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use gpupol_plan::choose;
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
    /// The container's init.
    pub process: &'h Process,
}

/// How the devices that were looked at are held.
#[derive(Debug, Default)]
pub struct Survey {
    /// By other containers that live.
    pub leases: choose::Leases,
    /// By the container itself, from an earlier call of the executor.
    pub own: BTreeSet<String>,
    /// Files that cannot be understood; their devices count as held.
    pub unreadable: Vec<String>,
}

/// Leases that this call of the executor wrote.
#[derive(Debug, Default)]
pub struct Taken {
    written: Vec<(OwnedFd, String)>,
}

/// Looks at the leases of these devices, and removes those whose container is gone.
///
/// # Errors
/// The call that failed; another container of the same id that lives; what `on_dead` says.
pub fn survey<'d>(
    store: &Store,
    devices: impl Iterator<Item = &'d str>,
    holder: Holder<'_>,
    liveness: &Liveness,
    mut on_dead: impl FnMut(&Record) -> Result<()>,
) -> Result<Survey> {
    let mut survey = Survey::default();
    let devices: BTreeSet<&str> = devices.collect();
    for device in devices {
        let Some(directory) = store.device(device)? else { continue };
        for name in Store::names(&directory)? {
            match Found::read(&directory, &name) {
                Found::Record(record) if is_own(&record, holder) => {
                    survey.own.insert(device.to_owned());
                }
                Found::Record(record) if liveness.is_live(&record)? => {
                    refuse_same_name(&record, holder)?;
                    survey.leases.entry(device.to_owned()).or_default().push(record.sharing);
                }
                Found::Record(record) => {
                    on_dead(&record)?;
                    remove(&directory, &name)?;
                }
                Found::Gone => {}
                Found::Unreadable => {
                    survey.unreadable.push(format!("{device}/{name}"));
                    survey.leases.entry(device.to_owned()).or_default().push(Sharing::Exclusive {});
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
    let mut taken = Taken::default();
    for record in records {
        match store.write(record) {
            Ok(written) => taken.written.push(written),
            Err(error) => {
                taken.give_back();
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
    for directory in store.devices()? {
        let Found::Record(record) = Found::read(&directory, &name) else { continue };
        if !liveness.is_live(&record)? {
            on_dead(&record)?;
            remove(&directory, &name)?;
        }
    }
    Ok(())
}

impl Taken {
    /// Removes them again. What cannot be removed is found dead once the container is gone.
    pub fn give_back(self) {
        for (directory, name) in self.written {
            let _ = unlinkat(&directory, name.as_str(), AtFlags::empty());
        }
    }
}

fn is_own(record: &Record, holder: Holder<'_>) -> bool {
    record.container == holder.container
        && record.engine.name() == holder.engine
        && record.pid == holder.process.pid
        && record.start_time == holder.process.start_time
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
