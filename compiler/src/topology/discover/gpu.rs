//! One GPU, through NVML and the kernel.

use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::Brand;
use nvml_wrapper::error::NvmlError;

use super::module::Information;
use super::{DiscoverError, Sources, drm, fact, kernel, mig, node, raw, unknown};
use crate::topology::{Fact, Gpu, Vendor};

/// A GPU and the handle to ask for its links.
pub(super) struct Found<'n> {
    pub(super) device: Device<'n>,
    pub(super) gpu: Gpu,
}

/// The GPUs that NVML counts, in the order of their index.
pub(super) fn all<'s>(sources: &Sources<'s>) -> Result<Vec<Found<'s>>, DiscoverError> {
    let count = sources.nvml.device_count();
    let count = count.map_err(|error| DiscoverError::BrokenDriver { reason: error.to_string() })?;
    let found = (0..count).map(|index| one(sources, index));
    found.filter_map(Result::transpose).collect()
}

/// The GPU `index`, unless it has fallen off the bus.
fn one<'s>(sources: &Sources<'s>, index: u32) -> Result<Option<Found<'s>>, DiscoverError> {
    let identity = sources.nvml.device_by_index(index).and_then(|device| {
        let (uuid, pci) = (device.uuid()?, device.pci_info()?.bus_id);
        let model = device.name()?;
        Ok((device, uuid, pci, model))
    });
    let (device, uuid, bus_id, model) = match identity {
        Ok(identity) => identity,
        Err(NvmlError::GpuLost) => return Ok(None),
        Err(error) => return Err(unnamed(index, "its UUID, PCI address and name", error.to_string())),
    };
    let not_an_address =
        || unnamed(index, "its PCI address", format!("NVML gives `{}`", bus_id.escape_debug()));
    let pci = pci_address(&bus_id).ok_or_else(not_an_address)?;
    let information = Information::read(sources.root, &pci);
    same_uuid(index, &uuid, &information)?;
    let minor = minor(index, &device, &information)?;
    let mig = mig::mode(&device);
    let mig_devices = match (mig.known(), minor.known()) {
        (Some(true), Some(minor)) => mig::devices(sources, &device, index, *minor)?,
        _ => Vec::new(),
    };
    let gpu = Gpu {
        index,
        uuid,
        nodes: [
            node::of_gpu(sources, minor.known().copied())?,
            drm::nodes(sources.root, sources.majors, &pci)?,
        ]
        .concat(),
        minor,
        partition: None,
        vendor: Vendor::Nvidia,
        model,
        brand: brand(&device),
        architecture: architecture(&device),
        compute_capability: compute_capability(&device),
        memory: memory(sources, &device),
        numa: kernel::numa(sources.root, &pci),
        cpus: kernel::cpus(sources.root, &pci),
        pci,
        mig,
        mig_devices,
    };
    Ok(Some(Found { device, gpu }))
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

/// By NVML, by the kernel module, or by both if they agree.
fn minor(index: u32, device: &Device<'_>, information: &Information) -> Result<Fact<u32>, DiscoverError> {
    match (device.minor_number(), information.minor) {
        (Ok(nvml), Some(kernel)) if nvml != kernel => {
            Err(disagree(index, "minor", nvml.to_string(), kernel.to_string(), information))
        }
        (Ok(minor), _) | (Err(_), Some(minor)) => Ok(Fact::Known(minor)),
        (Err(error), None) => Ok(unknown("nvmlDeviceGetMinorNumber", &error)),
    }
}

/// In the words of `NVIDIA_REQUIRE_CUDA`.
fn brand(device: &Device<'_>) -> Fact<String> {
    let brand = match device.brand() {
        Ok(Brand::Unknown) => return Fact::unknown("nvmlDeviceGetBrand: NVML does not know it"),
        Ok(Brand::CloudGaming | Brand::VGaming) => Ok("cloudgaming".to_owned()),
        brand => brand.map(|brand| format!("{brand:?}").to_ascii_lowercase()),
    };
    fact("nvmlDeviceGetBrand", brand)
}

fn architecture(device: &Device<'_>) -> Fact<String> {
    let architecture = device.architecture().map(|architecture| format!("{architecture:?}"));
    fact("nvmlDeviceGetArchitecture", architecture)
}

fn compute_capability(device: &Device<'_>) -> Fact<String> {
    let capability = device.cuda_compute_capability().map(|found| format!("{}.{}", found.major, found.minor));
    fact("nvmlDeviceGetCudaComputeCapability", capability)
}

/// Drivers before R510 lack the call that the wrapper makes.
pub(super) fn memory(sources: &Sources<'_>, device: &Device<'_>) -> Fact<u64> {
    let total = match device.memory_info() {
        Err(NvmlError::FailedToLoadSymbol(_)) => raw::total_memory(sources.nvml, device),
        info => info.map(|info| info.total),
    };
    fact("nvmlDeviceGetMemoryInfo", total)
}

fn unnamed(index: u32, what: &'static str, reason: String) -> DiscoverError {
    DiscoverError::Identity { of: format!("GPU {index}"), what, reason }
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
