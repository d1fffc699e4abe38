//! Calls about MIG.

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlGpuInstance_t, nvmlGpuInstanceInfo_t, nvmlGpuInstancePlacement_t, nvmlReturn_t,
};
use serde_json::Value;

use crate::document::{Device, list, mig_handle, number};
use crate::{Outcome, answer, ask, code};

/// What a GPU with seven compute slices can have.
const MOST: u32 = 7;

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMigMode(
    device: nvmlDevice_t,
    current: *mut u32,
    pending: *mut u32,
) -> nvmlReturn_t {
    ask("nvmlDeviceGetMigMode", device, |_, device| {
        let mode = match device.whole()?.get("mig") {
            Some(Value::Bool(mode)) => u32::from(*mode),
            Some(Value::Null) => return Err(code::NOT_SUPPORTED),
            _ => return Err(code::UNKNOWN),
        };
        // SAFETY: the caller gives two numbers to write.
        unsafe {
            answer::value(current, mode)?;
            answer::value(pending, mode)
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMaxMigDeviceCount(device: nvmlDevice_t, out: *mut u32) -> nvmlReturn_t {
    ask("nvmlDeviceGetMaxMigDeviceCount", device, |_, device| {
        let has_mig = device.whole()?.get("mig").is_some_and(Value::is_boolean);
        // SAFETY: the caller gives a number to write.
        unsafe { answer::value(out, if has_mig { MOST } else { 0 }) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    device: nvmlDevice_t,
    index: u32,
    out: *mut nvmlDevice_t,
) -> nvmlReturn_t {
    ask("nvmlDeviceGetMigDeviceHandleByIndex", device, |_, asked| {
        let devices = list(asked.whole()?, "migDevices");
        let place = devices.iter().position(|mig| number(mig, "index") == Some(index));
        let handle = place.map(|place| mig_handle(device, place)).ok_or(code::NOT_FOUND)?;
        // SAFETY: the caller gives a handle to write.
        unsafe { answer::value(out, handle) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetGpuInstanceId(device: nvmlDevice_t, out: *mut u32) -> nvmlReturn_t {
    // SAFETY: the caller gives a number to write.
    ask("nvmlDeviceGetGpuInstanceId", device, |_, device| unsafe { id(device, "gi", out) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetComputeInstanceId(device: nvmlDevice_t, out: *mut u32) -> nvmlReturn_t {
    // SAFETY: the caller gives a number to write.
    ask("nvmlDeviceGetComputeInstanceId", device, |_, device| unsafe { id(device, "ci", out) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetGpuInstanceById(
    device: nvmlDevice_t,
    id: u32,
    out: *mut nvmlGpuInstance_t,
) -> nvmlReturn_t {
    ask("nvmlDeviceGetGpuInstanceById", device, |_, asked| {
        let devices = list(asked.whole()?, "migDevices");
        let place = devices.iter().position(|mig| number(mig, "gi") == Some(id)).ok_or(code::NOT_FOUND)?;
        // The handle of an instance is that of its first MIG device.
        // SAFETY: the caller gives a handle to write.
        unsafe { answer::value(out, mig_handle(device, place).cast()) }
    })
}

/// A document that does not say where an instance begins stands for a driver that tells only root.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlGpuInstanceGetInfo(
    instance: nvmlGpuInstance_t,
    out: *mut nvmlGpuInstanceInfo_t,
) -> nvmlReturn_t {
    ask("nvmlGpuInstanceGetInfo", instance.cast(), |_, asked| {
        let mig = asked.mig.ok_or(code::INVALID_ARGUMENT)?;
        let start = number(mig, "start").ok_or(code::NO_PERMISSION)?;
        let id = number(mig, "gi").ok_or(code::UNKNOWN)?;
        let placement = nvmlGpuInstancePlacement_t { start, size: 1 };
        let info = nvmlGpuInstanceInfo_t { device: std::ptr::null_mut(), id, profileId: 0, placement };
        // SAFETY: the caller gives a structure to write.
        unsafe { answer::value(out, info) }
    })
}

/// # Safety
/// `out` is null or may be written.
unsafe fn id(device: Device<'_>, key: &str, out: *mut u32) -> Outcome {
    let mig = device.mig.ok_or(code::NOT_SUPPORTED)?;
    let id = number(mig, key).ok_or(code::UNKNOWN)?;
    // SAFETY: the caller vouches for it.
    unsafe { answer::value(out, id) }
}
