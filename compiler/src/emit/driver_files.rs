//! The driver's user space: libraries by soname, programs by name, each for its driver capabilities.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability;
use gpupol_plan::plan::{Edit, MountOption};

use crate::topology::{DriverFile, DriverFileKind, Topology};

/// Names beside the soname that NVIDIA's own tools make in a container.
const MORE_NAMES: [(&str, &str); 3] = [
    ("libcuda.so.1", "libcuda.so"),
    ("libnvidia-opticalflow.so.1", "libnvidia-opticalflow.so"),
    ("libGLX_nvidia.so.0", "libGLX_indirect.so.0"),
];

/// The kinds of files that plans give. Each of the others has a place and a way of its own to be given.
const GIVEN: [DriverFileKind; 2] = [DriverFileKind::Library, DriverFileKind::Binary];

/// A read-only bind for each name of each file; of several files for one name the first counts.
pub(super) fn binds(topology: &Topology) -> Vec<Edit> {
    let mut taken = BTreeSet::new();
    let mut binds = Vec::new();
    let given = topology.driver_files.iter().filter(|file| GIVEN.contains(&file.kind));
    for file in given {
        for container_path in container_paths(file) {
            if taken.insert(container_path.clone()) {
                binds.push(bind(file, container_path));
            }
        }
    }
    binds
}

fn container_paths(file: &DriverFile) -> Vec<String> {
    let own = file.path.rsplit('/').next().unwrap_or_default();
    if file.kind == DriverFileKind::Binary {
        return vec![format!("/usr/bin/{own}")];
    }
    let soname = file.soname.as_deref().unwrap_or(own);
    let more = MORE_NAMES.iter().filter(|(of, _)| *of == soname).map(|(_, name)| *name);
    std::iter::once(soname).chain(more).map(|name| format!("{{libdir}}/{name}")).collect()
}

fn bind(file: &DriverFile, container_path: String) -> Edit {
    Edit::Bind {
        capabilities: file.capability.map_or(&[][..], needed_for).iter().copied().collect(),
        host_path: file.path.clone(),
        container_path,
        options: [MountOption::Ro, MountOption::Nosuid, MountOption::Nodev].into(),
    }
}

/// The driver capabilities for which a file of one is given: the codecs work through CUDA, and NVIDIA's tools give
/// the same libraries for graphics and display.
fn needed_for(capability: Capability) -> &'static [Capability] {
    match capability {
        Capability::Compute => &[Capability::Compute, Capability::Video],
        Capability::Graphics | Capability::Display => &[Capability::Graphics, Capability::Display],
        Capability::Utility => &[Capability::Utility],
        Capability::Video => &[Capability::Video],
        Capability::Ngx => &[Capability::Ngx],
        Capability::Compat32 => &[Capability::Compat32],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{builtin, read};

    #[test]
    fn libraries_and_programs_are_given_and_nothing_else() {
        let mut host = read::read("campus", builtin::builtin("campus").unwrap().1).unwrap();
        let mut library = host.driver_files.iter().find(|file| file.soname.is_some()).unwrap().clone();
        library.path = "/usr/lib32/libcuda.so.550.163.01".to_owned();
        library.kind = DriverFileKind::Library32;
        host.driver_files.push(library);
        let kinds: BTreeSet<DriverFileKind> = host.driver_files.iter().map(|file| file.kind).collect();
        assert_eq!(kinds.len(), 7, "the host has some of each");
        let given = |edit: &Edit| match edit {
            Edit::Bind { host_path, .. } => Some(host_path.clone()),
            Edit::DeviceNode { .. } => None,
        };
        let given: BTreeSet<String> = binds(&host).iter().filter_map(given).collect();
        let is_given = |file: &&DriverFile| GIVEN.contains(&file.kind);
        let expected: BTreeSet<String> =
            host.driver_files.iter().filter(is_given).map(|file| file.path.clone()).collect();
        assert_eq!(given, expected);
    }
}
