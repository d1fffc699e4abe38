//! The simulated library keeps to NVML's interface: sizes and version words of its structures are those of the header.
#![expect(unsafe_code, reason = "the calls are made as C programs make them")]

use std::mem::size_of;

use nvml_wrapper::Nvml;
use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlExcludedDeviceInfo_t, nvmlGpuFabricInfo_t, nvmlGpuFabricInfo_v2_t,
    nvmlGpuFabricInfo_v3_t, nvmlMemory_t, nvmlMemory_v2_t, nvmlPciInfo_t, nvmlRepairStatus_t, nvmlReturn_t,
};

use crate::recorded;
use crate::simulation::Simulation;

/// What NVML answers to a structure of another version.
const VERSION_MISMATCH: nvmlReturn_t = 25;

#[test]
fn structures_have_the_sizes_of_the_header() {
    let sizes = [
        (size_of::<nvmlPciInfo_t>(), 68),
        (size_of::<nvmlMemory_t>(), 24),
        (size_of::<nvmlMemory_v2_t>(), 40),
        (size_of::<nvmlGpuFabricInfo_t>(), 28),
        (size_of::<nvmlGpuFabricInfo_v2_t>(), 36),
        (size_of::<nvmlGpuFabricInfo_v3_t>(), 40),
        (size_of::<nvmlExcludedDeviceInfo_t>(), 148),
        (size_of::<nvmlRepairStatus_t>(), 12),
    ];
    for (place, (own, known)) in sizes.into_iter().enumerate() {
        assert_eq!(own, known, "structure {place}");
    }
}

/// Calls `call` with a structure that says `version`, in room enough for any of them.
fn answer<T, E: std::fmt::Debug>(
    call: &Result<unsafe extern "C" fn(nvmlDevice_t, *mut T) -> nvmlReturn_t, E>,
    device: nvmlDevice_t,
    version: u32,
) -> nvmlReturn_t {
    let mut room = [0u64; 32];
    room[0] = u64::from_le_bytes([version.to_le_bytes(), [0; 4]].concat().try_into().unwrap());
    // SAFETY: the room is larger than `T` and as aligned, and lives through the call.
    unsafe { call.as_ref().unwrap()(device, room.as_mut_ptr().cast()) }
}

#[test]
fn another_version_word_is_answered_as_nvml_does() {
    let simulation = Simulation::of("abi", &recorded("campus"));
    let nvml = Nvml::builder().lib_path(simulation.library().as_os_str()).init().unwrap();
    let device = nvml.device_by_index(0).unwrap();
    // SAFETY: the handle is used while `nvml` lives.
    let handle = unsafe { device.handle() };
    let lib = nvml.lib();
    let memory = |version| answer(&lib.nvmlDeviceGetMemoryInfo_v2, handle, version);
    let fabric = |version| answer(&lib.nvmlDeviceGetGpuFabricInfoV, handle, version);
    let repair = |version| answer(&lib.nvmlDeviceGetRepairStatus, handle, version);
    assert_eq!(memory(0x0200_0028), 0);
    assert_eq!(repair(0x0100_000c), 0);
    // A GPU of a host without switches: the version is right, the question is not supported.
    assert_eq!(fabric(0x0200_0024), 3);
    for wrong in [0, 40, 0x0100_0028, 0x0200_0024, 0x0300_0028] {
        assert_eq!(memory(wrong), VERSION_MISMATCH, "{wrong:#x}");
    }
    for wrong in [0, 12, 0x0200_000c] {
        assert_eq!((fabric(wrong), repair(wrong)), (VERSION_MISMATCH, VERSION_MISMATCH), "{wrong:#x}");
    }
}
