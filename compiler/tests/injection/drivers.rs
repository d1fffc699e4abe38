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

/// What comes in packages of its own, with any branch: libraries with the driver's version, those with one of their own, and what
/// is no library.
const PACKAGES: [(&str, Option<u32>, Capability); 4] = [
    ("libnvidia-fatbinaryloader", None, Compute),
    ("libnvidia-nscq", Some(2), Utility),
    ("libnvidia-vulkan-producer", None, Graphics),
    ("libnvidia-wayland-client", None, Graphics),
];
const OWN_VERSIONS: [(&str, &str); 4] = [
    ("libnvidia-egl-wayland.so.1", "1.13"),
    ("libnvidia-egl-wayland2.so.1", "0.0"),
    ("libnvidia-egl-xcb.so.1", "0.1"),
    ("libnvidia-egl-xlib.so.1", "0.1"),
];
const OTHER_PACKAGES: [(&str, DriverFileKind, Capability); 6] = [
    ("/usr/bin/nvidia-imex", DriverFileKind::Binary, Compute),
    ("/usr/bin/nvidia-imex-ctl", DriverFileKind::Binary, Compute),
    ("/usr/bin/nvidia-xconfig", DriverFileKind::Binary, Graphics),
    ("/usr/share/X11/xorg.conf.d/10-nvidia.conf", DriverFileKind::Data, Graphics),
    ("/usr/share/X11/xorg.conf.d/nvidia-drm-outputclass.conf", DriverFileKind::Data, Graphics),
    ("/usr/share/egl/egl_external_platform.d/10_nvidia_wayland.json", DriverFileKind::Data, Graphics),
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
    let libraries = if branch == 470 { "/usr/lib64" } else { "/usr/lib/x86_64-linux-gnu" };
    host.driver_files.extend(PACKAGES.map(|known| library(libraries, known, version)));
    host.driver_files.extend(OWN_VERSIONS.map(|(soname, rest)| {
        let known = (soname, Graphics);
        named(format!("{libraries}/{soname}.{rest}"), DriverFileKind::Library, known)
    }));
    host.driver_files.extend(OTHER_PACKAGES.map(|(path, kind, capability)| other(path, kind, capability)));
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
    let nvvm = "libnvidia-nvvm70.so.4";
    files.extend([
        named(format!("{libraries}/{nvvm}"), DriverFileKind::Library, (nvvm, Compute)),
        other("/usr/bin/nv-fabricmanager", DriverFileKind::Binary, Utility),
        other("/run/nvidia/driver/run/nvidia-fabricmanager/socket", DriverFileKind::Socket, Utility),
        other("/usr/share/vulkansc/icd.d/nvidia_icd.json", DriverFileKind::Data, Graphics),
    ]);
}

fn named(path: String, kind: DriverFileKind, (soname, capability): (&str, Capability)) -> DriverFile {
    let soname = Some(soname.to_owned());
    DriverFile { path, kind, soname, links: Vec::new(), capability: Some(capability) }
}

fn other(path: &str, kind: DriverFileKind, capability: Capability) -> DriverFile {
    let capability = Some(capability);
    DriverFile { path: path.to_owned(), kind, soname: None, links: Vec::new(), capability }
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
