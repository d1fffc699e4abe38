//! The MIG devices that a GPU is divided into, as the driver shows them. A GPU that was divided anew within a boot may have
//! instances of the planned numbers again, which are of another size or another tenant's.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use gpupol_plan::edit::Edit;
use gpupol_plan::plan::{Device, MigCheck};
use rustix::fs::Dir;
use rustix::io::Errno;

use super::{LIMIT, changed, field, untrue};
use crate::error::{Called, Error, Result};
use crate::file;

/// Nodes of instances.
pub(crate) const CAPS: &str = "/dev/nvidia-caps/nvidia-cap";

/// Checks that the GPU has just the instances that it had when the plan was made, and that the device's have the planned nodes.
///
/// # Errors
/// A refusal that says what is not as planned.
pub(super) fn verify(driver: &OwnedFd, minor: u32, device: &Device) -> Result<()> {
    let found = instances(driver, minor).map_err(untrue)?;
    let planned = device.mig.as_ref().map(|mig| mig.instances.clone()).unwrap_or_default();
    if found != planned {
        let (found, planned, pci) = (shown(&found), shown(&planned), &device.pci);
        return Err(changed(&format!("the GPU at {pci} is divided into {found}, not {planned}")));
    }
    device.mig.as_ref().map_or(Ok(()), |mig| verify_nodes(driver, minor, mig, device))
}

/// The minor numbers of the nodes of all instances that the GPU is divided into. Nodes of instances that are gone may still lie
/// beside them, and those of rights that are about no instance do.
///
/// # Errors
/// The call that failed, or what the driver said.
pub(crate) fn minors(driver: &OwnedFd, minor: u32) -> Result<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    for [gi, ci] in instances(driver, minor)? {
        found.extend(instance_minors(driver, minor, gi, ci)?);
    }
    Ok(found)
}

fn instance_minors(driver: &OwnedFd, minor: u32, gi: u32, ci: u32) -> Result<BTreeSet<u32>> {
    let gi = format!("capabilities/gpu{minor}/mig/gi{gi}");
    [format!("{gi}/access"), format!("{gi}/ci{ci}/access")].iter().map(|file| access(driver, file)).collect()
}

fn verify_nodes(driver: &OwnedFd, minor: u32, mig: &MigCheck, device: &Device) -> Result<()> {
    let found = instance_minors(driver, minor, mig.gi, mig.ci);
    let nodes = device.edits.iter().filter_map(|edit| match edit {
        Edit::DeviceNode(node) if node.container_path.starts_with(CAPS) => Some(node.minor),
        _ => None,
    });
    let (found, planned) = (found.map_err(untrue)?, nodes.collect::<BTreeSet<u32>>());
    if found == planned {
        return Ok(());
    }
    Err(changed(&format!("the nodes of `{}` have the minor numbers {found:?}, not {planned:?}", device.uuid)))
}

/// The minor number of the node that a file of the driver is about.
fn access(driver: &OwnedFd, path: &str) -> Result<u32> {
    let text = file::read_text(driver.as_fd(), path, LIMIT)?;
    let minor = field(&text, "DeviceFileMinor").and_then(|minor| minor.parse().ok());
    minor.ok_or_else(|| Error::found(format!("`{path}` says no minor number")))
}

/// The GPU and compute instances that it has; a GPU that is not in MIG mode has none.
fn instances(driver: &OwnedFd, minor: u32) -> Result<BTreeSet<[u32; 2]>> {
    let path = format!("capabilities/gpu{minor}/mig");
    let mut found = BTreeSet::new();
    for gi in numbered(driver, &path, "gi")? {
        found.extend(numbered(driver, &format!("{path}/gi{gi}"), "ci")?.into_iter().map(|ci| [gi, ci]));
    }
    Ok(found)
}

/// The numbers behind a word in the names of a directory, which need not be there.
fn numbered(driver: &OwnedFd, path: &str, word: &str) -> Result<Vec<u32>> {
    let directory = match file::open_directory(driver.as_fd(), path) {
        Err(Error::Failed { errno: Some(Errno::NOENT), .. }) => return Ok(Vec::new()),
        other => other?,
    };
    let mut numbers = Vec::new();
    for entry in Dir::read_from(&directory).called(|| format!("getdents(`{path}`)"))? {
        let entry = entry.called(|| format!("getdents(`{path}`)"))?;
        let number = entry.file_name().to_str().ok().and_then(|name| name.strip_prefix(word)?.parse().ok());
        numbers.extend::<Option<u32>>(number);
    }
    Ok(numbers)
}

fn shown(instances: &BTreeSet<[u32; 2]>) -> String {
    let names: Vec<String> = instances.iter().map(|[gi, ci]| format!("gi{gi}/ci{ci}")).collect();
    if names.is_empty() { "no instances".to_owned() } else { names.join(", ") }
}
