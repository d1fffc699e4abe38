//! Limits of GPU memory: what keeps them on a host, or that nothing does.

use super::{Device, diags};
use crate::diag::Sink;
use crate::policy::{Line, Sharing};
use crate::topology::Fact;

/// A bound on the use of each device's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// At most so many bytes.
    pub bytes: u64,
    /// What keeps it so.
    pub enforced_by: Enforcer,
}

/// What keeps the use of memory within a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcer {
    /// The MIG device, which has no more.
    Mig,
    /// The MPS daemon, for each process.
    MpsDaemon,
}

/// The MPS daemon is told in units of this.
const MIB: u64 = 1 << 20;

/// What bounds the memory of a line's devices, whether or not the line says a limit.
///
/// # Errors
///
/// A device that nothing keeps within the limit which the line says.
pub(super) fn bound<'d, 'a>(
    line: &Line,
    devices: &'d [Device<'a>],
) -> Result<Option<Memory>, &'d Device<'a>> {
    let limit = line.sharing.value.memory();
    if let Sharing::Mps { .. } = line.sharing.value {
        let bytes = limit.map(|bytes| bytes - bytes % MIB);
        return Ok(bytes.map(|bytes| Memory { bytes, enforced_by: Enforcer::MpsDaemon }));
    }
    let within = |device: &&Device| own(device).is_some_and(|own| limit.is_none_or(|limit| own <= limit));
    if let Some(beyond) = devices.iter().find(|device| !within(device)) {
        return if limit.is_some() { Err(beyond) } else { Ok(None) };
    }
    let most = devices.iter().filter_map(own).max();
    Ok(most.map(|bytes| Memory { bytes, enforced_by: Enforcer::Mig }))
}

/// Reports a limit that nothing on this host enforces.
pub(super) fn report(line: &Line, devices: &[Device], name: &str, sink: &mut Sink) {
    if let Err(device) = bound(line, devices) {
        sink.push(diags::memory_not_enforced(line, device, name));
    }
}

/// All the memory that who has a MIG device can have.
fn own(device: &Device) -> Option<u64> {
    match device.mig?.memory {
        Fact::Known(bytes) => Some(bytes),
        Fact::Absent | Fact::Unknown(_) => None,
    }
}
