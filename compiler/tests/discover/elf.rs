//! The least that is a shared library with a soname.

/// For what a library is: the class of its format (1: 32-bit, 2: 64-bit), and the number of the machine.
pub(crate) type Machine = (u8, u8);

pub(crate) const X86_64: Machine = (2, 62);
pub(crate) const AARCH64: Machine = (2, 183);
pub(crate) const I386: Machine = (1, 3);

/// A library of that machine.
pub(crate) fn library(machine: Machine, soname: Option<&str>) -> Vec<u8> {
    let (class, number) = machine;
    let is_64 = class == 2;
    let word = |value: usize| {
        let bytes = u64::try_from(value).unwrap().to_le_bytes();
        bytes[..if is_64 { 8 } else { 4 }].to_vec()
    };
    let words = |values: &[usize]| values.iter().flat_map(|value| word(*value)).collect::<Vec<u8>>();
    let [header, section_header, entry] = if is_64 { [64_usize, 64, 16] } else { [52, 40, 8] };

    let mut strings = [b"\0", soname.unwrap_or_default().as_bytes(), b"\0"].concat();
    strings.resize(strings.len().next_multiple_of(8), 0);
    let dynamic = if soname.is_some() { words(&[14, 1, 0, 0]) } else { words(&[0, 0]) };
    let strings_at = header.next_multiple_of(8);
    let dynamic_at = strings_at + strings.len();
    let sections_at = dynamic_at + dynamic.len();
    // Type, name, flags, address, place, size, the section of its strings, information, alignment, size of entries.
    let section = |kind: u32, at: usize, size: usize, link: u32, entry: usize| {
        let mut bytes = [0_u32.to_le_bytes(), kind.to_le_bytes()].concat();
        bytes.extend(words(&[0, 0, at, size]));
        bytes.extend([link.to_le_bytes(), 0_u32.to_le_bytes()].concat());
        bytes.extend(words(&[8, entry]));
        bytes
    };

    let mut file = b"\x7fELF".to_vec();
    file.extend([class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend([3, 0, number, 0, 1, 0, 0, 0]);
    file.extend(words(&[0, 0, sections_at]));
    // Flags, then sizes and numbers: this header, program headers (none), section headers (3, their names in the first).
    let sizes = [header, if is_64 { 56 } else { 32 }, 0, section_header, 3, 1];
    file.extend([0; 4]);
    file.extend(sizes.iter().flat_map(|size| u16::try_from(*size).unwrap().to_le_bytes()));
    file.resize(strings_at, 0);
    file.extend(&strings);
    file.extend(&dynamic);
    file.resize(file.len() + section_header, 0);
    file.extend(section(3, strings_at, strings.len(), 0, 0));
    file.extend(section(6, dynamic_at, dynamic.len(), 1, entry));
    file
}
