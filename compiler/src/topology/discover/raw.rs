//! The calls that `nvml-wrapper` lacks or gets wrong.
#![expect(
    unsafe_code,
    reason = "NVML's C functions, called where the safe wrapper has no or a wrong form of them"
)]

use nvml_wrapper::error::{NvmlError, nvml_try};
use nvml_wrapper::{Device, Nvml};
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlMemory_t, nvmlReturn_t};

/// A getter of one number of a device.
type Getter = unsafe extern "C" fn(nvmlDevice_t, *mut u32) -> nvmlReturn_t;

/// `NVML_NVLINK_DEVICE_TYPE_SWITCH`
const SWITCH: u32 = 2;

/// The id of a MIG device's GPU instance.
pub(super) fn gpu_instance_id(nvml: &Nvml, device: &Device<'_>) -> Result<u32, NvmlError> {
    number(&nvml.lib().nvmlDeviceGetGpuInstanceId, device)
}

/// The id of a MIG device's compute instance.
pub(super) fn compute_instance_id(nvml: &Nvml, device: &Device<'_>) -> Result<u32, NvmlError> {
    number(&nvml.lib().nvmlDeviceGetComputeInstanceId, device)
}

/// Total memory in bytes by the call that drivers before R510 have.
pub(super) fn total_memory(nvml: &Nvml, device: &Device<'_>) -> Result<u64, NvmlError> {
    let call = symbol(&nvml.lib().nvmlDeviceGetMemoryInfo)?;
    let mut memory = nvmlMemory_t { total: 0, free: 0, used: 0 };
    // SAFETY: the handle is of a device of this `nvml`, which is alive, and the call writes one `nvmlMemory_t`.
    nvml_try(unsafe { call(device.handle(), &raw mut memory) })?;
    Ok(memory.total)
}

/// Whether an NVSwitch is at the far end of a link: the wrapper's own call writes the answer into a temporary and
/// loses it.
pub(super) fn leads_to_switch(nvml: &Nvml, device: &Device<'_>, link: u32) -> Result<bool, NvmlError> {
    let call = symbol(&nvml.lib().nvmlDeviceGetNvLinkRemoteDeviceType)?;
    let mut kind = u32::MAX;
    // SAFETY: the handle is of a device of this `nvml`, which is alive, and the call writes one C enum, an `u32`.
    nvml_try(unsafe { call(device.handle(), link, &raw mut kind) })?;
    Ok(kind == SWITCH)
}

fn number<E: ToString>(getter: &Result<Getter, E>, device: &Device<'_>) -> Result<u32, NvmlError> {
    let call = symbol(getter)?;
    let mut id = 0;
    // SAFETY: the handle is of a device of the library that `getter` is of, and the call writes one `u32`.
    nvml_try(unsafe { call(device.handle(), &raw mut id) })?;
    Ok(id)
}

/// A function of the loaded library, if the library has it.
fn symbol<F: Copy, E: ToString>(found: &Result<F, E>) -> Result<F, NvmlError> {
    found.as_ref().copied().map_err(|error| NvmlError::FailedToLoadSymbol(error.to_string()))
}
