//! One GPU, through NVML and the kernel.

use std::sync::OnceLock;

use nvml_wrapper::Device;
use nvml_wrapper::error::NvmlError;

use super::answer::Answers;
use super::information::Information;
use super::link::{self, Up};
use super::nvidia::Sources;
use super::{DiscoverError, drm, kernel, mig, node, numa, property, unknown};
use crate::topology::{DeviceNode, Fact, Gpu, Outage, Vendor};

/// What names a GPU.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) uuid: String,
    pub(super) pci: Fact<String>,
    pub(super) model: String,
}

/// A GPU and its NVLink links.
pub(super) type Found = (Gpu, Up);

/// Why there is no GPU to describe.
pub(super) enum Trouble {
    /// It is of no use, and why.
    Out(Outage, String),
    /// Nothing on this host may be granted.
    Stop(DiscoverError),
}

impl From<DiscoverError> for Trouble {
    fn from(error: DiscoverError) -> Self {
        Self::Stop(error)
    }
}

/// The GPU `index` and its NVLink links. `identity` is set as soon as it is known: what comes after may never end.
pub(super) fn one(sources: &Sources, index: u32, identity: &OnceLock<Identity>) -> Result<Found, Trouble> {
    let device = sources.nvml.device_by_index(index).map_err(|error| unnamed(index, &error))?;
    let named = identify(&device, index)?;
    let named = identity.get_or_init(|| named);
    let answers = Answers::of(&sources.nvml, &device);
    let gpu = describe(sources, &answers, index, named)?;
    let up = link::up(&answers, index);
    match answers.lost() {
        Some(reason) => Err(Trouble::Out(Outage::Lost, reason)),
        None => Ok((gpu, up)),
    }
}

fn identify(device: &Device<'_>, index: u32) -> Result<Identity, Trouble> {
    let failed = |error: NvmlError| unnamed(index, &error);
    let (uuid, model) = (device.uuid().map_err(failed)?, device.name().map_err(failed)?);
    let pci = match device.pci_info() {
        Ok(info) => {
            let address = pci_address(&info.bus_id);
            let given = || format!("nvmlDeviceGetPciInfo_v3: it gives `{}`", info.bus_id.escape_debug());
            address.map_or_else(|| Fact::Unknown(given()), Fact::Known)
        }
        Err(NvmlError::NotSupported) => Fact::Absent,
        Err(error @ NvmlError::GpuLost) => return Err(failed(error)),
        Err(error) => unknown("nvmlDeviceGetPciInfo_v3", &error),
    };
    Ok(Identity { uuid, pci, model })
}

fn describe(
    sources: &Sources,
    answers: &Answers<'_>,
    index: u32,
    identity: &Identity,
) -> Result<Gpu, Trouble> {
    let Identity { uuid, pci, model } = identity.clone();
    let listed = sources.listed.of(pci.known(), &uuid);
    if let Some(information) = listed {
        same_uuid(index, &uuid, information)?;
        if information.is_excluded {
            return Err(Trouble::Out(Outage::Excluded, format!("`{}`", information.path)));
        }
    }
    let minor = minor(sources, answers, index, listed)?;
    let mig = mig::mode(answers);
    let (fabric, clique) = property::fabric(answers);
    let mig_devices = match (mig.known(), minor.known()) {
        (Some(true), Some(minor)) => mig::devices(sources, answers, index, *minor)?,
        _ => Vec::new(),
    };
    Ok(Gpu {
        index,
        uuid,
        nodes: [node::of_gpu(sources, minor.known().copied())?, drm(sources, &pci)?].concat(),
        minor,
        partition: None,
        vendor: Vendor::Nvidia,
        model,
        brand: property::brand(answers),
        architecture: property::architecture(answers),
        compute_capability: property::compute_capability(answers),
        memory: property::memory(answers),
        numa: on_bus(&pci, |pci| numa::near(&sources.root, pci)),
        memory_node: property::memory_node(answers),
        cpus: on_bus(&pci, |pci| kernel::cpus(&sources.root, pci)),
        compute_mode: property::compute_mode(answers),
        ecc: property::ecc(answers),
        persistence: property::persistence(answers),
        faults: property::faults(answers),
        fabric,
        clique,
        pci,
        mig,
        mig_devices,
    })
}

