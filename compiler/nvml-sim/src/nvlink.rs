//! Calls about NVLink links.
//!
//! The document says how many links join two GPUs, not what lies between. If a GPU had more links to all its peers
//! than any GPU has, they must lead through switches; else they are direct.

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlPciInfo_t, nvmlReturn_t};
use serde_json::Value;

use crate::document::{Host, number, text};
use crate::{answer, call, code};

/// Links of the largest GPU here.
const MOST: usize = 18;

/// Where simulated switches say they are: no GPU is there.
const SWITCH: &str = "0000:00:1f.0";

/// NVML's words for the far end of a link.
const KIND_GPU: u32 = 0;
const KIND_SWITCH: u32 = 2;

/// The far ends of a GPU's links: a GPU each, or none for a switch.
fn far_ends<'h>(host: &'h Host, gpu: &Value) -> Vec<Option<&'h Value>> {
    let peers = host.gpus().iter().filter_map(|peer| {
        let links = number(host.link(gpu, peer)?, "nvlinks")?;
        Some((peer, usize::try_from(links).ok()?))
    });
    let peers: Vec<(&Value, usize)> = peers.collect();
    let links = peers.iter().map(|(_, links)| links);
    if links.clone().sum::<usize>() > MOST {
        return vec![None; links.max().copied().unwrap_or_default()];
    }
    peers.iter().flat_map(|(peer, links)| vec![Some(*peer); *links]).collect()
}

/// The far end of one link, `None` inside for a switch.
fn far_end(host: &Host, device: nvmlDevice_t, link: u32) -> Result<Option<&Value>, u32> {
    let ends = far_ends(host, host.gpu(device)?);
    let place = usize::try_from(link).ok().filter(|place| *place < MOST).ok_or(code::INVALID_ARGUMENT)?;
    ends.get(place).copied().ok_or(code::NOT_SUPPORTED)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetNvLinkState(
    device: nvmlDevice_t,
    link: u32,
    out: *mut u32,
) -> nvmlReturn_t {
    call("nvmlDeviceGetNvLinkState", |host| {
        far_end(host, device, link)?;
        // SAFETY: the caller gives a C enum to write, an `u32`.
        unsafe { answer::value(out, 1) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetNvLinkRemotePciInfo_v2(
    device: nvmlDevice_t,
    link: u32,
    out: *mut nvmlPciInfo_t,
) -> nvmlReturn_t {
    call("nvmlDeviceGetNvLinkRemotePciInfo_v2", |host| {
        let end = far_end(host, device, link)?;
        let address = end.map_or(Ok(SWITCH), |gpu| text(gpu, "pci"))?;
        // SAFETY: the caller gives a structure to write.
        unsafe { answer::value(out, answer::pci(address)?) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetNvLinkRemoteDeviceType(
    device: nvmlDevice_t,
    link: u32,
    out: *mut u32,
) -> nvmlReturn_t {
    call("nvmlDeviceGetNvLinkRemoteDeviceType", |host| {
        let end = far_end(host, device, link)?;
        // SAFETY: the caller gives a C enum to write, an `u32`.
        unsafe { answer::value(out, if end.is_some() { KIND_GPU } else { KIND_SWITCH }) }
    })
}
