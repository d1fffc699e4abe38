//! What is no library: programs, firmware, sockets and data.

use gpupol_plan::capability::Capability::{self, Utility};
use gpupol_plan::glob;
use rustix::fs::FileType;

use super::known::{self, Data};
use super::place;
use crate::topology::discover::DiscoverError;
use crate::topology::discover::driver_root::DriverRoot;
use crate::topology::discover::root::Root;
use crate::topology::{DriverFile, DriverFileKind};

/// Where the kernel is told of another directory of firmware.
const FIRMWARE_PATH: &str = "/sys/module/firmware_class/parameters/path";

/// What stands for the driver's version in names.
const VERSION: &str = "VERSION";

/// The driver's programs, each where it is found first.
pub(super) fn binaries(driver: &DriverRoot) -> Vec<DriverFile> {
    let found = known::BINARIES.iter().filter_map(|known| {
        let places = place::BINARIES.iter().map(|directory| format!("{directory}/{}", known.name));
        let mut paths = places.filter_map(|place| driver.files.resolve(&place));
        let path = paths.find(|path| driver.files.is_program(path))?;
        Some(file(driver.on_host(&path), DriverFileKind::Binary, Some(known.capability)))
    });
    found.collect()
}

/// The firmware of the driver `version`: what the kernel would find first, else what the driver's container has.
pub(super) fn firmware(
    root: &Root,
    driver: &DriverRoot,
    version: &str,
) -> Result<Vec<DriverFile>, DiscoverError> {
    let release = root.text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let told = root.text(FIRMWARE_PATH).unwrap_or_default();
    let told = Some(told.trim()).filter(|told| told.starts_with('/')).map(str::to_owned);
    let usual = place::FIRMWARE.iter().map(|place| place.replace("RELEASE", release.trim()));
    let places: Vec<String> =
        told.into_iter().chain(usual).map(|place| format!("{place}/nvidia/{version}")).collect();
    let of_host = places.iter().map(|place| gsp(root, place));
    let of_driver = places.iter().map(|place| {
        let paths = gsp(&driver.files, place)?;
        Ok(paths.into_iter().map(|path| driver.on_host(&path)).collect::<Vec<_>>())
    });
    let is_it = |paths: &Result<Vec<String>, _>| paths.as_ref().map_or(true, |paths| !paths.is_empty());
    let found = of_host.chain(of_driver).find(is_it).transpose()?.unwrap_or_default();
    Ok(found.into_iter().map(|path| file(path, DriverFileKind::Firmware, None)).collect())
}

/// The firmware of GPUs' own processors.
fn gsp(root: &Root, directory: &str) -> Result<Vec<String>, DiscoverError> {
    let names = root.names(directory)?.into_iter().filter(|name| glob::matches("gsp*.bin", name));
    Ok(files(root, directory, names))
}

/// The sockets of the driver's daemons, in its container or on the host.
pub(super) fn sockets(root: &Root, driver: &DriverRoot) -> Vec<DriverFile> {
    let found = place::SOCKETS.iter().filter_map(|place| {
        let of_driver = || socket(&driver.files, place).map(|path| driver.on_host(&path));
        let path = of_driver().or_else(|| socket(root, place))?;
        Some(file(path, DriverFileKind::Socket, Some(Utility)))
    });
    found.collect()
}

fn socket(root: &Root, place: &str) -> Option<String> {
    root.resolve(place).filter(|path| root.is(path, FileType::Socket))
}

/// The data of the driver `version`.
pub(super) fn data(driver: &DriverRoot, version: &str) -> Result<Vec<DriverFile>, DiscoverError> {
    let mut found = Vec::new();
    for (base, data) in place::DATA.iter().flat_map(|base| known::DATA.iter().map(move |data| (base, data))) {
        let directory = format!("{base}/{}", data.directory);
        let pattern = names(data, version);
        let names = driver.files.names(&directory)?.into_iter().filter(|name| glob::matches(&pattern, name));
        let paths = files(&driver.files, &directory, names).into_iter();
        let one = |path: String| file(driver.on_host(&path), DriverFileKind::Data, Some(data.capability));
        found.extend(paths.map(one));
    }
    Ok(found)
}

/// The pattern of names in the driver `version`.
pub(super) fn names(data: &Data, version: &str) -> String {
    data.names.replace(VERSION, version)
}

/// What some data is called in the driver `version`, with the directory that readers look into; none if its branch may
/// go without it.
pub(super) fn shipped(data: &Data, branch: u32, version: &str) -> Option<String> {
    let (_, name) = data.shipped.filter(|(first, _)| branch >= *first)?;
    Some(format!("{}/{}", data.directory, name.replace(VERSION, version)))
}

/// The regular files of these names, without symbolic links.
fn files(root: &Root, directory: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let paths = names.filter_map(|name| root.resolve(&format!("{directory}/{name}")));
    paths.filter(|path| root.is(path, FileType::RegularFile)).collect()
}

fn file(path: String, kind: DriverFileKind, capability: Option<Capability>) -> DriverFile {
    DriverFile { path, kind, soname: None, links: Vec::new(), capability }
}
