//! The MIG devices of one GPU.

use nvml_wrapper::Device;
use nvml_wrapper::error::NvmlError;

use super::answer::Answers;
use super::gpu::Trouble;
use super::nvidia::Sources;
use super::{DiscoverError, module, node, property, raw};
use crate::topology::{DeviceNode, Fact, MigDevice, Outage};

/// Whether MIG mode is on; a GPU that cannot be in it does not support the question.
pub(super) fn mode(answers: &Answers<'_>) -> Fact<bool> {
    answers.optional("nvmlDeviceGetMigMode", answers.device.mig_mode().map(|mode| mode.current == 1))
}

/// The MIG devices of the GPU `index`, in the order of their MIG index.
pub(super) fn devices(
    sources: &Sources,
    answers: &Answers<'_>,
    index: u32,
    minor: u32,
) -> Result<Vec<MigDevice>, Trouble> {
    let parent = answers.device;
    let failed = |what, error: &NvmlError| unnamed(index, None, what, error);
    let places = parent.mig_device_count().map_err(|error| failed("how many MIG devices it has", &error))?;
    let mut devices = Vec::new();
    for place in 0..places {
        match parent.mig_device_by_index(place) {
            Ok(device) => devices.push(one(sources, [parent, &device], [index, place], minor)?),
            // The count is of how many there can be; those that are not there are not found.
            Err(NvmlError::NotFound) => {}
            Err(error) => return Err(unnamed(index, Some(place), "its handle", &error)),
        }
    }
    Ok(devices)
}

fn one(
    sources: &Sources,
    [gpu, device]: [&Device<'_>; 2],
    [parent, index]: [u32; 2],
    minor: u32,
) -> Result<MigDevice, Trouble> {
    let failed = |what| move |error| unnamed(parent, Some(index), what, &error);
    let gi = raw::gpu_instance_id(&sources.nvml, device).map_err(failed("its GPU instance id"))?;
    let ci = raw::compute_instance_id(&sources.nvml, device).map_err(failed("its compute instance id"))?;
    let name = device.name().map_err(failed("its name"))?;
    let instances = [format!("gpu{minor}/gi{gi}/access"), format!("gpu{minor}/gi{gi}/ci{ci}/access")];
    let nodes = instances.iter().map(|instance| nvcap(sources, instance));
    Ok(MigDevice {
        index,
        uuid: device.uuid().map_err(failed("its UUID"))?,
        profile: profile(&name).to_owned(),
        gi,
        ci,
        // Only layouts ask for it, and can do without.
        start: raw::instance_start(&sources.nvml, gpu, gi).ok().and_then(|unit| u8::try_from(unit).ok()),
        memory: property::memory(&Answers::of(&sources.nvml, device)),
        nodes: nodes.collect::<Result<_, _>>()?,
    })
}

fn nvcap(sources: &Sources, instance: &str) -> Result<DeviceNode, DiscoverError> {
    let minor = sources.module.nvcap_minor(instance)?;
    let major = sources.majors.named("nvidia-caps").ok_or_else(|| DiscoverError::Nvcap {
        instance: instance.to_owned(),
        reason: "`/proc/devices` has no `nvidia-caps`".to_owned(),
    })?;
    let mode = module::nvcap_mode(&sources.root, instance);
    node::at(sources, format!("/dev/nvidia-caps/nvidia-cap{minor}"), [major, minor], mode)
}

/// NVML names a MIG device `MODEL MIG PROFILE`.
fn profile(name: &str) -> &str {
    name.rsplit_once("MIG ").map_or(name, |(_, profile)| profile)
}

/// A MIG device without its ids could be given as another one; a GPU that is lost has none to give.
fn unnamed(gpu: u32, device: Option<u32>, what: &'static str, error: &NvmlError) -> Trouble {
    if matches!(error, NvmlError::GpuLost) {
        return Trouble::Out(Outage::Lost, format!("NVML: {error}"));
    }
    let of = device.map_or_else(|| format!("GPU {gpu}"), |device| format!("GPU {gpu}, MIG device {device}"));
    DiscoverError::Identity { of, what, reason: error.to_string() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_what_follows_mig() {
        assert_eq!(profile("NVIDIA A100-SXM4-40GB MIG 1g.5gb+me"), "1g.5gb+me");
        assert_eq!(profile("2g.10gb"), "2g.10gb");
    }
}
