//! The calls that `nvml-wrapper` lacks or gets wrong.
#![expect(
    unsafe_code,
    reason = "NVML's C functions, called where the safe wrapper has no or a wrong form of them"
)]

use std::ffi::c_char;
use std::ptr;

use nvml_wrapper::error::{NvmlError, nvml_try};
use nvml_wrapper::{Device, Nvml};
use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlExcludedDeviceInfo_t, nvmlGpuFabricInfo_t, nvmlGpuFabricInfo_v2_t,
    nvmlGpuFabricInfo_v3_t, nvmlGpuInstanceInfo_t, nvmlGpuInstancePlacement_t, nvmlMemory_t, nvmlPciInfo_t,
    nvmlRepairStatus_t, nvmlReturn_t,
};

use crate::topology::Fact;

/// A getter of one number of a device.
type Getter = unsafe extern "C" fn(nvmlDevice_t, *mut u32) -> nvmlReturn_t;

/// `NVML_NVLINK_DEVICE_TYPE_SWITCH`
const SWITCH: u32 = 2;

/// `NVML_NVLINK_DEVICE_TYPE_UNKNOWN`
const NO_KIND: u32 = 255;

/// More GPUs than a kernel module can have.
const MOST_EXCLUDED: u32 = 256;

/// The id of a MIG device's GPU instance.
pub(super) fn gpu_instance_id(nvml: &Nvml, device: &Device<'_>) -> Result<u32, NvmlError> {
    number(&nvml.lib().nvmlDeviceGetGpuInstanceId, device)
}

/// The id of a MIG device's compute instance.
pub(super) fn compute_instance_id(nvml: &Nvml, device: &Device<'_>) -> Result<u32, NvmlError> {
    number(&nvml.lib().nvmlDeviceGetComputeInstanceId, device)
}

/// The memory unit at which a GPU instance of a whole GPU begins; NVML tells only root.
pub(super) fn instance_start(nvml: &Nvml, gpu: &Device<'_>, id: u32) -> Result<u32, NvmlError> {
    let by_id = symbol(&nvml.lib().nvmlDeviceGetGpuInstanceById)?;
    let describe = symbol(&nvml.lib().nvmlGpuInstanceGetInfo)?;
    let mut instance = ptr::null_mut();
    // SAFETY: the handle is of a device of this `nvml`, which is alive, and the call writes one handle.
    nvml_try(unsafe { by_id(gpu.handle(), id, &raw mut instance) })?;
    let mut info = nvmlGpuInstanceInfo_t {
        device: ptr::null_mut(),
        id: 0,
        profileId: 0,
        placement: nvmlGpuInstancePlacement_t { start: 0, size: 0 },
    };
    // SAFETY: the handle is the one that the library has just given, and the call writes one such structure.
    nvml_try(unsafe { describe(instance, &raw mut info) })?;
    Ok(info.placement.start)
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
    let mut kind = NO_KIND;
    // SAFETY: the handle is of a device of this `nvml`, which is alive, and the call writes one C enum, an `u32`.
    nvml_try(unsafe { call(device.handle(), link, &raw mut kind) })?;
    if kind == NO_KIND { Err(NvmlError::Unknown) } else { Ok(kind == SWITCH) }
}

/// What is to become of memory rows.
pub(super) struct Rows {
    pub(super) is_pending: bool,
    pub(super) has_failed: bool,
}

/// Whether rows await remapping, and whether that has failed.
pub(super) fn remapped_rows(nvml: &Nvml, device: &Device<'_>) -> Result<Rows, NvmlError> {
    let call = symbol(&nvml.lib().nvmlDeviceGetRemappedRows)?;
    let [mut correctable, mut uncorrectable, mut pending, mut failed] = [0; 4];
    // SAFETY: the handle is of a device of this `nvml`, which is alive, and the call writes four `u32`.
    nvml_try(unsafe {
        call(device.handle(), &raw mut correctable, &raw mut uncorrectable, &raw mut pending, &raw mut failed)
    })?;
    Ok(Rows { is_pending: pending != 0, has_failed: failed != 0 })
}

/// Repairs that await a reset.
pub(super) struct Repairs {
    pub(super) channel: bool,
    pub(super) tpc: bool,
}

/// Which repairs await a reset.
pub(super) fn repairs(nvml: &Nvml, device: &Device<'_>) -> Result<Repairs, NvmlError> {
    let call = symbol(&nvml.lib().nvmlDeviceGetRepairStatus)?;
    let mut status = nvmlRepairStatus_t {
        version: version::<nvmlRepairStatus_t>(1),
        bChannelRepairPending: 0,
        bTpcRepairPending: 0,
    };
    // SAFETY: the handle is of a device of this `nvml`, which is alive, and the call writes one structure of the version
    // that it is given.
    nvml_try(unsafe { call(device.handle(), &raw mut status) })?;
    Ok(Repairs { channel: status.bChannelRepairPending != 0, tpc: status.bTpcRepairPending != 0 })
}

