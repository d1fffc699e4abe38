//! The GPUs that nobody can use, named as well as they can be.
//!
//! NVML counts a GPU that it lost and does not say which one it is; the kernel module lists all of its GPUs and does not
//! say which NVML lost. What is missing on both sides is put together only if there is one on each.

use super::gpu::{Found, Identity, pci_address};
use super::information::{Information, Listed};
use super::raw::Excluded;
use crate::topology::{Fact, OutOfService, Outage, Vendor};

/// A GPU that NVML counts and that is of no use.
pub(super) struct Missing {
    pub(super) index: u32,
    /// What it said before it fell silent.
    pub(super) identity: Option<Identity>,
    pub(super) state: Outage,
    pub(super) reason: String,
}

/// All of them: those that NVML counts, those that only the kernel module lists, and those that NVML was told to leave out.
pub(super) fn all(
    listed: &Listed,
    found: &[Found],
    missing: Vec<Missing>,
    excluded: Vec<Excluded>,
) -> Vec<OutOfService> {
    let (named, nameless): (Vec<Missing>, Vec<Missing>) =
        missing.into_iter().partition(|missing| missing.identity.is_some());
    let mut out: Vec<OutOfService> = named.into_iter().map(|missing| known(missing, listed)).collect();
    let is_found = |pci: &String, information: &Information| {
        found.iter().any(|(gpu, _)| gpu.pci.known() == Some(pci) || information.is(&gpu.uuid))
            || out.iter().any(|gpu| gpu.pci.known() == Some(pci))
    };
    let left: Vec<_> = listed.iter().filter(|(pci, information)| !is_found(pci, information)).collect();
    let (barred, left): (Vec<_>, Vec<_>) =
        left.into_iter().partition(|(_, information)| information.is_excluded);
    out.extend(barred.into_iter().map(|(pci, information)| {
        let index = Fact::unknown("NVML does not count it");
        by_module(pci, information, index, Outage::Excluded, format!("`{}`", information.path))
    }));
    out.extend(matched(&left, nameless));
    for device in excluded {
        let pci = pci_address(&device.bus_id);
        if !out.iter().any(|gpu| gpu.pci.known() == pci.as_ref()) {
            out.push(by_nvml(device, pci));
        }
    }
    let place = |gpu: &OutOfService| {
        let index = gpu.index.known().copied().unwrap_or(u32::MAX);
        (index, gpu.pci.known().cloned(), gpu.uuid.known().cloned())
    };
    out.sort_by_cached_key(place);
    out
}

/// Those that NVML counts without a name beside those that only the kernel module lists.
fn matched(left: &[(&String, &Information)], nameless: Vec<Missing>) -> Vec<OutOfService> {
    let one_each = left.len() == 1 && nameless.len() == 1;
    let mut nameless = nameless.into_iter();
    let mut out = Vec::new();
    for (pci, information) in left {
        out.push(match nameless.next() {
            Some(Missing { index, state, reason, .. }) => {
                let index = if one_each {
                    Fact::Known(index)
                } else {
                    Fact::unknown("NVML does not say which it is")
                };
                by_module(pci, information, index, state, reason)
            }
            None => {
                let index = Fact::unknown("NVML does not count it");
                let reason = format!("NVML does not count it, `{}` does", information.path);
                by_module(pci, information, index, Outage::Uncounted, reason)
            }
        });
    }
    let nobody = || Fact::unknown("neither NVML nor the kernel module says which GPU it is");
    out.extend(nameless.map(|Missing { index, state, reason, .. }| OutOfService {
        index: if left.is_empty() {
            Fact::Known(index)
        } else {
            Fact::unknown("NVML does not say which it is")
        },
        vendor: Vendor::Nvidia,
        uuid: nobody(),
        pci: nobody(),
        minor: Fact::unknown("neither NVML nor the kernel module says which GPU it is"),
        model: nobody(),
        state,
        reason,
    }));
    out
}

/// One that has told its name. Its minor is what the kernel module says.
fn known(missing: Missing, listed: &Listed) -> OutOfService {
    let Missing { index, identity, state, reason } = missing;
    let nobody = || Fact::unknown("NVML fell silent before it said so");
    let (uuid, pci, model) = match identity {
        Some(Identity { uuid, pci, model }) => (Fact::Known(uuid), pci, Fact::Known(model)),
        None => (nobody(), nobody(), nobody()),
    };
    let information = uuid.known().and_then(|uuid| listed.of(pci.known(), uuid));
    let minor = information.and_then(|information| information.minor);
    let minor = minor.map_or_else(|| Fact::unknown("the kernel module does not say"), Fact::Known);
    OutOfService { index: Fact::Known(index), vendor: Vendor::Nvidia, uuid, pci, minor, model, state, reason }
}

fn by_module(
    pci: &str,
    information: &Information,
    index: Fact<u32>,
    state: Outage,
    reason: String,
) -> OutOfService {
    let why = information.silence.as_deref().unwrap_or("it is not there");
    let word = |word: &Option<String>| {
        word.clone().map_or_else(|| Fact::Unknown(format!("`{}`: {why}", information.path)), Fact::Known)
    };
    OutOfService {
        index,
        vendor: Vendor::Nvidia,
        uuid: word(&information.uuid),
        pci: Fact::Known(pci.to_owned()),
        minor: match information.minor {
            Some(minor) => Fact::Known(minor),
            None => Fact::Unknown(format!("`{}`: {why}", information.path)),
        },
        model: word(&information.model),
        state,
        reason,
    }
}

fn by_nvml(device: Excluded, pci: Option<String>) -> OutOfService {
    let unsaid = || Fact::unknown("NVML does not say");
    OutOfService {
        index: Fact::unknown("NVML does not count it"),
        vendor: Vendor::Nvidia,
        uuid: Fact::Known(device.uuid),
        pci: pci.map_or_else(unsaid, Fact::Known),
        minor: Fact::unknown("NVML does not say"),
        model: unsaid(),
        state: Outage::Excluded,
        reason: "nvmlGetExcludedDeviceInfoByIndex".to_owned(),
    }
}
