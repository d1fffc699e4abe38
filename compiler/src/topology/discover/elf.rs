//! The name by which the loader finds a library.

use std::fs::File;

use object::Endianness;
use object::elf::{DT_SONAME, FileHeader64};
use object::read::ReadCache;
use object::read::elf::{Dyn, FileHeader};

/// What a file is to the loader.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Library {
    /// A 64-bit library with this soname.
    Named(String),
    /// A 64-bit library without a soname.
    Nameless,
}

/// What `file` is, if it is a 64-bit library at all. Only the parts that matter are read.
pub(super) fn library(file: File) -> Option<Library> {
    let data = ReadCache::new(file);
    let header = FileHeader64::<Endianness>::parse(&data).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, &data).ok()?;
    let (entries, strings) = sections.dynamic(endian, &data).ok()??;
    let names = sections.strings(endian, &data, strings).ok()?;
    let Some(entry) = entries.iter().find(|entry| entry.d_tag(endian) == DT_SONAME) else {
        return Some(Library::Nameless);
    };
    let soname = names.get(entry.val32(endian)?).ok()?;
    Some(Library::Named(String::from_utf8(soname.to_vec()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soname_of_a_real_library_is_read() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps.split_whitespace().find(|word| word.ends_with("/libc.so.6")).unwrap();
        assert_eq!(library(File::open(path).unwrap()), Some(Library::Named("libc.so.6".to_owned())));
    }

    #[test]
    fn other_files_are_no_libraries() {
        assert_eq!(library(File::open("/proc/self/status").unwrap()), None);
        assert_eq!(library(File::open("/dev/null").unwrap()), None);
    }
}
