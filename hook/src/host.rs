//! Is a plan still true of this host? The kernel and the driver are asked, not NVML.

use std::os::fd::{AsFd, OwnedFd};

use gpupol_plan::choose::Given;
use gpupol_plan::edit::{DeviceNode, Edit};
use gpupol_plan::majors::{self, Majors};
use gpupol_plan::plan::{Device, GpuCheck, Host, Plan};
use gpupol_plan::refusal::{Reason, Refusal};
use gpupol_plan::vendor::Vendor;
use rustix::fs::{AtFlags, CWD, FileType, major, minor, statat};
use rustix::io::Errno;

use crate::error::{Called, Error, Result};
use crate::file;

mod amd;
mod drm;
pub(crate) mod mig;

const LIMIT: usize = 64 * 1024;
/// Where NVIDIA's driver shows what it has.
pub(crate) const DRIVER: &str = "/proc/driver/nvidia";

/// Checks the boot, which a plan as a whole rests on.
///
/// # Errors
/// A refusal that says what is not as planned.
pub(crate) fn verify(planned: &Host) -> Result<()> {
    let boot = file::read_text(CWD, "/proc/sys/kernel/random/boot_id", LIMIT)?;
    require("the boot id", planned.boot_id.as_deref(), Some(boot.trim_end()))
}

/// Checks that the devices are what and where the plan says, and that the driver is the planned one that NVIDIA's
/// devices rest on.
///
/// # Errors
/// A refusal that says what is not as planned.
pub(crate) fn verify_devices(plan: &Plan, given: &[Given<'_>]) -> Result<()> {
    let is_amd = |device: &&Device| device.gpu.vendor() == Vendor::Amd;
    let (amd, nvidia): (Vec<&Device>, Vec<&Device>) =
        given.iter().map(|given| given.device).partition(is_amd);
    if !nvidia.is_empty() {
        let driver = file::open_directory(CWD, DRIVER).map_err(untrue)?;
        let version = file::read_text(driver.as_fd(), "version", LIMIT).map_err(untrue)?;
        require("the driver's version", plan.host.driver_version.as_deref(), driver_version(&version))?;
        nvidia.iter().try_for_each(|device| verify_device(&driver, device))?;
    }
    if amd.is_empty() { Ok(()) } else { amd::verify(&amd) }
}

/// Checks that the nodes that are to be given still have the planned numbers: drivers come and go within a boot, and another one may
/// have the number by then.
///
/// # Errors
/// A refusal that says what is not as planned.
pub(crate) fn verify_nodes<'e>(majors: &Majors, edits: impl Iterator<Item = &'e Edit>) -> Result<()> {
    let mut nodes = edits.filter_map(|edit| match edit {
        Edit::DeviceNode(node) => Some(node),
        _ => None,
    });
    nodes.try_for_each(|node| verify_node(majors, node))
}

fn verify_node(majors: &Majors, node: &DeviceNode) -> Result<()> {
    let DeviceNode { host_path, container_path, major: planned, minor: planned_minor, .. } = node;
    let is_right = |name: &&str| majors::answers(name, container_path);
    if let Some(other) = majors.names(*planned).find(|name| !is_right(name)) {
        return Err(changed(&format!("the major number {planned} of `{host_path}` is `{other}`'s")));
    }
    let stat = match statat(CWD, host_path.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
        // NVIDIA's own tools make its nodes when they are first needed.
        Err(Errno::NOENT)
            if container_path.starts_with("/dev/nvidia")
                && majors.names(*planned).any(|name| is_right(&name)) =>
        {
            return Ok(());
        }
        other => other.called(|| format!("fstatat(`{host_path}`)")).map_err(untrue)?,
    };
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    let shown = |major: u32, minor: u32| format!("{major}:{minor}");
    let found = is_device.then(|| shown(major(stat.st_rdev), minor(stat.st_rdev)));
    let what = format!("the number of `{host_path}`");
    require(&what, Some(&shown(*planned, *planned_minor)), found.as_deref())
}

fn verify_device(driver: &OwnedFd, device: &Device) -> Result<()> {
    let GpuCheck::Nvidia { uuid, minor } = &device.gpu else { return Ok(()) };
    let address = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    if !device.pci.bytes().all(address) || device.pci.contains("..") {
        return Err(changed(&format!("`{}` is no PCI address", device.pci)));
    }
    let text = file::read_text(driver.as_fd(), &format!("gpus/{}/information", device.pci), LIMIT)
        .map_err(untrue)?;
    let of = |what: &str| format!("{what} of the GPU at {}", device.pci);
    require(&of("the UUID"), Some(uuid), field(&text, "GPU UUID"))?;
    let planned = minor.to_string();
    require(&of("the minor number"), Some(&planned), field(&text, "Device Minor"))?;
    drm::verify(device)?;
    mig::verify(driver, *minor, device)
}

/// The driver's version: the first number with a dot in the first line, as
/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue …`.
fn driver_version(text: &str) -> Option<&str> {
    let version =
        |word: &&str| word.contains('.') && word.split('.').all(|part| !part.is_empty() && is_number(part));
    text.lines().next()?.split_ascii_whitespace().find(version)
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The value of a field of a file of the driver's.
pub(crate) fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let value = |line: &'t str| line.strip_prefix(name)?.trim_start().strip_prefix(':');
    text.lines().find_map(value).map(str::trim)
}

fn require(what: &str, planned: Option<&str>, found: Option<&str>) -> Result<()> {
    match (planned, found) {
        (None, _) => Err(changed(&format!("{what} was not known when it was compiled"))),
        (_, None) => Err(changed(&format!("{what} cannot be found out"))),
        (Some(planned), Some(found)) if planned != found => {
            Err(changed(&format!("{what} is `{found}`, not `{planned}`")))
        }
        _ => Ok(()),
    }
}

fn changed(how: &str) -> Error {
    let message = format!(
        "the plan is not true of this host: {how}; record it by `gpupol discover` and run `gpupol compile` again"
    );
    Refusal::new(Reason::PlanSet, message).into()
}

fn untrue(error: Error) -> Error {
    changed(&error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_dotted_number_is_the_version() {
        let text = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n\
                    GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n";
        assert_eq!(driver_version(text), Some("570.86.15"));
        assert_eq!(driver_version("NVRM version: none\n12.2.0\n"), None);
    }

    #[test]
    fn fields_of_information_are_found_by_their_whole_name() {
        let text = "Model: \t\t NVIDIA H200\nGPU UUID: \t GPU-1\nDevice Minor: \t 3\n";
        assert_eq!(field(text, "GPU UUID"), Some("GPU-1"));
        assert_eq!(field(text, "Device Minor"), Some("3"));
        assert_eq!(field(text, "Device"), None);
    }

    #[test]
    fn an_unknown_or_other_fact_is_refused_as_plan_set() {
        for (planned, found) in [(None, Some("a")), (Some("a"), None), (Some("a"), Some("b"))] {
            let Err(Error::Refused(refusal)) = require("x", planned, found) else { panic!("accepted") };
            assert_eq!(refusal.reason, Reason::PlanSet);
        }
        assert!(require("x", Some("a"), Some("a")).is_ok());
    }
}
