//! What the kernel says of the host.

pub(super) use gpupol_plan::majors::Majors;

use super::DiscoverError;
use super::root::Root;
use crate::topology::Fact;
use crate::topology::read::is_cpu_list;

/// The majors in `/proc/devices`: all but NVIDIA's GPU major are dynamic.
pub(super) fn majors(root: &Root) -> Result<Majors, DiscoverError> {
    let text = required(root, "/proc/devices")?;
    Ok(Majors::read(&text))
}

/// The host's name.
pub(super) fn host_name(root: &Root) -> Result<String, DiscoverError> {
    Ok(required(root, "/proc/sys/kernel/hostname")?.trim().to_owned())
}

/// The id of this boot.
pub(super) fn boot_id(root: &Root) -> Fact<String> {
    line(root, "/proc/sys/kernel/random/boot_id").map_or_else(Fact::Unknown, Fact::Known)
}

/// The hierarchy that holds device rules: a `devices` controller is version 1, whatever else is mounted beside it.
pub(super) fn cgroup(root: &Root) -> Fact<u8> {
    if root.has("/sys/fs/cgroup/devices") {
        Fact::Known(1)
    } else if root.has("/sys/fs/cgroup/cgroup.controllers") {
        Fact::Known(2)
    } else {
        Fact::unknown("no cgroup hierarchy at `/sys/fs/cgroup`")
    }
}

/// The CPUs near the PCI device at `pci`; empty when the kernel knows of none.
pub(super) fn cpus(root: &Root, pci: &str) -> Fact<String> {
    let path = format!("/sys/bus/pci/devices/{pci}/local_cpulist");
    match line(root, &path) {
        Err(reason) => Fact::Unknown(reason),
        Ok(text) if text.is_empty() => Fact::Absent,
        Ok(text) if is_cpu_list(&text) => Fact::Known(text),
        Ok(text) => Fact::Unknown(holds(&path, &text)),
    }
}

/// The one line of a file, or why there is none.
pub(super) fn line(root: &Root, path: &str) -> Result<String, String> {
    let text = root.text(path).map_err(|reason| format!("`{path}`: {reason}"))?;
    Ok(text.trim().to_owned())
}

/// That a file holds something else than it should: the beginning of that.
pub(super) fn holds(path: &str, text: &str) -> String {
    const SHOWN: usize = 40;
    let shown: String = text.chars().take(SHOWN).collect();
    format!("`{path}` holds `{}`", shown.escape_debug())
}

fn required(root: &Root, path: &str) -> Result<String, DiscoverError> {
    root.text(path).map_err(|reason| DiscoverError::Read { path: path.to_owned(), reason })
}
