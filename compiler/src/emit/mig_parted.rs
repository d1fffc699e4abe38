//! The MIG devices that layouts wish, as a configuration of `nvidia-mig-parted`, which makes them.
//!
//! Each host is one configuration, called as it is. It names all of NVIDIA's GPUs there, as `nvidia-mig-parted assert` wants it: those of a
//! layout as wished, all others as they are. It numbers them by their PCI addresses, as that program does, whatever NVML calls them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::policy::Policy;
use crate::resolve::Resolution;
use crate::topology::{Fact, Gpu, Topology, Vendor};

/// What its GPUs are to be: MIG devices of each profile; `None`: without MIG.
type Wish = Option<BTreeMap<String, u32>>;

/// The configuration of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Its name, which is the host's.
    pub name: String,
    /// Which GPUs, by their place among all of NVIDIA's on the bus, are to be what; in the order of their first ones.
    wishes: Vec<(Vec<usize>, Wish)>,
}

/// Why a host cannot be described.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undescribed {
    /// A GPU's address on the PCI bus is not known, by which it would be named.
    #[error("the PCI address of GPU {0} is not known, by which nvidia-mig-parted counts GPUs")]
    Address(u32),
    /// A GPU's MIG mode is not known.
    #[error("the MIG mode of GPU {0} is not known")]
    Mode(u32),
}

impl Configuration {
    /// What the layouts of a policy, proved to fit, make of a host; nothing if none is about it.
    ///
    /// # Errors
    ///
    /// Facts of the host that are not known.
    pub fn of(
        policy: &Policy,
        resolution: &Resolution,
        topology: &Topology,
    ) -> Result<Option<Self>, Undescribed> {
        let wished = wished(policy, resolution);
        let mut wishes: Vec<(Vec<usize>, Wish)> = Vec::new();
        let own = topology.gpus.iter().filter(|gpu| gpu.vendor == Vendor::Nvidia);
        let mut gpus = own.map(|gpu| Ok((place(gpu, topology)?, gpu))).collect::<Result<Vec<_>, _>>()?;
        gpus.sort_by_key(|(place, _)| *place);
        for (place, gpu) in &gpus {
            let wish = match wished.get(&gpu.index) {
                Some(wish) => Some(wish.clone()),
                None => present(gpu)?,
            };
            match wishes.iter_mut().find(|(_, other)| *other == wish) {
                Some((places, _)) => places.push(*place),
                None => wishes.push((vec![*place], wish)),
            }
        }
        let is_wished = gpus.iter().any(|(_, gpu)| wished.contains_key(&gpu.index));
        Ok(is_wished.then(|| Self { name: topology.host.clone(), wishes }))
    }
}

/// Several configurations as one document.
#[must_use]
pub fn document(all: &[Configuration]) -> String {
    let mut text = "version: v1\nmig-configs:\n".to_owned();
    for configuration in all {
        // Infallible: a String takes all.
        _ = writeln!(text, "  {}:", quoted(&configuration.name));
        for (places, wish) in &configuration.wishes {
            let places: Vec<String> = places.iter().map(usize::to_string).collect();
            _ = writeln!(
                text,
                "    - devices: [{}]\n      mig-enabled: {}",
                places.join(", "),
                wish.is_some()
            );
            match wish {
                Some(devices) if !devices.is_empty() => {
                    text.push_str("      mig-devices:\n");
                    for (profile, count) in devices {
                        _ = writeln!(text, "        {}: {count}", quoted(profile));
                    }
                }
                _ => text.push_str("      mig-devices: {}\n"),
            }
        }
    }
    text
}

/// JSON's strings are YAML's too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What is wished of each GPU, by its index: no GPU is in two layouts.
fn wished(policy: &Policy, resolution: &Resolution) -> BTreeMap<u32, BTreeMap<String, u32>> {
    let mut wished = BTreeMap::new();
    for layout in policy.layouts.values() {
        let devices = layout.wishes.iter().map(|wish| (wish.profile.value.clone(), wish.count));
        let devices: BTreeMap<String, u32> = devices.collect();
        let extents = layout.gpu_sets.iter().filter_map(|set| resolution.extents.get(set.value.as_str()));
        let gpus = extents.flat_map(|extent| extent.widest.iter().map(|(gpu, _)| *gpu));
        wished.extend(gpus.map(|gpu| (gpu, devices.clone())));
    }
    wished
}

/// What a GPU is today.
fn present(gpu: &Gpu) -> Result<Wish, Undescribed> {
    match gpu.mig {
        Fact::Unknown(_) => Err(Undescribed::Mode(gpu.index)),
        Fact::Absent | Fact::Known(false) => Ok(None),
        Fact::Known(true) => {
            let mut devices = BTreeMap::new();
            for device in &gpu.mig_devices {
                *devices.entry(device.profile.clone()).or_default() += 1;
            }
            Ok(Some(devices))
        }
    }
}

/// Its place among all of NVIDIA's GPUs on the bus, those that are out of service among them.
fn place(gpu: &Gpu, topology: &Topology) -> Result<usize, Undescribed> {
    let unknown = |gpu: &Gpu| Undescribed::Address(gpu.index);
    let own = gpu.pci.known().ok_or_else(|| unknown(gpu))?;
    let mut before = 0;
    for other in topology.gpus.iter().filter(|other| other.vendor == Vendor::Nvidia) {
        before += usize::from(other.pci.known().ok_or_else(|| unknown(other))? < own);
    }
    let lost = topology.out_of_service.iter().filter(|lost| lost.vendor == Vendor::Nvidia);
    Ok(before + lost.filter(|lost| lost.pci.known().is_some_and(|pci| pci < own)).count())
}
