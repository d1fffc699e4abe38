//! What the running driver ships and the host lacks.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability::{self, Graphics};
use gpupol_plan::glob;

use super::{Wanted, data, known};
use crate::topology::{DriverFile, DriverFileKind, Fact, MissingFile};

/// What is not among `files`, sorted by name, if it is known what the driver ships: by its own list, else by its branch.
pub(super) fn all(files: &[DriverFile], wanted: &Wanted<'_>, is_aarch64: bool) -> Fact<Vec<MissingFile>> {
    let (Some(version), Some(branch)) = (wanted.version, wanted.branch) else {
        return Fact::unknown("the version of the driver is not known");
    };
    let mut shipped = match &wanted.list {
        Err(reason) => return Fact::Unknown(reason.clone()),
        Ok(Some(_)) => by_list(wanted),
        Ok(None) if is_known(branch) && !is_aarch64 => by_branch(version, branch),
        Ok(None) => {
            return Fact::Unknown(format!("nobody says what driver {version} ships for this machine"));
        }
    };
    let names = names(files);
    shipped.retain(|file| !names.contains(file.name.as_str()));
    shipped.extend(of_both(files, version, branch));
    shipped.sort_by(|one, other| one.name.cmp(&other.name));
    Fact::Known(shipped)
}

fn is_known(branch: u32) -> bool {
    known::BRANCHES.contains(&branch) && branch != known::CHIP_BRANCH
}

/// The names by which files are found; 32-bit libraries stand for no others.
fn names(files: &[DriverFile]) -> BTreeSet<&str> {
    let whole = files.iter().filter(|file| file.kind != DriverFileKind::Library32);
    let paths = whole.flat_map(|file| std::iter::once(&file.path).chain(&file.links));
    paths.filter_map(|path| path.rsplit('/').next()).collect()
}

/// The libraries and programs that the driver's own list says it always has, if it is known here what they are.
fn by_list(wanted: &Wanted<'_>) -> Vec<MissingFile> {
    let Ok(Some(list)) = &wanted.list else { return Vec::new() };
    let always = list.iter().filter(|(_, listed)| !listed.is_optional);
    let shipped = always.filter_map(|(name, listed)| match listed.kind.as_str() {
        "LIB" if !known::MODULES.iter().any(|(module, _)| name.starts_with(module)) => {
            let capability = super::library::capability(name, wanted)?;
            Some(missing(name.to_owned(), DriverFileKind::Library, Some(capability)))
        }
        "BINARY" => {
            let known = known::BINARIES.iter().find(|known| known.name == name)?;
            Some(missing(name.to_owned(), DriverFileKind::Binary, Some(known.capability)))
        }
        _ => None,
    });
    shipped.collect()
}

fn by_branch(version: &str, branch: u32) -> Vec<MissingFile> {
    let of = |known: &known::Known, name: String, kind| missing(name, kind, Some(known.capability));
    let shipped = |known: &&known::Known| known.is_shipped(branch);
    let libraries = known::LIBRARIES
        .iter()
        .filter(shipped)
        .map(|known| of(known, format!("{}.so.{version}", known.name), DriverFileKind::Library));
    let others = known::OTHER_LIBRARIES.iter().filter(shipped);
    let others = others.map(|known| of(known, known.name.to_owned(), DriverFileKind::Library));
    let binaries = known::BINARIES.iter().filter(shipped);
    let binaries = binaries.map(|known| of(known, known.name.to_owned(), DriverFileKind::Binary));
    libraries.chain(others).chain(binaries).collect()
}

/// What no list has by the names that packages give it: firmware, modules and data.
fn of_both(files: &[DriverFile], version: &str, branch: u32) -> Vec<MissingFile> {
    let has = |kind, pattern: &str| {
        files.iter().any(|file| file.kind == kind && glob::matches(pattern, &file.path))
    };
    let mut lacking = Vec::new();
    if !has(DriverFileKind::Firmware, "**") {
        lacking.push(missing(format!("nvidia/{version}/gsp*.bin"), DriverFileKind::Firmware, None));
    }
    for (module, _) in known::MODULES {
        if !has(DriverFileKind::Module, &format!("**/{module}*")) {
            lacking.push(missing(module.to_owned(), DriverFileKind::Module, Some(Graphics)));
        }
    }
    for data in &known::DATA {
        let pattern = format!("**/{}/{}", data.directory, data::names(data, version));
        if let Some(name) = data::shipped(data, branch, version)
            && !has(DriverFileKind::Data, &pattern)
        {
            lacking.push(missing(name, DriverFileKind::Data, Some(data.capability)));
        }
    }
    lacking
}

fn missing(name: String, kind: DriverFileKind, capability: Option<Capability>) -> MissingFile {
    MissingFile { name, kind, capability }
}
