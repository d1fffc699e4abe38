//! The document beside the library, and how devices are found in it.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nvml_wrapper_sys::bindings::nvmlDevice_t;
use serde_json::Value;

use crate::code;
use crate::fault::Faults;

/// The host that this library simulates.
pub(crate) struct Host {
    topology: Value,
    pub(crate) faults: Faults,
}

impl Host {
    /// What is at a JSON pointer of the topology.
    pub(crate) fn at(&self, pointer: &str) -> Result<&Value, u32> {
        self.topology.pointer(pointer).ok_or(code::UNKNOWN)
    }

    /// The GPUs.
    pub(crate) fn gpus(&self) -> &[Value] {
        list(&self.topology, "gpus")
    }

    /// The GPU or MIG device of a handle, and the GPU it is on.
    pub(crate) fn device(&self, handle: nvmlDevice_t) -> Result<Device<'_>, u32> {
        let number = handle.addr();
        let gpu = (number & 0xff).checked_sub(1).and_then(|gpu| self.gpus().get(gpu));
        let gpu = gpu.ok_or(code::INVALID_ARGUMENT)?;
        let mig = (number >> 8).checked_sub(1);
        let mig = mig.map(|mig| list(gpu, "migDevices").get(mig).ok_or(code::INVALID_ARGUMENT));
        Ok(Device { gpu, mig: mig.transpose()? })
    }

    /// The link of the document between two GPUs.
    pub(crate) fn link(&self, one: &Value, other: &Value) -> Option<&Value> {
        let (one, other) = (number(one, "index")?, number(other, "index")?);
        let pair = serde_json::json!([one.min(other), one.max(other)]);
        list(&self.topology, "links").iter().find(|link| link.get("gpus") == Some(&pair))
    }

    /// GPUs that nobody can use.
    pub(crate) fn out_of_service(&self) -> &[Value] {
        list(&self.topology, "outOfService")
    }
}

/// What a handle stands for.
#[derive(Clone, Copy)]
pub(crate) struct Device<'h> {
    pub(crate) gpu: &'h Value,
    pub(crate) mig: Option<&'h Value>,
}

impl<'h> Device<'h> {
    /// The MIG device, or else the GPU.
    pub(crate) fn own(&self) -> &'h Value {
        self.mig.unwrap_or(self.gpu)
    }

    /// The GPU, if it is no MIG device.
    pub(crate) fn whole(&self) -> Result<&'h Value, u32> {
        if self.mig.is_some() { Err(code::NOT_SUPPORTED) } else { Ok(self.gpu) }
    }
}

/// The handle of a GPU by its place.
pub(crate) fn gpu_handle(place: usize) -> nvmlDevice_t {
    std::ptr::without_provenance_mut(place.saturating_add(1))
}

/// The handle of a MIG device by its place on the GPU that `parent` stands for.
pub(crate) fn mig_handle(parent: nvmlDevice_t, place: usize) -> nvmlDevice_t {
    std::ptr::without_provenance_mut((place.saturating_add(1) << 8) | parent.addr())
}

/// The list at `key`.
pub(crate) fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The number at `key`.
pub(crate) fn number(value: &Value, key: &str) -> Option<u32> {
    value.get(key)?.as_u64()?.try_into().ok()
}

/// The fact at `key`, of which `read` makes what the call gives: what is absent is not supported.
pub(crate) fn fact<T>(value: &Value, key: &str, read: impl FnOnce(&Value) -> Option<T>) -> Result<T, u32> {
    match value.get(key) {
        Some(Value::Null) => Err(code::NOT_SUPPORTED),
        value => value.and_then(read).ok_or(code::UNKNOWN),
    }
}

/// The text at `key`.
pub(crate) fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str, u32> {
    value.get(key).and_then(Value::as_str).ok_or(code::UNKNOWN)
}

/// The host that the document beside the library describes; without one the driver counts as not loaded.
pub(crate) fn host() -> Result<&'static Host, u32> {
    static HOST: OnceLock<Option<Host>> = OnceLock::new();
    HOST.get_or_init(read).as_ref().ok_or(code::DRIVER_NOT_LOADED)
}

fn read() -> Option<Host> {
    let directory = own_path()?.parent()?.to_owned();
    let topology = json(&directory.join("topology.json"))?;
    Some(Host { topology, faults: Faults::of(json(&directory.join("faults.json"))) })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the library is a stand-in for hardware, not part of the compiler"
)]
fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[repr(C)]
struct DlInfo {
    file_name: *const c_char,
    file_base: *mut c_void,
    symbol_name: *const c_char,
    symbol_base: *mut c_void,
}

unsafe extern "C" {
    fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
}

/// Where this library was loaded from. An environment variable would be one for all copies in a process.
fn own_path() -> Option<PathBuf> {
    let null: *mut c_void = std::ptr::null_mut();
    let mut info =
        DlInfo { file_name: null.cast(), file_base: null, symbol_name: null.cast(), symbol_base: null };
    let address = host as fn() -> Result<&'static Host, u32> as *const c_void;
    // SAFETY: `info` is a `Dl_info` that outlives the call.
    let found = unsafe { dladdr(address, &raw mut info) };
    if found == 0 || info.file_name.is_null() {
        return None;
    }
    // SAFETY: on success `dladdr` points this at the loader's own, NUL-terminated name, which lives as long as the
    // library.
    let name = unsafe { CStr::from_ptr(info.file_name) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}
