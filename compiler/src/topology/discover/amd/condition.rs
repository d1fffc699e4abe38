//! In what condition a GPU of AMD is, as far as the kernel says so.

use gpupol_plan::kfd;

use super::{Fact, Root};
use crate::topology::{Fault, Faults};

/// The bit of KFD's `capability` that says that errors of the memory are corrected, since Linux 5.3.
const CORRECTS_MEMORY: u64 = 1 << 20;

/// Whether its memory corrects errors. That it does not is never said: a virtual machine is not told that it does.
pub(super) fn ecc(properties: &str) -> Fact<bool> {
    let capability = kfd::value(properties, "capability").and_then(|text| text.parse::<u64>().ok());
    match capability {
        Some(capability) if capability & CORRECTS_MEMORY != 0 => Fact::Known(true),
        _ => Fact::unknown("KFD does not say that its memory corrects errors"),
    }
}

/// What is wrong with it, by the list of bad memory pages, each with a letter: `R` is retired, `P` is at the next load of
/// the driver, `F` could not be.
pub(super) fn faults(root: &Root, pci: &str) -> Fact<Faults> {
    let path = format!("/sys/bus/pci/devices/{pci}/ras/gpu_vram_bad_pages");
    match root.text(&path) {
        Err(reason) => Fact::Unknown(format!("`{path}`: {reason}")),
        Ok(text) => Fact::Known(text.lines().filter_map(fault).collect()),
    }
}

fn fault(line: &str) -> Option<Fault> {
    match line.rsplit(':').next()?.trim() {
        "P" => Some(Fault::PageRetirementPending),
        "F" => Some(Fault::PageRetirementFailed),
        _ => None,
    }
}
