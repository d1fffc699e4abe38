//! What the kernel says of the host.

use std::collections::BTreeMap;

use super::DiscoverError;
use super::root::Root;
use crate::topology::Fact;
use crate::topology::read::is_cpu_list;

/// The character majors of the host's drivers.
pub(super) struct Majors {
    /// Name in `/proc/devices` and number, in its order; a driver may have several.
    all: Vec<(String, u32)>,
}

impl Majors {
    /// The major of GPU nodes: the whole major was called `nvidia-frontend` up to R535, since then its parts have names.
    pub(super) fn gpu(&self) -> Option<u32> {
        self.named("nvidia").or_else(|| self.named("nvidia-frontend"))
    }

    pub(super) fn named(&self, name: &str) -> Option<u32> {
        self.all.iter().rev().find(|(own, _)| own == name).map(|(_, major)| *major)
    }

    /// Whether a driver of that name has that major.
    pub(super) fn has(&self, name: &str, major: u32) -> bool {
        self.all.iter().any(|own| (own.0.as_str(), own.1) == (name, major))
    }

    /// Those that only GPU drivers have, by name.
    pub(super) fn of_gpus(&self) -> BTreeMap<String, u32> {
        let is_gpu = |name: &str| name.starts_with("nvidia") || name == "kfd";
        self.all.iter().filter(|(name, _)| is_gpu(name)).cloned().collect()
    }
}

/// The majors in `/proc/devices`: all but NVIDIA's GPU major are dynamic.
pub(super) fn majors(root: &Root) -> Result<Majors, DiscoverError> {
    let text = required(root, "/proc/devices")?;
    let characters = text.lines().skip_while(|line| !line.starts_with("Character")).skip(1);
    let lines = characters.take_while(|line| !line.trim().is_empty());
    let pairs = lines.filter_map(|line| line.trim().split_once(' '));
    let all = pairs.filter_map(|(major, name)| Some((name.to_owned(), major.parse().ok()?)));
    Ok(Majors { all: all.collect() })
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
