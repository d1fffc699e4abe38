//! The driver's user space: what NVIDIA's own tools give, each file for the driver capabilities for which they give it.
//!
//! A container finds a file by its name alone, so each name is a bind of its own: no link is made in a container.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability::{self, Compute, Display, Graphics, Video};
use gpupol_plan::edit::{Bind, Edit, MountOption};

use crate::topology::{DriverFile, DriverFileKind, Topology};

mod place;

/// Libraries that NVIDIA's tools list for CUDA, and that OpenGL, Vulkan and EGL load as well.
const ALSO_GRAPHICS: [&str; 2] = ["libnvidia-allocator.so.", "libnvidia-gpucomp.so."];

/// A read-only bind for each name of each file; of several files for one name the first counts.
pub(super) fn binds(topology: &Topology) -> Vec<Edit> {
    let mut taken = BTreeSet::new();
    let of = |file| place::container_paths(file).into_iter().map(move |path| bind(file, path));
    // What is newer stands in front, so that it has the names that both have.
    let newer = topology.cuda_compat.as_ref().filter(|compat| compat.obstacle(topology).is_none());
    let newer = newer.into_iter().flat_map(|compat| &compat.files);
    let all = newer.chain(&topology.driver_files).flat_map(of);
    let first = |bind: &Bind| taken.insert(bind.container_path.clone());
    all.filter(first).map(Edit::Bind).collect()
}

fn bind(file: &DriverFile, container_path: String) -> Bind {
    Bind {
        capabilities: needed_for(file, &container_path).iter().copied().collect(),
        compat32: file.kind == DriverFileKind::Library32,
        optional: file.kind == DriverFileKind::Socket,
        listening: None,
        host_path: file.path.clone(),
        container_path,
        options: options(file.kind),
    }
}

/// A socket answers whoever connects to it, though nobody can write to its file system.
fn options(kind: DriverFileKind) -> BTreeSet<MountOption> {
    let noexec = (kind == DriverFileKind::Socket).then_some(MountOption::Noexec);
    [MountOption::Ro, MountOption::Nosuid, MountOption::Nodev].into_iter().chain(noexec).collect()
}

/// The driver capabilities for which a file is given at a path, none meaning always: the codecs work through CUDA, and
/// NVIDIA's tools give the same files for graphics and display.
fn needed_for(file: &DriverFile, container_path: &str) -> &'static [Capability] {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    match file.capability {
        _ if container_path.contains(place::GBM) => &[Graphics, Display],
        Some(Compute) if ALSO_GRAPHICS.iter().any(|begin| name.starts_with(begin)) => {
            &[Compute, Video, Graphics, Display]
        }
        Some(Compute) => &[Compute, Video],
        Some(Graphics | Display) => &[Graphics, Display],
        Some(Capability::Utility) => &[Capability::Utility],
        Some(Video) => &[Video],
        Some(Capability::Ngx) => &[Capability::Ngx],
        Some(Capability::Compat32) => &[Capability::Compat32],
        None => &[],
    }
}
