//! Writing answers through the caller's pointers.

use std::ffi::c_char;

use nvml_wrapper_sys::bindings::nvmlPciInfo_t;

use crate::{Outcome, code};

/// Writes one value.
///
/// # Safety
/// `out` is null or may be written.
pub(crate) unsafe fn value<T>(out: *mut T, value: T) -> Outcome {
    if out.is_null() {
        return Err(code::INVALID_ARGUMENT);
    }
    // SAFETY: it is not null, so the caller vouches for it.
    unsafe { out.write(value) };
    Ok(())
}

/// Writes a text and its NUL.
///
/// # Safety
/// `out` is null or has room for `room` bytes.
pub(crate) unsafe fn text(out: *mut c_char, room: u32, text: &str) -> Outcome {
    if out.is_null() {
        return Err(code::INVALID_ARGUMENT);
    }
    let room = usize::try_from(room).unwrap_or_default();
    if room <= text.len() {
        return Err(code::INSUFFICIENT_SIZE);
    }
    // SAFETY: the text and its NUL fit into what the caller vouches for.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), out.cast(), text.len());
        out.add(text.len()).write(0);
    }
    Ok(())
}

/// NVML's form of a PCI address that the kernel writes as `0000:07:00.0`.
pub(crate) fn pci(address: &str) -> Result<nvmlPciInfo_t, u32> {
    let part = |place: usize| {
        let text = address.split([':', '.']).nth(place)?;
        u32::from_str_radix(text, 16).ok()
    };
    let number = |place| part(place).ok_or(code::UNKNOWN);
    let [domain, bus, device, function] = [number(0)?, number(1)?, number(2)?, number(3)?];
    Ok(nvmlPciInfo_t {
        busIdLegacy: buffer(&format!("{domain:04X}:{bus:02X}:{device:02X}.{function}")),
        domain,
        bus,
        device,
        pciDeviceId: 0x0000_10de,
        pciSubSystemId: 0,
        busId: buffer(&format!("{domain:08X}:{bus:02X}:{device:02X}.{function}")),
    })
}

/// A text and NULs; one that is too long is cut.
pub(crate) fn buffer<const N: usize>(text: &str) -> [c_char; N] {
    let mut buffer = [0; N];
    for (place, byte) in buffer.iter_mut().take(N.saturating_sub(1)).zip(text.bytes()) {
        *place = c_char::from_ne_bytes([byte]);
    }
    buffer
}
