//! A simulated `libnvidia-ml.so.1`.
//!
//! It answers NVML's C calls from `topology.json` in the directory that the library itself lies in, so that tests can
//! discover a host that is not there. Copies of the library in different directories are different hosts. The document
//! is read as plain JSON, not by gpupol's own reader, so that a mistake there is not made twice.
//!
//! `faults.json` beside it is a list of misbehaviours, of which the first that fits a call counts: `call` (a function's
//! name, or `*` for all that are about a GPU), `gpu` (an index; absent: every one), `code` (what is returned instead of
//! an answer) and `hangMs` (for how long nothing is returned). A function that is missing altogether is one that the
//! test has taken out of its copy of the library.
#![expect(unsafe_code, reason = "NVML's interface is C functions that write through pointers")]

mod answer;
mod condition;
mod device;
mod document;
mod fault;
mod mig;
mod nvlink;
mod system;

use document::{Device, Host};
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlReturn_t};

/// NVML's return codes that are used here.
mod code {
    pub(crate) const SUCCESS: u32 = 0;
    pub(crate) const INVALID_ARGUMENT: u32 = 2;
    pub(crate) const NOT_SUPPORTED: u32 = 3;
    pub(crate) const NO_PERMISSION: u32 = 4;
    pub(crate) const NOT_FOUND: u32 = 6;
    pub(crate) const INSUFFICIENT_SIZE: u32 = 7;
    pub(crate) const DRIVER_NOT_LOADED: u32 = 9;
    pub(crate) const GPU_IS_LOST: u32 = 15;
    pub(crate) const ARGUMENT_VERSION_MISMATCH: u32 = 25;
    pub(crate) const UNKNOWN: u32 = 999;
}

/// What a call comes to: done, or the code of its failure.
type Outcome = Result<(), u32>;

/// Runs the body of the call `name` about the whole host, unless it is to fail.
fn call(name: &str, body: impl FnOnce(&Host) -> Outcome) -> nvmlReturn_t {
    end(document::host().and_then(|host| {
        host.faults.meet(name, None)?;
        body(host)
    }))
}

/// Runs the body of the call `name` about one GPU or MIG device, unless it is to fail.
fn ask(name: &str, device: nvmlDevice_t, body: impl FnOnce(&Host, Device<'_>) -> Outcome) -> nvmlReturn_t {
    end(document::host().and_then(|host| {
        let device = host.device(device)?;
        host.faults.meet(name, document::number(device.gpu, "index"))?;
        body(host, device)
    }))
}

fn end(outcome: Outcome) -> nvmlReturn_t {
    outcome.err().unwrap_or(code::SUCCESS)
}
