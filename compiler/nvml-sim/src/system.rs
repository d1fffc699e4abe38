//! Calls about the whole host.

use std::ffi::{c_char, c_int};

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlExcludedDeviceInfo_t, nvmlReturn_t};
use serde_json::Value;

use crate::document::{self, Host, gpu_handle};
use crate::{answer, ask, call, code};

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
        let lost = host.out_of_service().iter().filter(|gpu| document::number(gpu, "index").is_some());
        let count = host.gpus().len().saturating_add(lost.count());
        let count = u32::try_from(count).map_err(|_| code::UNKNOWN)?;
        // SAFETY: the caller gives a number to write.
        unsafe { answer::value(out, count) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: u32, out: *mut nvmlDevice_t) -> nvmlReturn_t {
    // The fault is looked for by the index, which no other call is given.
    call("", |host| {
        host.faults.meet("nvmlDeviceGetHandleByIndex_v2", Some(index))?;
        let is_it = |gpu: &Value| document::number(gpu, "index") == Some(index);
        let place = host.gpus().iter().position(is_it);
        let lost = host.out_of_service().iter().find(|gpu| is_it(gpu));
        let none = if lost.is_some() { code::GPU_IS_LOST } else { code::INVALID_ARGUMENT };
        let handle = place.map(gpu_handle).ok_or(none)?;
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
    ask("nvmlDeviceGetTopologyCommonAncestor", one, |host, one| {
        let link = host.link(one.whole()?, host.device(other)?.whole()?).ok_or(code::UNKNOWN)?;
        let level = match document::text(link, "level")? {
            "internal" => 0,
            "single" => 10,
            "multiple" => 20,
            "hostbridge" => 30,
            "node" => 40,
            "system" => 50,
            _ => return Err(code::UNKNOWN),
        };
        // SAFETY: the caller gives a C enum to write, an `u32`.
        unsafe { answer::value(out, level) }
    })
}

/// The document has one word for reading and writing, and none for the rest.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetP2PStatus(
    one: nvmlDevice_t,
    other: nvmlDevice_t,
    what: u32,
    out: *mut u32,
) -> nvmlReturn_t {
    ask("nvmlDeviceGetP2PStatus", one, |host, one| {
        let link = host.link(one.whole()?, host.device(other)?.whole()?).ok_or(code::UNKNOWN)?;
        let status = match (what, document::text(link, "p2p")?) {
            (0 | 1, "ok") => 0,
            (0 | 1, "chipset-not-supported") => 1,
            (0 | 1, "gpu-not-supported") => 2,
            (0 | 1, "topology-not-supported") => 3,
            (0 | 1, "disabled-by-regkey") => 4,
            (0 | 1, "not-supported") => 5,
            // What no header of today names.
            (0 | 1, _) => 7,
            _ => 6,
        };
        // SAFETY: the caller gives a C enum to write, an `u32`.
        unsafe { answer::value(out, status) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlGetExcludedDeviceCount(out: *mut u32) -> nvmlReturn_t {
    call("nvmlGetExcludedDeviceCount", |host| {
        let count = u32::try_from(excluded(host).count()).map_err(|_| code::UNKNOWN)?;
        // SAFETY: the caller gives a number to write.
        unsafe { answer::value(out, count) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlGetExcludedDeviceInfoByIndex(
    index: u32,
    out: *mut nvmlExcludedDeviceInfo_t,
) -> nvmlReturn_t {
    call("nvmlGetExcludedDeviceInfoByIndex", |host| {
        let index = usize::try_from(index).map_err(|_| code::INVALID_ARGUMENT)?;
        let gpu = excluded(host).nth(index).ok_or(code::INVALID_ARGUMENT)?;
        let info = nvmlExcludedDeviceInfo_t {
            pciInfo: answer::pci(document::text(gpu, "pci")?)?,
            uuid: answer::buffer(document::text(gpu, "uuid")?),
        };
        // SAFETY: the caller gives a structure to write.
        unsafe { answer::value(out, info) }
    })
}

fn excluded(host: &Host) -> impl Iterator<Item = &Value> {
    host.out_of_service().iter().filter(|gpu| document::text(gpu, "state") == Ok("excluded"))
}
