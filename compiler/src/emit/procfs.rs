//! What the driver says of itself and its GPUs in `/proc`: a container reads of its own GPUs alone, and makes no nodes.

use std::collections::BTreeSet;

use gpupol_plan::edit::{Bind, Edit, File, MountOption, Tmpfs};

use crate::resolve::Device;
use crate::topology::Vendor;

const DRIVER: &str = "/proc/driver/nvidia";

/// NVIDIA's libraries make nodes for all GPUs, where they may, unless the driver says otherwise. Everything else that
/// this file has on a host is how they would make them.
const PARAMETERS: &str = "ModifyDeviceFiles: 0\n";

/// Options of everything that is mounted to be read and nothing else.
pub(super) const SEALED: [MountOption; 4] =
    [MountOption::Ro, MountOption::Nosuid, MountOption::Nodev, MountOption::Noexec];

/// What every container with a GPU of NVIDIA's reads, over what the driver says of all of them.
pub(super) fn common() -> Vec<Edit> {
    let hidden = Tmpfs {
        capabilities: BTreeSet::new(),
        hides: true,
        container_path: DRIVER.to_owned(),
        file_mode: 0o555,
        options: SEALED.into(),
    };
    let parameters = File {
        capabilities: BTreeSet::new(),
        container_path: format!("{DRIVER}/params"),
        content: PARAMETERS.to_owned(),
        file_mode: 0o444,
    };
    let registry = Bind { optional: true, ..bind("registry") };
    vec![Edit::Tmpfs(hidden), Edit::File(parameters), Edit::Bind(bind("version")), Edit::Bind(registry)]
}

/// What the driver says of one device: of its GPU, and of the instances of a MIG device which nodes open them.
pub(super) fn of(device: &Device) -> Vec<Edit> {
    if device.gpu.vendor != Vendor::Nvidia {
        return Vec::new();
    }
    let gpu = format!("gpus/{}", device.pci);
    let access = device.mig.into_iter().flat_map(|mig| {
        let instance = format!("capabilities/gpu{}/mig/gi{}", device.minor, mig.gi);
        [format!("{instance}/access"), format!("{instance}/ci{}/access", mig.ci)]
    });
    std::iter::once(gpu).chain(access).map(|below| Edit::Bind(bind(&below))).collect()
}

fn bind(below: &str) -> Bind {
    let path = format!("{DRIVER}/{below}");
    Bind {
        capabilities: BTreeSet::new(),
        compat32: false,
        optional: false,
        listening: None,
        host_path: path.clone(),
        container_path: path,
        options: SEALED.into(),
    }
}
