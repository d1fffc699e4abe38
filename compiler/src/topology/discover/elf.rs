//! What a library says of itself: for which machine it is, and the name by which the loader finds it.
//!
//! The crate `object` knows the format; only the parts that matter are read from the file.

use std::collections::BTreeSet;
use std::fs::File;

use object::Endianness;
use object::elf::{DT_SONAME, EM_AARCH64, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, SectionHeader};
use object::read::{ReadCache, ReadRef};
use serde::Deserialize;

/// A shared library.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Library {
    /// Whether it is for 32-bit programs.
    pub(super) is_32_bit: bool,
    /// Whether it is for aarch64.
    pub(super) is_aarch64: bool,
    /// Its soname, if it has one.
    pub(super) soname: Option<String>,
}

/// No library of a driver is larger, in bytes; what claims to be is not read.
const MAX_BYTES: u64 = 1 << 29;

/// What `file` is, if it is a library at all.
pub(super) fn library(file: File) -> Option<Library> {
    if file.metadata().ok()?.len() > MAX_BYTES {
        return None;
    }
    let data = ReadCache::new(file);
    read::<FileHeader64<Endianness>>(&data).or_else(|| read::<FileHeader32<Endianness>>(&data))
}

fn read<'d, Elf: FileHeader<Endian = Endianness>>(data: impl ReadRef<'d>) -> Option<Library> {
    let header = Elf::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, data).ok()?;
    let (entries, strings) = sections.dynamic(endian, data).ok()??;
    let names = sections.strings(endian, data, strings).ok()?;
    let soname = match entries.iter().find(|entry| entry.d_tag(endian) == DT_SONAME) {
        Some(entry) => Some(String::from_utf8(names.get(entry.val32(endian)?).ok()?.to_vec()).ok()?),
        None => None,
    };
    let is_aarch64 = header.e_machine(endian) == EM_AARCH64;
    Some(Library { is_32_bit: !header.is_type_64(), is_aarch64, soname })
}

/// What a CUDA library of a newer driver says of the older ones on which it works.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compatibility {
    /// The CUDA version that it serves.
    pub(super) cuda: Option<String>,
    /// The branches of the kernel module, ascending.
    pub(super) branches: Option<Vec<u32>>,
}

/// The section of that note, and whose note it is; its content is JSON.
const COMPATIBILITY: &[u8] = b".note.cuda.fwd_compatibility";
const COMPATIBILITY_OWNER: &[u8] = b"NVIDIA Corporation";
const DAMAGED: &str = "its note of older drivers is damaged";

/// The note's content, of which only this matters.
#[derive(Deserialize)]
struct Note {
    #[serde(rename = "CUDA Version")]
    cuda: Option<String>,
    #[serde(rename = "Driver")]
    branches: Option<BTreeSet<u32>>,
}

/// What `file` says of older drivers; nothing if it has no such note.
///
/// # Errors
/// Why that cannot be known: the file is no library, or its note is damaged.
pub(super) fn compatibility(file: File) -> Result<Compatibility, &'static str> {
    let size = file.metadata().map_err(|_| "its size cannot be read")?.len();
    if size > MAX_BYTES {
        return Err("it is larger than any library");
    }
    let data = ReadCache::new(file);
    let no_library = |_| "it is no library for 64-bit programs";
    let header = FileHeader64::<Endianness>::parse(&data).map_err(no_library)?;
    let endian = header.endian().map_err(no_library)?;
    let sections = header.sections(endian, &data).map_err(no_library)?;
    let Some((_, section)) = sections.section_by_name(endian, COMPATIBILITY) else {
        return Ok(Compatibility::default());
    };
    let mut notes = section.notes(endian, &data).ok().flatten().ok_or(DAMAGED)?;
    let note =
        notes.next().ok().flatten().filter(|note| note.name() == COMPATIBILITY_OWNER).ok_or(DAMAGED)?;
    let end = note.desc().iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let note = note.desc().get(..end).and_then(|text| serde_json::from_slice(text).ok());
    let Note { cuda, branches } = note.ok_or(DAMAGED)?;
    let branches = branches.ok_or(DAMAGED)?.into_iter().collect();
    Ok(Compatibility { cuda, branches: Some(branches) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_library_is_read() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps.split_whitespace().find(|word| word.ends_with("/libc.so.6")).unwrap();
        let is_aarch64 = cfg!(target_arch = "aarch64");
        let soname = Some("libc.so.6".to_owned());
        let expected = Library { is_32_bit: false, is_aarch64, soname };
        assert_eq!(library(File::open(path).unwrap()), Some(expected));
    }

    #[test]
    fn other_files_are_no_libraries() {
        assert_eq!(library(File::open("/proc/self/status").unwrap()), None);
        assert_eq!(library(File::open("/dev/null").unwrap()), None);
    }
}
