//! What one device answers: each property, or why it is not known. A lost GPU is found out by whatever getter says so.

use std::cell::RefCell;

use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::unknown;
use crate::topology::Fact;

/// A device that is asked.
pub(super) struct Answers<'d> {
    pub(super) nvml: &'d Nvml,
    pub(super) device: &'d Device<'d>,
    lost: RefCell<Option<String>>,
}

impl<'d> Answers<'d> {
    pub(super) fn of(nvml: &'d Nvml, device: &'d Device<'d>) -> Self {
        Self { nvml, device, lost: RefCell::default() }
    }

    /// The property that `call` gave, or why it did not.
    pub(super) fn fact<T>(&self, call: &str, result: Result<T, NvmlError>) -> Fact<T> {
        result.map_or_else(|error| self.unknown(call, &error), Fact::Known)
    }

    /// The same of a property that not every GPU has: it is absent where the call is not supported.
    pub(super) fn optional<T>(&self, call: &str, result: Result<T, NvmlError>) -> Fact<T> {
        match result {
            Err(NvmlError::NotSupported) => Fact::Absent,
            result => self.fact(call, result),
        }
    }

    /// That `call` failed.
    pub(super) fn unknown<T>(&self, call: &str, error: &NvmlError) -> Fact<T> {
        if matches!(error, NvmlError::GpuLost) {
            self.lost.borrow_mut().get_or_insert_with(|| format!("{call}: {error}"));
        }
        unknown(call, error)
    }

    /// Which call said first that the GPU is lost, if one did.
    pub(super) fn lost(&self) -> Option<String> {
        self.lost.borrow().clone()
    }
}
