//! A simulated `libnvidia-ml.so.1`.
//!
//! It answers NVML's C calls from `topology.json` in the directory that the library itself lies in, so that tests can
//! discover a host that is not there. Copies of the library in different directories are different hosts. The document
//! is read as plain JSON, not by gpupol's own reader, so that a mistake there is not made twice.
//!
//! `faults.json` beside it, an object of function names and return codes, makes calls fail.
#![expect(unsafe_code, reason = "NVML's interface is C functions that write through pointers")]

mod answer;
mod device;
mod document;
mod mig;
mod nvlink;
mod system;

use document::Host;
use nvml_wrapper_sys::bindings::nvmlReturn_t;

/// NVML's return codes that are used here.
mod code {
    pub(crate) const SUCCESS: u32 = 0;
    pub(crate) const INVALID_ARGUMENT: u32 = 2;
    pub(crate) const NOT_SUPPORTED: u32 = 3;
    pub(crate) const NOT_FOUND: u32 = 6;
    pub(crate) const INSUFFICIENT_SIZE: u32 = 7;
    pub(crate) const DRIVER_NOT_LOADED: u32 = 9;
    pub(crate) const ARGUMENT_VERSION_MISMATCH: u32 = 25;
    pub(crate) const UNKNOWN: u32 = 999;
}

/// What a call comes to: done, or the code of its failure.
type Outcome = Result<(), u32>;

/// Runs the body of the call `name`, unless the host says that it fails.
fn call(name: &str, body: impl FnOnce(&Host) -> Outcome) -> nvmlReturn_t {
    let outcome = document::host().and_then(|host| match host.fault(name) {
        Some(code) => Err(code),
        None => body(host),
    });
    outcome.err().unwrap_or(code::SUCCESS)
}
