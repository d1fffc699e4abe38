//! Where a container looks for each file of the driver: not where it lies on the host, which may be another distribution.

use std::collections::BTreeSet;

use crate::topology::{DriverFile, DriverFileKind};

/// The directory beside libraries in which GBM looks for its back ends.
pub(super) const GBM: &str = "/gbm/";

/// The directories beside libraries in which other libraries look for the driver's.
const BESIDE: [&str; 2] = [GBM, "/vdpau/"];

/// Names that NVIDIA's own tools make in a container, whether the host has them or not.
const MORE_NAMES: [(&str, &str); 3] = [
    ("libcuda.so.1", "libcuda.so"),
    ("libnvidia-opticalflow.so.1", "libnvidia-opticalflow.so"),
    ("libGLX_nvidia.so.0", "libGLX_indirect.so.0"),
];

/// Directories of data, and below what NVIDIA's tools put them; what lies in any other is not given.
const DATA: [(&str, &str); 8] = [
    ("/etc", "/OpenCL/vendors/"),
    ("/etc", "/vulkan/icd.d/"),
    ("/etc", "/vulkan/implicit_layer.d/"),
    ("/usr/share", "/egl/egl_external_platform.d/"),
    ("/usr/share", "/glvnd/egl_vendor.d/"),
    ("/usr/share", "/vulkansc/icd.d/"),
    ("/usr/share", "/X11/xorg.conf.d/"),
    ("/usr/share", "/nvidia/"),
];

/// Documentation among the data, for whoever edits settings.
const DOCUMENTATION: &str = "-key-documentation";

/// The paths at which a container gets a file, each once; none if it gets it nowhere.
pub(super) fn container_paths(file: &DriverFile) -> BTreeSet<String> {
    let path = file.path.as_str();
    match file.kind {
        DriverFileKind::Library => libraries(file, "{libdir}"),
        DriverFileKind::Library32 => libraries(file, "{libdir32}"),
        DriverFileKind::Module => modules(file),
        DriverFileKind::Binary => [format!("/usr/bin/{}", last(path, 1))].into(),
        DriverFileKind::Firmware => [format!("/lib/firmware/{}", last(path, 3))].into(),
        // A daemon's clients know the directory by its older name, and today's images have a link there.
        DriverFileKind::Socket => [format!("/var/run/{}", last(path, 2))].into(),
        DriverFileKind::Data => data(path).into_iter().collect(),
    }
}

/// By its soname, by the names that links of the host give it, and in the directories where other libraries look.
fn libraries(file: &DriverFile, directory: &str) -> BTreeSet<String> {
    let soname = file.soname.as_deref().unwrap_or_else(|| last(&file.path, 1));
    let more = MORE_NAMES.iter().filter(|(of, _)| *of == soname).map(|(_, name)| (*name).to_owned());
    let links = file.links.iter().map(|link| below(link).to_owned());
    let beside = below(&file.path).rsplit_once('/').map(|(beside, _)| format!("{beside}/{soname}"));
    let names = std::iter::once(soname.to_owned()).chain(more).chain(links).chain(beside);
    names.map(|name| format!("{directory}/{name}")).collect()
}

/// A name of a library, with the directory beside others that it lies in.
fn below(path: &str) -> &str {
    let is_beside = BESIDE.iter().any(|beside| path.contains(beside));
    last(path, if is_beside { 2 } else { 1 })
}

/// The X server knows a module by one name: that of a link to it, else its own. Distributions keep modules in different
/// directories of theirs.
fn modules(file: &DriverFile) -> BTreeSet<String> {
    let names = if file.links.is_empty() { std::slice::from_ref(&file.path) } else { &file.links };
    let directory = if file.path.contains("nvidia_drv") { "drivers" } else { "extensions" };
    names.iter().map(|path| format!("{{xorgdir}}/{directory}/{}", last(path, 1))).collect()
}

fn data(path: &str) -> Option<String> {
    let (directory, name) = path.rsplit_once('/')?;
    let (base, below) = DATA.iter().find(|(_, below)| format!("{directory}/").ends_with(below))?;
    (!name.ends_with(DOCUMENTATION)).then(|| format!("{base}{below}{name}"))
}

/// The last parts of a path.
fn last(path: &str, parts: usize) -> &str {
    let start = path.rmatch_indices('/').nth(parts.saturating_sub(1)).map_or(0, |(slash, _)| slash + 1);
    path.get(start..).unwrap_or_default()
}
