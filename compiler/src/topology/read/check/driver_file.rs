//! What files of the driver must fulfil: their paths become mounts, and their kinds say which.

use super::{Checked, ascending, each, ensure, not_plain, wrong};
use crate::topology::read::name::{has_control, is_file_name, is_plain_path};
use crate::topology::{CudaCompat, DriverFile, DriverFileKind, MissingFile, Topology};

/// Every file that there is, and every one that is missing.
pub(super) fn all(topology: &Topology) -> Checked {
    each("driverFiles", &topology.driver_files, file)?;
    ascending("driverFiles", &topology.driver_files, "path", |file| file.path.clone())?;
    if let Some(compat) = &topology.cuda_compat {
        compatible(compat)?;
    }
    let missing = topology.missing_driver_files.known().map(Vec::as_slice).unwrap_or_default();
    each("missingDriverFiles", missing, is_named)?;
    ascending("missingDriverFiles", missing, "name", |file| file.name.clone())
}

fn compatible(compat: &CudaCompat) -> Checked {
    each("cudaCompat.files", &compat.files, |place, found| {
        ensure(found.kind == DriverFileKind::Library, place, || {
            "only 64-bit libraries stand here".to_owned()
        })?;
        file(place, found)
    })?;
    ascending("cudaCompat.files", &compat.files, "path", |file| file.path.clone())
}

fn file(place: &str, file: &DriverFile) -> Checked {
    ensure(is_plain_path(&file.path), format!("{place}.path"), || not_plain(&file.path))?;
    match &file.soname {
        Some(soname) if file.kind.is_library() => {
            ensure(is_file_name(soname), format!("{place}.soname"), || {
                format!("`{soname}` is not the name of a file")
            })?;
        }
        Some(_) => wrong(place, "only a library has a `soname`".to_owned())?,
        None if file.kind.is_library() => wrong(place, "a library needs a `soname`".to_owned())?,
        None => {}
    }
    ensure(file.capability.is_some() || file.kind == DriverFileKind::Firmware, place, || {
        "only firmware is for every use of a GPU: write the `capability` that needs it".to_owned()
    })?;
    let links = format!("{place}.links");
    each(&links, &file.links, |place, link| ensure(is_plain_path(link), place, || not_plain(link)))?;
    ascending(&links, &file.links, "path", Clone::clone)
}

fn is_named(place: &str, file: &MissingFile) -> Checked {
    let is_name = !file.name.is_empty() && !file.name.starts_with('/') && !has_control(&file.name);
    ensure(is_name, format!("{place}.name"), || {
        format!("`{}` is not the name of a file", file.name.escape_debug())
    })
}
