//! The files of a host, as its kernel and its driver's installer would have them.

use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use gpupol::topology::{
    DriverFile, DriverFileKind, Fact, Gpu, NumaNode, OutOfService, Outage, Topology, Vendor,
};

use crate::{elf, kfd};

/// Writes what `topology` implies below `root`. Unknown properties have no file.
pub(crate) fn write(root: &Path, topology: &Topology) {
    file(root, "proc/sys/kernel/hostname", format!("{}\n", topology.host));
    file(root, "proc/devices", devices(topology));
    file(root, "proc/driver/nvidia-caps/mig-minors", mig_minors());
    file(root, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
    numa_nodes(root, &topology.numa_nodes);
    for gpu in &topology.gpus {
        write_gpu(root, gpu);
    }
    for gpu in &topology.out_of_service {
        write_out_of_service(root, gpu);
    }
    kfd::write(root, topology);
    merge_usr(root);
    for found in &topology.driver_files {
        driver_file(root, found);
    }
}

/// Where nobody says how far they are, there is one that does not say so either.
fn numa_nodes(root: &Path, nodes: &Fact<Vec<NumaNode>>) {
    let directory = "sys/devices/system/node";
    match nodes {
        Fact::Absent => {}
        Fact::Unknown(_) => file(root, &format!("{directory}/node0/cpulist"), "0-3\n"),
        Fact::Known(nodes) => {
            for node in nodes {
                let distances: Vec<String> = node.distances.iter().map(u32::to_string).collect();
                let path = format!("{directory}/node{}/distance", node.node);
                file(root, &path, format!("{}\n", distances.join(" ")));
            }
        }
    }
}

/// What distributions lay out so today.
pub(crate) fn merge_usr(root: &Path) {
    for name in ["bin", "sbin", "lib", "lib64"] {
        std::fs::create_dir_all(root.join("usr").join(name)).unwrap();
        symlink(Path::new("usr").join(name), root.join(name)).unwrap();
    }
}

/// Writes a file of the driver, and the links that lead to it.
pub(crate) fn driver_file(root: &Path, found: &DriverFile) {
    let path = found.path.trim_start_matches('/');
    let machine = if found.path.contains("aarch64") { elf::AARCH64 } else { elf::X86_64 };
    let soname = found.soname.as_deref();
    match found.kind {
        DriverFileKind::Library | DriverFileKind::Module => file(root, path, elf::library(machine, soname)),
        DriverFileKind::Library32 => file(root, path, elf::library(elf::I386, soname)),
        DriverFileKind::Binary => program(root, path),
        DriverFileKind::Firmware | DriverFileKind::Data => file(root, path, "{}\n"),
        DriverFileKind::Socket => socket(root, path),
    }
    for link in &found.links {
        let link = root.join(link.trim_start_matches('/'));
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&found.path, link).unwrap();
    }
}

/// A socket's address is short: the directory is named by its descriptor.
fn socket(root: &Path, path: &str) {
    let path = root.join(path);
    let directory = path.parent().unwrap();
    std::fs::create_dir_all(directory).unwrap();
    let descriptor = std::fs::File::open(directory).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    UnixListener::bind(format!("/proc/self/fd/{}/{name}", descriptor.as_raw_fd())).unwrap();
}

/// Writes one file and the directories above it.
pub(crate) fn file(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Writes what the kernel module says of the GPU at `pci`.
pub(crate) fn information(root: &Path, pci: &str, lines: &str) {
    let head = "Model: \t\t Simulated\nIRQ:   \t\t 42\n";
    file(root, &format!("proc/driver/nvidia/gpus/{pci}/information"), format!("{head}{lines}"));
}

fn write_gpu(root: &Path, gpu: &Gpu) {
    let Fact::Known(pci) = &gpu.pci else { return };
    let sysfs = format!("sys/bus/pci/devices/{pci}");
    let numa = match &gpu.numa {
        Fact::Known(numa) => Some(numa[0].to_string()),
        Fact::Absent => Some("-1".to_owned()),
        Fact::Unknown(_) => None,
    };
    if let Some(numa) = numa {
        file(root, &format!("{sysfs}/numa_node"), format!("{numa}\n"));
    }
    if let Fact::Known(cpus) = &gpu.cpus {
        file(root, &format!("{sysfs}/local_cpulist"), format!("{cpus}\n"));
    }
    if gpu.vendor != Vendor::Nvidia {
        return;
    }
    let minor = minor(&gpu.minor);
    information(root, pci, &format!("GPU UUID: \t {}\n{minor}GPU Excluded:\t No\n", gpu.uuid));
    for node in &gpu.nodes {
        if let Some(name) = node.path.strip_prefix("/dev/dri/") {
            file(root, &format!("{sysfs}/drm/{name}/dev"), format!("{}:{}\n", node.major, node.minor));
        }
    }
}

/// The kernel module goes on to list what it lost.
fn write_out_of_service(root: &Path, gpu: &OutOfService) {
    let Fact::Known(pci) = &gpu.pci else { return };
    let uuid = gpu.uuid.known().map(|uuid| format!("GPU UUID: \t {uuid}\n")).unwrap_or_default();
    let model = gpu.model.known().map(|model| format!("Model: \t {model}\n")).unwrap_or_default();
    let excluded = if gpu.state == Outage::Excluded { "Yes" } else { "No" };
    let text = format!("{model}{uuid}{}GPU Excluded:\t {excluded}\n", minor(&gpu.minor));
    file(root, &format!("proc/driver/nvidia/gpus/{pci}/information"), text);
}

fn minor(minor: &Fact<u32>) -> String {
    minor.known().map(|minor| format!("Device Minor: \t {minor}\n")).unwrap_or_default()
}

fn devices(topology: &Topology) -> String {
    let nvidia = topology.majors.iter().map(|(name, major)| format!("{major:3} {name}\n"));
    format!(
        "Character devices:\n  1 mem\n  5 /dev/tty\n{}226 drm\n\nBlock devices:\n  7 loop\n",
        nvidia.collect::<String>()
    )
}

/// The kernel module's whole table, for every GPU that it can count.
fn mig_minors() -> String {
    let mut table = "config 1\nmonitor 2\n".to_owned();
    let mut minor = 3;
    for gpu in 0..32 {
        for gi in 0..15 {
            table.push_str(&format!("gpu{gpu}/gi{gi}/access {minor}\n"));
            minor += 1;
            for ci in 0..8 {
                table.push_str(&format!("gpu{gpu}/gi{gi}/ci{ci}/access {minor}\n"));
                minor += 1;
            }
        }
    }
    assert_eq!(minor, 4323, "the last is gpu31/gi14/ci7 with 4322");
    table
}

fn program(root: &Path, path: &str) {
    use std::os::unix::fs::PermissionsExt;
    file(root, path, "#!/bin/false\n");
    std::fs::set_permissions(root.join(path), std::fs::Permissions::from_mode(0o755)).unwrap();
}