/// What a GPU says of its fabric.
pub(super) struct Fabric {
    pub(super) state: u8,
    /// NVML's code of how joining ended.
    pub(super) status: u32,
    cluster: [u8; 16],
    clique: u32,
}

impl Fabric {
    /// `CLUSTER-UUID.CLIQUE`; a fabric within one host has no UUID.
    pub(super) fn clique(&self) -> Fact<String> {
        if self.cluster == [0; 16] {
            return Fact::Absent;
        }
        let hex: Vec<String> = self.cluster.iter().map(|byte| format!("{byte:02x}")).collect();
        let parts = [0..4, 4..6, 6..8, 8..10, 10..16].map(|part| hex.get(part).unwrap_or_default().concat());
        Fact::Known(format!("{}.{}", parts.join("-"), self.clique))
    }
}

/// How a GPU has joined its fabric, by the newer call or the one that drivers before R545 have.
pub(super) fn fabric(nvml: &Nvml, device: &Device<'_>) -> Result<Fabric, NvmlError> {
    let Ok(call) = symbol(&nvml.lib().nvmlDeviceGetGpuFabricInfoV) else { return older_fabric(nvml, device) };
    let mut info = nvmlGpuFabricInfo_v3_t {
        // The second version suffices, and is smaller than the structure that is passed.
        version: version::<nvmlGpuFabricInfo_v2_t>(2),
        clusterUuid: [0; 16],
        status: 0,
        cliqueId: 0,
        state: 0,
        healthMask: 0,
        healthSummary: 0,
    };
    // SAFETY: the handle is of a device of this `nvml`, which is alive, and the call writes one structure of the version
    // that it is given, which begins like the third and is no larger.
    nvml_try(unsafe { call(device.handle(), &raw mut info) })?;
    let (state, status) = (info.state, info.status);
    Ok(Fabric { state, status, cluster: info.clusterUuid, clique: info.cliqueId })
}

fn older_fabric(nvml: &Nvml, device: &Device<'_>) -> Result<Fabric, NvmlError> {
    let call = symbol(&nvml.lib().nvmlDeviceGetGpuFabricInfo)?;
    let mut info = nvmlGpuFabricInfo_t { clusterUuid: [0; 16], status: 0, cliqueId: 0, state: 0 };
    // SAFETY: the handle is of a device of this `nvml`, which is alive, and the call writes one such structure.
    nvml_try(unsafe { call(device.handle(), &raw mut info) })?;
    let (state, status) = (info.state, info.status);
    Ok(Fabric { state, status, cluster: info.clusterUuid, clique: info.cliqueId })
}

/// A GPU that the driver was told to leave out.
pub(super) struct Excluded {
    /// As NVML writes it.
    pub(super) bus_id: String,
    pub(super) uuid: String,
}

/// The GPUs that the driver was told to leave out.
pub(super) fn excluded(nvml: &Nvml) -> Result<Vec<Excluded>, NvmlError> {
    let call = symbol(&nvml.lib().nvmlGetExcludedDeviceCount)?;
    let mut count = 0;
    // SAFETY: `nvml` is alive, and the call writes one `u32`.
    nvml_try(unsafe { call(&raw mut count) })?;
    (0..count.min(MOST_EXCLUDED)).map(|index| excluded_device(nvml, index)).collect()
}

fn excluded_device(nvml: &Nvml, index: u32) -> Result<Excluded, NvmlError> {
    let call = symbol(&nvml.lib().nvmlGetExcludedDeviceInfoByIndex)?;
    let mut info = nvmlExcludedDeviceInfo_t {
        pciInfo: nvmlPciInfo_t {
            busIdLegacy: [0; 16],
            domain: 0,
            bus: 0,
            device: 0,
            pciDeviceId: 0,
            pciSubSystemId: 0,
            busId: [0; 32],
        },
        uuid: [0; 80],
    };
    // SAFETY: `nvml` is alive, and the call writes one such structure.
    nvml_try(unsafe { call(index, &raw mut info) })?;
    Ok(Excluded { bus_id: text(&info.pciInfo.busId), uuid: text(&info.uuid) })
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

/// What NVML wants in a structure's first field: its size and version.
fn version<T>(version: u32) -> u32 {
    // No structure of NVML is near this large.
    u32::try_from(size_of::<T>()).unwrap_or_default() | (version << 24)
}

/// The text before the first NUL.
fn text(buffer: &[c_char]) -> String {
    let bytes = buffer.iter().take_while(|byte| **byte != 0).map(|byte| byte.to_ne_bytes()[0]);
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}
