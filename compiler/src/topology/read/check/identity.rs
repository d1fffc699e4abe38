//! What names a GPU names no other.

use std::collections::BTreeMap;

use super::{Checked, first};
use crate::topology::{Topology, Vendor};

/// One GPU has an index, a minor, an address and a UUID of its own, be it in service or not.
pub(super) fn unique(topology: &Topology) -> Checked {
    let mut seen = Identities::default();
    for (position, gpu) in topology.gpus.iter().enumerate() {
        let place = format!("gpus[{position}]");
        // Parts of one board share its address.
        let pci = gpu.pci.known().map(|pci| match gpu.partition_number() {
            Some(number) => format!("{pci}, partition {number}"),
            None => pci.clone(),
        });
        let (pci, minor) = (pci.as_ref(), gpu.minor.known());
        seen.gpu(&place, gpu.vendor, [Some(&gpu.index), minor], [Some(&gpu.uuid), pci])?;
        for (position, device) in gpu.mig_devices.iter().enumerate() {
            seen.uuid(&format!("{place}.migDevices[{position}]"), &device.uuid)?;
        }
    }
    for (position, gpu) in topology.out_of_service.iter().enumerate() {
        let place = format!("outOfService[{position}]");
        let numbers = [gpu.index.known(), gpu.minor.known()];
        seen.gpu(&place, gpu.vendor, numbers, [gpu.uuid.known(), gpu.pci.known()])?;
    }
    Ok(())
}

/// Who has been seen, and where.
#[derive(Default)]
struct Identities {
    indices: BTreeMap<u32, String>,
    minors: BTreeMap<(Vendor, u32), String>,
    addresses: BTreeMap<String, String>,
    uuids: BTreeMap<String, String>,
}

impl Identities {
    fn gpu(
        &mut self,
        place: &str,
        vendor: Vendor,
        [index, minor]: [Option<&u32>; 2],
        [uuid, pci]: [Option<&String>; 2],
    ) -> Checked {
        if let Some(index) = index {
            first(&mut self.indices, *index, format!("{place}.index"), &index.to_string())?;
        }
        if let Some(pci) = pci {
            first(&mut self.addresses, pci.clone(), format!("{place}.pci"), pci)?;
        }
        if let Some(minor) = minor {
            first(&mut self.minors, (vendor, *minor), format!("{place}.minor"), &minor.to_string())?;
        }
        uuid.map_or(Ok(()), |uuid| self.uuid(place, uuid))
    }

    fn uuid(&mut self, place: &str, uuid: &str) -> Checked {
        first(&mut self.uuids, uuid.to_ascii_lowercase(), format!("{place}.uuid"), uuid)
    }
}
