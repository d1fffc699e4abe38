//! CUDA's libraries of a newer driver, in a directory that the administrator named.

use gpupol_plan::capability::Capability;

use super::{Wanted, known, library};
use crate::topology::discover::DiscoverError;
use crate::topology::discover::elf::{self, Compatibility};
use crate::topology::discover::root::Root;
use crate::topology::{CudaCompat, DriverFile, DriverFileKind, Fact};

/// The library to which all others belong, before its version.
const CUDA: &str = "libcuda.so.";

/// The libraries for CUDA in a directory of the host: those of the version of its `libcuda`.
///
/// # Errors
/// That the directory has no such library, or several.
pub(in crate::topology::discover) fn read(root: &Root, directory: &str) -> Result<CudaCompat, DiscoverError> {
    let unreadable =
        |reason: &str| DiscoverError::Read { path: directory.to_owned(), reason: reason.to_owned() };
    if !directory.starts_with('/') {
        return Err(unreadable("it is no absolute path"));
    }
    let names = root.names(directory)?;
    let is_file = |name: &&String| {
        root.resolve(&place(directory, name)).is_some_and(|real| real.ends_with(name.as_str()))
    };
    let versions: Vec<&str> = names
        .iter()
        .filter(is_file)
        .filter_map(|name| name.strip_prefix(CUDA))
        .filter(|version| version.contains('.'))
        .collect();
    let version = match versions.as_slice() {
        [version] => *version,
        [] => {
            return Err(unreadable(
                "it has no `libcuda.so.VERSION`: name the directory of CUDA's compatibility package",
            ));
        }
        _ => return Err(unreadable("it has `libcuda.so.VERSION` of several versions: keep one")),
    };
    let wanted = Wanted { version: Some(version), branch: known::branch(version), list: Ok(None) };
    let file = |name: &String| file(root, directory, name, &wanted);
    let mut files: Vec<DriverFile> = names.iter().filter_map(file).collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files.dedup_by(|one, other| one.path == other.path);
    let cuda = format!("{CUDA}{version}");
    let said = root.regular(&place(directory, &cuda)).map(elf::compatibility);
    let (cuda, branches) = match said.map_err(|why| unreadable(&format!("`{cuda}`: {why}")))? {
        Ok(Compatibility { cuda, branches }) => (said_or_not(cuda), said_or_not(branches)),
        Err(why) => (Fact::unknown(why), Fact::unknown(why)),
    };
    Ok(CudaCompat { version: version.to_owned(), cuda, branches, files })
}

fn said_or_not<T>(said: Option<T>) -> Fact<T> {
    said.map_or(Fact::Absent, Fact::Known)
}

fn file(root: &Root, directory: &str, name: &str, wanted: &Wanted<'_>) -> Option<DriverFile> {
    let capability =
        library::capability(name, wanted).filter(|capability| *capability == Capability::Compute)?;
    let path = root.resolve(&place(directory, name))?;
    let library = elf::library(root.open(&path)?)?;
    let soname = Some(library.soname.unwrap_or_else(|| name.to_owned()));
    let kind = DriverFileKind::Library;
    (!library.is_32_bit).then_some(DriverFile {
        path,
        kind,
        soname,
        links: Vec::new(),
        capability: Some(capability),
    })
}

fn place(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}
