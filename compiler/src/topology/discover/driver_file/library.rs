//! Libraries and modules, with the links that lead to them.

use std::collections::{BTreeMap, BTreeSet};

use super::Wanted;
use super::known::{self, Known};
use super::place;
use crate::topology::discover::DiscoverError;
use crate::topology::discover::driver_root::DriverRoot;
use crate::topology::discover::elf::{self, Library};
use crate::topology::{DriverFile, DriverFileKind};
use gpupol_plan::capability::Capability;

/// Directories with libraries of the driver beside those of all libraries.
const BESIDE: [&str; 3] = ["", "/vdpau", "/gbm"];

/// What is found in the directories, and what leads to it.
#[derive(Default)]
struct Found {
    /// By real path; no value for what is no library.
    files: BTreeMap<String, Option<DriverFile>>,
    /// The first file of each kind and name.
    named: BTreeMap<(DriverFileKind, String), String>,
    /// Real path of a file, and where a link to it lies.
    links: BTreeMap<String, BTreeSet<String>>,
    /// Whether there is a library for aarch64.
    has_aarch64: bool,
}

/// The driver's libraries and modules, each once by kind and soname, and whether they are for aarch64.
///
/// # Errors
/// That a directory of libraries cannot be read.
pub(super) fn all(
    driver: &DriverRoot,
    wanted: &Wanted<'_>,
) -> Result<(Vec<DriverFile>, bool), DiscoverError> {
    let mut found = Found::default();
    for directory in &driver.libraries {
        for beside in BESIDE {
            look(driver, wanted, &format!("{directory}{beside}"), false, &mut found)?;
        }
    }
    for directory in &driver.libraries {
        for modules in place::MODULES {
            look(driver, wanted, &format!("{directory}/{modules}"), true, &mut found)?;
        }
    }
    let Found { mut files, named, mut links, has_aarch64 } = found;
    let named = named.into_values().filter_map(|path| files.remove(&path).flatten());
    let linked = named.map(|file| {
        let links = links.remove(&file.path).unwrap_or_default();
        let links = links.iter().map(|link| driver.on_host(link)).collect();
        DriverFile { path: driver.on_host(&file.path), links, ..file }
    });
    Ok((linked.collect(), has_aarch64))
}

fn look(
    driver: &DriverRoot,
    wanted: &Wanted<'_>,
    directory: &str,
    modules: bool,
    found: &mut Found,
) -> Result<(), DiscoverError> {
    for name in driver.files.names(directory)? {
        let capability = if modules { module(&name, wanted) } else { capability(&name, wanted) };
        if capability.is_none() && !may_lead_to_one(&name, modules) {
            continue;
        }
        let at = format!("{directory}/{name}");
        let Some(path) = driver.files.resolve(&at) else { continue };
        if let Some(capability) = capability
            && !found.files.contains_key(&path)
        {
            let file = read(driver, &path, &name, capability, modules, found);
            if let Some(file) = &file {
                let name = file.soname.clone().unwrap_or(name);
                found.named.entry((file.kind, name)).or_insert_with(|| path.clone());
            }
            found.files.insert(path.clone(), file);
        }
        if at != path {
            found.links.entry(path).or_default().insert(at);
        }
    }
    Ok(())
}

fn read(
    driver: &DriverRoot,
    path: &str,
    name: &str,
    capability: Capability,
    is_module: bool,
    found: &mut Found,
) -> Option<DriverFile> {
    let Library { is_32_bit, is_aarch64, soname } = elf::library(driver.files.open(path)?)?;
    found.has_aarch64 |= is_aarch64;
    let kind = match (is_module, is_32_bit) {
        (true, true) => return None,
        (true, false) => DriverFileKind::Module,
        (false, true) => DriverFileKind::Library32,
        (false, false) => DriverFileKind::Library,
    };
    let soname = kind.is_library().then(|| soname.unwrap_or_else(|| name.to_owned()));
    let path = path.to_owned();
    Some(DriverFile { path, kind, soname, links: Vec::new(), capability: Some(capability) })
}

/// The capability of the library in a file of that name, if it is one of the running driver.
pub(super) fn capability(name: &str, wanted: &Wanted<'_>) -> Option<Capability> {
    let stem = wanted.stem(name);
    let known = known::LIBRARIES.iter().find(|known| stem == Some(known.name));
    let other = || known::OTHER_LIBRARIES.iter().find(|known| is_other(known, name, wanted));
    let listed = || wanted.listed_library(name);
    known.or_else(other).map(|known| known.capability).or_else(listed)
}

/// A library with a version of its own that only some branches have may be left over from another driver.
fn is_other(known: &Known, name: &str, wanted: &Wanted<'_>) -> bool {
    let is_had = wanted.branch.is_none_or(|branch| known.is_shipped(branch) || known.may_be_anywhere());
    name.starts_with(known.name) && is_had
}

fn module(name: &str, wanted: &Wanted<'_>) -> Option<Capability> {
    let is_named = |(module, is_versioned): &(&str, bool)| {
        name == *module || (*is_versioned && wanted.stem(name) == module.strip_suffix(".so"))
    };
    known::MODULES.iter().any(is_named).then_some(Capability::Graphics)
}

/// Whether a link of that name may lead to a file of the driver: those of all libraries are not followed, there are
/// thousands.
fn may_lead_to_one(name: &str, modules: bool) -> bool {
    let Some((stem, _)) = name.split_once(".so") else { return false };
    let is_other = |known: &Known| known.name.split_once(".so").is_some_and(|(other, _)| other == stem);
    modules
        || known::LIBRARIES.iter().any(|known| known.name == stem)
        || known::OTHER_LIBRARIES.iter().any(is_other)
        || known::OTHER_LINKS.contains(&stem)
}
