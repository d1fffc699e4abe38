//! Calls about how a GPU is set and what is wrong with it.

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlGpuFabricInfo_t, nvmlGpuFabricInfo_v2_t, nvmlRepairStatus_t, nvmlReturn_t,
};
use serde_json::Value;

use crate::document::{Device, fact, list};
use crate::{Outcome, answer, ask, code};

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetNumaNodeId(device: nvmlDevice_t, out: *mut u32) -> nvmlReturn_t {
    ask("nvmlDeviceGetNumaNodeId", device, |_, device| {
        let node = fact(device.whole()?, "memoryNode", |node| u32::try_from(node.as_u64()?).ok())?;
        // SAFETY: the caller gives a number to write.
        unsafe { answer::value(out, node) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetComputeMode(device: nvmlDevice_t, out: *mut u32) -> nvmlReturn_t {
    ask("nvmlDeviceGetComputeMode", device, |_, device| {
        let mode = fact(device.whole()?, "computeMode", |mode| match mode.as_str()? {
            "default" => Some(0),
            "exclusive-thread" => Some(1),
            "prohibited" => Some(2),
            "exclusive-process" => Some(3),
            _ => None,
        });
        // SAFETY: the caller gives a C enum to write, an `u32`.
        unsafe { answer::value(out, mode?) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetEccMode(
    device: nvmlDevice_t,
    current: *mut u32,
    pending: *mut u32,
) -> nvmlReturn_t {
    ask("nvmlDeviceGetEccMode", device, |_, device| {
        let on = fact(device.whole()?, "ecc", Value::as_bool)?;
        // SAFETY: the caller gives two C enums to write, an `u32` each.
        unsafe {
            answer::value(current, u32::from(on))?;
            answer::value(pending, u32::from(on))
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetPersistenceMode(device: nvmlDevice_t, out: *mut u32) -> nvmlReturn_t {
    ask("nvmlDeviceGetPersistenceMode", device, |_, device| {
        let on = fact(device.whole()?, "persistence", Value::as_bool)?;
        // SAFETY: the caller gives a C enum to write, an `u32`.
        unsafe { answer::value(out, u32::from(on)) }
    })
}

/// Whether the document lists a fault; one that nobody knows of is an error, and without faults there is no such call.
fn has_fault(device: Device<'_>, fault: &str) -> Result<u32, u32> {
    let gpu = device.whole()?;
    fact(gpu, "faults", |faults| faults.as_array().map(|_| ()))?;
    Ok(u32::from(list(gpu, "faults").iter().any(|listed| listed == fault)))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetRemappedRows(
    device: nvmlDevice_t,
    correctable: *mut u32,
    uncorrectable: *mut u32,
    pending: *mut u32,
    failed: *mut u32,
) -> nvmlReturn_t {
    ask("nvmlDeviceGetRemappedRows", device, |_, device| {
        let faults = [has_fault(device, "row-remap-pending")?, has_fault(device, "row-remap-failed")?];
        // SAFETY: the caller gives four numbers to write.
        unsafe {
            answer::value(correctable, 0)?;
            answer::value(uncorrectable, faults.iter().sum())?;
            answer::value(pending, faults[0])?;
            answer::value(failed, faults[1])
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetRetiredPagesPendingStatus(
    device: nvmlDevice_t,
    out: *mut u32,
) -> nvmlReturn_t {
    ask("nvmlDeviceGetRetiredPagesPendingStatus", device, |_, device| {
        let pending = has_fault(device, "page-retirement-pending")?;
        // SAFETY: the caller gives a C enum to write, an `u32`.
        unsafe { answer::value(out, pending) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetRepairStatus(
    device: nvmlDevice_t,
    out: *mut nvmlRepairStatus_t,
) -> nvmlReturn_t {
    ask("nvmlDeviceGetRepairStatus", device, |_, device| {
        // SAFETY: the caller gives a structure whose first field it has filled in, as NVML demands.
        unsafe { versioned(out.cast(), 0x0100_000c)? };
        let status = nvmlRepairStatus_t {
            version: 0x0100_000c,
            bChannelRepairPending: has_fault(device, "channel-repair-pending")?,
            bTpcRepairPending: has_fault(device, "tpc-repair-pending")?,
        };
        // SAFETY: the caller gives a structure of that version to write.
        unsafe { answer::value(out, status) }
    })
}

/// The older form, without a version.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetGpuFabricInfo(
    device: nvmlDevice_t,
    out: *mut nvmlGpuFabricInfo_t,
) -> nvmlReturn_t {
    ask("nvmlDeviceGetGpuFabricInfo", device, |_, device| {
        // SAFETY: the caller gives a structure to write.
        unsafe { answer::value(out, fabric(device)?) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetGpuFabricInfoV(
    device: nvmlDevice_t,
    out: *mut nvmlGpuFabricInfo_v2_t,
) -> nvmlReturn_t {
    ask("nvmlDeviceGetGpuFabricInfoV", device, |_, device| {
        // SAFETY: the caller gives a structure whose first field it has filled in, as NVML demands.
        unsafe { versioned(out.cast(), 0x0200_0024)? };
        let fabric = fabric(device)?;
        let info = nvmlGpuFabricInfo_v2_t {
            version: 0x0200_0024,
            clusterUuid: fabric.clusterUuid,
            status: fabric.status,
            cliqueId: fabric.cliqueId,
            state: fabric.state,
            healthMask: 0,
        };
        // SAFETY: the caller gives a structure of that version to write.
        unsafe { answer::value(out, info) }
    })
}

/// How a GPU has joined its fabric; it always ends well.
fn fabric(device: Device<'_>) -> Result<nvmlGpuFabricInfo_t, u32> {
    let gpu = device.whole()?;
    let state = fact(gpu, "fabric", |state| match state.as_str()? {
        "not-started" => Some(1),
        "in-progress" => Some(2),
        "completed" => Some(3),
        _ => None,
    })?;
    let mut info = nvmlGpuFabricInfo_t { clusterUuid: [0; 16], status: 0, cliqueId: 0, state };
    if let Some((cluster, clique)) =
        gpu.get("clique").and_then(Value::as_str).and_then(|name| name.split_once('.'))
    {
        let digits: String = cluster.chars().filter(char::is_ascii_hexdigit).collect();
        let number = u128::from_str_radix(&digits, 16).map_err(|_| code::UNKNOWN)?;
        info.clusterUuid = number.to_be_bytes();
        info.cliqueId = clique.parse().map_err(|_| code::UNKNOWN)?;
    }
    Ok(info)
}

/// Whether a structure's first field is the version that this library has.
///
/// # Safety
/// `out` is null or points to a number that may be read.
pub(crate) unsafe fn versioned(out: *const u32, own: u32) -> Outcome {
    if out.is_null() {
        return Err(code::INVALID_ARGUMENT);
    }
    // SAFETY: it is not null, so the caller vouches for it.
    if unsafe { out.read() } == own { Ok(()) } else { Err(code::ARGUMENT_VERSION_MISMATCH) }
}