/// Without an address there is no telling which DRM nodes are its own.
fn drm(sources: &Sources, pci: &Fact<String>) -> Result<Vec<DeviceNode>, DiscoverError> {
    pci.known().map_or(Ok(Vec::new()), |pci| drm::nodes(&sources.root, &sources.majors, pci))
}

/// What the kernel says of a device by its PCI address.
fn on_bus<T>(pci: &Fact<String>, ask: impl FnOnce(&str) -> Fact<T>) -> Fact<T> {
    match pci {
        Fact::Known(pci) => ask(pci),
        Fact::Absent => Fact::unknown("it is on no PCI bus"),
        Fact::Unknown(why) => Fact::Unknown(format!("its PCI address is unknown ({why})")),
    }
}

/// NVML writes eight digits of domain in upper case, the kernel at least four in lower case.
pub(super) fn pci_address(bus_id: &str) -> Option<String> {
    let (domain, rest) = bus_id.split_once(':')?;
    let domain = u32::from_str_radix(domain, 16).ok()?;
    Some(format!("{domain:04x}:{}", rest.to_ascii_lowercase()))
}

fn same_uuid(index: u32, uuid: &str, information: &Information) -> Result<(), DiscoverError> {
    match &information.uuid {
        Some(kernel) if !kernel.eq_ignore_ascii_case(uuid) => {
            Err(disagree(index, "UUID", uuid.to_owned(), kernel.clone(), information))
        }
        _ => Ok(()),
    }
}

/// By NVML, by the kernel module, or by both if they agree. A module that lists GPUs, but tells nothing of this one, is
/// no witness for the minor that NVML gives.
fn minor(
    sources: &Sources,
    answers: &Answers<'_>,
    index: u32,
    listed: Option<&Information>,
) -> Result<Fact<u32>, DiscoverError> {
    let nvml = answers.fact("nvmlDeviceGetMinorNumber", answers.device.minor_number());
    let Some(information) = listed else {
        let alone = sources.listed.is_empty();
        return Ok(if alone {
            nvml
        } else {
            Fact::unknown("the kernel module lists other GPUs, but not this one")
        });
    };
    if let Some(reason) = &information.silence {
        return Ok(Fact::Unknown(format!("`{}`: {reason}", information.path)));
    }
    match (nvml.known().copied(), information.minor) {
        (Some(nvml), Some(kernel)) if nvml != kernel => {
            Err(disagree(index, "minor", nvml.to_string(), kernel.to_string(), information))
        }
        (None, Some(kernel)) => Ok(Fact::Known(kernel)),
        _ => Ok(nvml),
    }
}

/// What has no name cannot be granted; what may not be looked at could not be discovered any better by leaving it out.
fn unnamed(index: u32, error: &NvmlError) -> Trouble {
    let reason = error.to_string();
    match error {
        NvmlError::GpuLost => Trouble::Out(Outage::Lost, format!("NVML: {reason}")),
        NvmlError::NoPermission => Trouble::Stop(DiscoverError::Identity {
            of: format!("GPU {index}"),
            what: "its UUID, PCI address and name",
            reason,
        }),
        _ => Trouble::Out(Outage::Unreadable, format!("NVML: {reason}")),
    }
}

fn disagree(gpu: u32, what: &'static str, nvml: String, kernel: String, by: &Information) -> DiscoverError {
    DiscoverError::Disagree { gpu, what, nvml, kernel, path: by.path.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bus_ids_are_written_as_the_kernel_does() {
        assert_eq!(pci_address("00000000:0B:00.0").as_deref(), Some("0000:0b:00.0"));
        assert_eq!(pci_address("00010000:C3:1F.7").as_deref(), Some("10000:c3:1f.7"));
        assert_eq!(pci_address("N/A"), None);
    }
}
