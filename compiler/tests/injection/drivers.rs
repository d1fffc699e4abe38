//! Hosts with the user space of three branches of the driver, as their installers leave it.

use gpupol::topology::{DriverFile, DriverFileKind, Fact, Topology, Vendor, read};
use gpupol_plan::capability::Capability::{self, Compute, Graphics, Utility, Video};

/// A driver's branch and version.
pub(crate) type Branch = (u32, &'static str);

/// The oldest on Red Hat's system, the recorded one on Debian, and one with what came after it.
pub(crate) const BRANCHES: [Branch; 3] = [(470, "470.256.02"), (550, RECORDED), (610, "610.43.02")];

const RECORDED: &str = "550.163.01";

/// What the recorded driver has and the oldest has not, by a part of its path.
const NEWER_THAN_470: [&str; 8] = [
    "libcudadebugger",
    "libnvidia-api",
    "libnvidia-egl-gbm",
    "libnvidia-gpucomp",
    "libnvidia-pkcs11",
    "15_nvidia_gbm",
    "nvidia_layers",
    "nvoptix.bin",
];

/// What only the oldest has: name, the number in its soname, capability.
const ONLY_470: [(&str, Option<u32>, Capability); 3] = [
    ("libnvidia-cbl", None, Graphics),
    ("libnvidia-compiler", None, Compute),
    ("libnvidia-ifr", Some(1), Graphics),
];

/// What the newest has beside the recorded one.
const NEW_IN_610: [(&str, Option<u32>, Capability); 5] = [
    ("libnvcuextend", Some(1), Compute),
    ("libnvidia-present", None, Graphics),
    ("libnvidia-sandboxutils", Some(1), Utility),
    ("libnvidia-tileiras", None, Compute),
    ("libnvidia-vksc-core", Some(1), Graphics),
];

/// 32-bit libraries.
const OLD: [(&str, Option<u32>, Capability); 5] = [
    ("libGLX_nvidia", Some(0), Graphics),
    ("libcuda", Some(1), Compute),
    ("libnvidia-glcore", None, Graphics),
    ("libnvidia-ml", Some(1), Utility),
    ("libvdpau_nvidia", Some(1), Video),
];

/// A host with one GPU and that driver.
pub(crate) fn host((branch, version): Branch) -> Topology {
    let record = include_str!("../../../examples/topologies/t4-1x-cloud.json");
    let mut host = read::read("host", record).unwrap();
    host.drivers.get_mut(&Vendor::Nvidia).unwrap().version = Fact::Known(version.to_owned());
    for file in &mut host.driver_files {
        rename(file, &|text| text.replace(RECORDED, version));
    }
    match branch {
        470 => to_470(&mut host.driver_files, version),
        610 => to_610(&mut host.driver_files, version),
        _ => {}
    }
    host.driver_files.extend(OLD.map(|known| old(branch, known, version)));
    host.driver_files.sort_by(|one, other| one.path.cmp(&other.path));
    host
}

fn to_470(files: &mut Vec<DriverFile>, version: &str) {
    files.retain(|file| !NEWER_THAN_470.iter().any(|name| file.path.contains(name)));
    files.retain(|file| !file.path.ends_with("gsp_ga10x.bin"));
    for file in &mut *files {
        file.links.retain(|link| !link.contains("/gbm/"));
        rename(file, &|text| {
            text.replace("/usr/lib/x86_64-linux-gnu", "/usr/lib64")
                .replace("/usr/lib/xorg", "/usr/lib64/xorg")
                .replace("gsp_tu10x.bin", "gsp.bin")
                .replace("libnvidia-nvvm.so.470.256.02", "libnvidia-nvvm.so.4.0.0")
        });
    }
    files.extend(ONLY_470.map(|known| library("/usr/lib64", known, version)));
}

fn to_610(files: &mut Vec<DriverFile>, version: &str) {
    let libraries = "/usr/lib/x86_64-linux-gnu";
    files.extend(NEW_IN_610.map(|known| library(libraries, known, version)));
    let nvvm = DriverFile {
        path: format!("{libraries}/libnvidia-nvvm70.so.4"),
        kind: DriverFileKind::Library,
        soname: Some("libnvidia-nvvm70.so.4".to_owned()),
        links: Vec::new(),
        capability: Some(Compute),
    };
    let fabric = |path: &str, kind| DriverFile {
        path: path.to_owned(),
        kind,
        soname: None,
        links: Vec::new(),
        capability: Some(Utility),
    };
    files.extend([
        nvvm,
        fabric("/usr/bin/nv-fabricmanager", DriverFileKind::Binary),
        fabric("/run/nvidia/driver/run/nvidia-fabricmanager/socket", DriverFileKind::Socket),
    ]);
}

fn old(branch: u32, known: (&str, Option<u32>, Capability), version: &str) -> DriverFile {
    let libraries = if branch == 470 { "/usr/lib" } else { "/usr/lib/i386-linux-gnu" };
    let beside = if known.0 == "libvdpau_nvidia" { "/vdpau" } else { "" };
    DriverFile { kind: DriverFileKind::Library32, ..library(&format!("{libraries}{beside}"), known, version) }
}

fn library(
    directory: &str,
    (name, number, capability): (&str, Option<u32>, Capability),
    version: &str,
) -> DriverFile {
    let own = format!("{name}.so.{version}");
    let soname = number.map_or_else(|| own.clone(), |number| format!("{name}.so.{number}"));
    DriverFile {
        path: format!("{directory}/{own}"),
        kind: DriverFileKind::Library,
        links: number.map(|_| format!("{directory}/{soname}")).into_iter().collect(),
        soname: Some(soname),
        capability: Some(capability),
    }
}

/// Changes every text by which a file is named.
fn rename(file: &mut DriverFile, change: &dyn Fn(&str) -> String) {
    file.path = change(&file.path);
    file.soname = file.soname.as_deref().map(change);
    for link in &mut file.links {
        *link = change(link);
    }
}
