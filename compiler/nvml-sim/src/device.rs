//! Calls about one GPU, and those that MIG devices answer too.

use std::ffi::{c_char, c_int};

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlMemory_t, nvmlMemory_v2_t, nvmlPciInfo_t, nvmlReturn_t};
use serde_json::Value;

use crate::condition::versioned;
use crate::document::{fact, number, text};
use crate::{answer, ask, code};

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUUID(device: nvmlDevice_t, out: *mut c_char, room: u32) -> nvmlReturn_t {
    ask("nvmlDeviceGetUUID", device, |_, device| {
        let uuid = text(device.own(), "uuid")?;
        // SAFETY: the caller gives a buffer of `room` bytes.
        unsafe { answer::text(out, room, uuid) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetName(device: nvmlDevice_t, out: *mut c_char, room: u32) -> nvmlReturn_t {
    ask("nvmlDeviceGetName", device, |_, device| {
        let model = text(device.gpu, "model")?;
        let profile = device.mig.map(|mig| text(mig, "profile")).transpose()?;
        let name = profile.map_or_else(|| model.to_owned(), |profile| format!("{model} MIG {profile}"));
        // SAFETY: the caller gives a buffer of `room` bytes.
        unsafe { answer::text(out, room, &name) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetIndex(device: nvmlDevice_t, out: *mut u32) -> nvmlReturn_t {
    ask("nvmlDeviceGetIndex", device, |_, device| {
        let index = number(device.own(), "index").ok_or(code::UNKNOWN)?;
        // SAFETY: the caller gives a number to write.
        unsafe { answer::value(out, index) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMinorNumber(device: nvmlDevice_t, out: *mut u32) -> nvmlReturn_t {
    ask("nvmlDeviceGetMinorNumber", device, |_, device| {
        let minor = number(device.gpu, "minor").ok_or(code::NOT_SUPPORTED)?;
        // SAFETY: the caller gives a number to write.
        unsafe { answer::value(out, minor) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetPciInfo_v3(device: nvmlDevice_t, out: *mut nvmlPciInfo_t) -> nvmlReturn_t {
    ask("nvmlDeviceGetPciInfo_v3", device, |_, device| {
        let info = answer::pci(&fact(device.gpu, "pci", |pci| Some(pci.as_str()?.to_owned()))?)?;
        // SAFETY: the caller gives a structure to write.
        unsafe { answer::value(out, info) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetBrand(device: nvmlDevice_t, out: *mut u32) -> nvmlReturn_t {
    ask("nvmlDeviceGetBrand", device, |_, device| {
        let brand = match text(device.whole()?, "brand")? {
            "unknown" => 0,
            "quadro" => 1,
            "tesla" => 2,
            "nvs" => 3,
            "grid" => 4,
            "geforce" => 5,
            "titan" => 6,
            "cloudgaming" => 11,
            "nvidiartx" => 13,
            "nvidia" => 14,
            "geforcertx" => 15,
            // One that no header of today names.
            _ => 18,
        };
        // SAFETY: the caller gives a number to write.
        unsafe { answer::value(out, brand) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetArchitecture(device: nvmlDevice_t, out: *mut u32) -> nvmlReturn_t {
    ask("nvmlDeviceGetArchitecture", device, |_, device| {
        let architecture = match text(device.whole()?, "architecture")? {
            "Volta" => 5,
            "Turing" => 6,
            "Ampere" => 7,
            "Ada" => 8,
            "Hopper" => 9,
            "Blackwell" => 10,
            // One that no header of today names.
            _ => 13,
        };
        // SAFETY: the caller gives a number to write.
        unsafe { answer::value(out, architecture) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetCudaComputeCapability(
    device: nvmlDevice_t,
    major: *mut c_int,
    minor: *mut c_int,
) -> nvmlReturn_t {
    ask("nvmlDeviceGetCudaComputeCapability", device, |_, device| {
        let capability = text(device.whole()?, "computeCapability")?.split_once('.').ok_or(code::UNKNOWN)?;
        let part = |text: &str| text.parse::<c_int>().map_err(|_| code::UNKNOWN);
        let parts = (part(capability.0)?, part(capability.1)?);
        // SAFETY: the caller gives two numbers to write.
        unsafe {
            answer::value(major, parts.0)?;
            answer::value(minor, parts.1)
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo(device: nvmlDevice_t, out: *mut nvmlMemory_t) -> nvmlReturn_t {
    ask("nvmlDeviceGetMemoryInfo", device, |_, device| {
        let total = memory(device.own())?;
        // SAFETY: the caller gives a structure to write.
        unsafe { answer::value(out, nvmlMemory_t { total, free: total, used: 0 }) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(
    device: nvmlDevice_t,
    out: *mut nvmlMemory_v2_t,
) -> nvmlReturn_t {
    ask("nvmlDeviceGetMemoryInfo_v2", device, |_, device| {
        let total = memory(device.own())?;
        // SAFETY: the caller gives a structure whose first field it has filled in, as NVML demands.
        unsafe { versioned(out.cast(), 0x0200_0028)? };
        let version = 0x0200_0028;
        let info = nvmlMemory_v2_t { version, total, reserved: 0, free: total, used: 0 };
        // SAFETY: the caller gives a structure to write.
        unsafe { answer::value(out, info) }
    })
}

fn memory(device: &Value) -> Result<u64, u32> {
    device.get("memory").and_then(Value::as_u64).ok_or(code::NOT_SUPPORTED)
}
