//! Calls about the whole host.

use std::ffi::{c_char, c_int};

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlReturn_t};
use serde_json::Value;

use crate::document::{self, gpu_handle};
use crate::{answer, call, code};

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> nvmlReturn_t {
    call("nvmlInit_v2", |_| Ok(()))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInitWithFlags(_flags: u32) -> nvmlReturn_t {
    call("nvmlInitWithFlags", |_| Ok(()))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> nvmlReturn_t {
    call("nvmlShutdown", |_| Ok(()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetDriverVersion(out: *mut c_char, room: u32) -> nvmlReturn_t {
    call("nvmlSystemGetDriverVersion", |host| {
        let version = host.at("/drivers/nvidia/version")?.as_str().ok_or(code::UNKNOWN)?;
        // SAFETY: the caller gives a buffer of `room` bytes.
        unsafe { answer::text(out, room, version) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetCudaDriverVersion_v2(out: *mut c_int) -> nvmlReturn_t {
    call("nvmlSystemGetCudaDriverVersion_v2", |host| {
        let version = host.at("/drivers/nvidia/cuda")?.as_str().and_then(|text| text.split_once('.'));
        let parts = version.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let (major, minor): (c_int, c_int) = parts.ok_or(code::UNKNOWN)?;
        // SAFETY: the caller gives a number to write.
        unsafe { answer::value(out, major * 1000 + minor * 10) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetCount_v2(out: *mut u32) -> nvmlReturn_t {
    call("nvmlDeviceGetCount_v2", |host| {
        let count = u32::try_from(host.gpus().len()).map_err(|_| code::UNKNOWN)?;
        // SAFETY: the caller gives a number to write.
        unsafe { answer::value(out, count) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: u32, out: *mut nvmlDevice_t) -> nvmlReturn_t {
    call("nvmlDeviceGetHandleByIndex_v2", |host| {
        let place = host.gpus().iter().position(|gpu| document::number(gpu, "index") == Some(index));
        let handle = place.map(gpu_handle).ok_or(code::INVALID_ARGUMENT)?;
        // SAFETY: the caller gives a handle to write.
        unsafe { answer::value(out, handle) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetTopologyCommonAncestor(
    one: nvmlDevice_t,
    other: nvmlDevice_t,
    out: *mut u32,
) -> nvmlReturn_t {
    call("nvmlDeviceGetTopologyCommonAncestor", |host| {
        let link = host.link(host.gpu(one)?, host.gpu(other)?);
        let level = match link.and_then(|link| link.get("level")).and_then(Value::as_str) {
            Some("internal") => 0,
            Some("single") => 10,
            Some("multiple") => 20,
            Some("hostbridge") => 30,
            Some("node") => 40,
            Some("system") => 50,
            _ => return Err(code::UNKNOWN),
        };
        // SAFETY: the caller gives a C enum to write, an `u32`.
        unsafe { answer::value(out, level) }
    })
}
