//! What a library says of itself: for which machine it is, and the name by which the loader finds it.
//!
//! The crate `object` knows the format; only the parts that matter are read from the file.

use std::fs::File;

use object::Endianness;
use object::elf::{DT_SONAME, EM_AARCH64, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader};
use object::read::{ReadCache, ReadRef};

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
