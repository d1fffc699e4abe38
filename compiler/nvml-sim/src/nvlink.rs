//! Calls about NVLink links.
//!
//! The document says how many links join two GPUs, not what lies between. If a GPU had more links to all its peers
//! than any GPU has, they must lead through switches; else they are direct.

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlPciInfo_t, nvmlReturn_t};
use serde_json::Value;

use crate::document::{Device, Host, number, text};
use crate::{answer, ask, code};

/// Links of the largest GPU here.
const MOST: usize = 18;

/// Where simulated switches say they are: no GPU is there.
const SWITCH: &str = "0000:00:1f.0";

/// NVML's words for the far end of a link.
const KIND_GPU: u32 = 0;
const KIND_SWITCH: u32 = 2;

/// The far ends of a GPU's links: a GPU each, or none for a switch.
fn far_ends<'h>(host: &'h Host, gpu: &Value) -> Result<Vec<Option<&'h Value>>, u32> {
    let mut peers: Vec<(&Value, usize)> = Vec::new();
    for peer in host.gpus() {
        if let Some(link) = host.link(gpu, peer) {
            let links = number(link, "nvlinks").ok_or(code::UNKNOWN)?;
            peers.push((peer, usize::try_from(links).map_err(|_| code::UNKNOWN)?));
        }
    }
    let links = peers.iter().map(|(_, links)| links);
    if links.clone().sum::<usize>() > MOST {
        return Ok(vec![None; links.max().copied().unwrap_or_default()]);
    }
    Ok(peers.iter().flat_map(|(peer, links)| vec![Some(*peer); *links]).collect())
}

/// The far end of one link, `None` inside for a switch.
fn far_end<'h>(host: &'h Host, device: Device<'_>, link: u32) -> Result<Option<&'h Value>, u32> {
    let ends = far_ends(host, device.whole()?)?;
    let place = usize::try_from(link).ok().filter(|place| *place < MOST).ok_or(code::INVALID_ARGUMENT)?;
    ends.get(place).copied().ok_or(code::NOT_SUPPORTED)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetNvLinkState(
    device: nvmlDevice_t,
    link: u32,
    out: *mut u32,
) -> nvmlReturn_t {
    ask("nvmlDeviceGetNvLinkState", device, |host, device| {
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
    ask("nvmlDeviceGetNvLinkRemotePciInfo_v2", device, |host, device| {
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
    ask("nvmlDeviceGetNvLinkRemoteDeviceType", device, |host, device| {
        let end = far_end(host, device, link)?;
        // SAFETY: the caller gives a C enum to write, an `u32`.
        unsafe { answer::value(out, if end.is_some() { KIND_GPU } else { KIND_SWITCH }) }
    })
}
