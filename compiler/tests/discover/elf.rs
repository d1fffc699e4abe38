//! The least that is a shared library with a soname.

/// A library of class 1 (32-bit) or 2 (64-bit), of which only the latter's layout is right.
pub(crate) fn library(class: u8, soname: Option<&str>) -> Vec<u8> {
    const HEADER: u64 = 64;
    let strings = [b"\0", soname.unwrap_or_default().as_bytes(), b"\0"].concat();
    let strings =
        strings.into_iter().chain([0; 8]).take((soname.map_or(0, str::len) + 2).next_multiple_of(8));
    let strings: Vec<u8> = strings.collect();
    let dynamic: Vec<u8> = match soname {
        Some(_) => words(&[14, 1, 0, 0]),
        None => words(&[0, 0]),
    };
    let dynamic_at = HEADER + length(&strings);
    let sections_at = dynamic_at + length(&dynamic);
    let mut file = b"\x7fELF".to_vec();
    file.extend([class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    file.extend(words(&[0, 0, sections_at]));
    // Flags, then sizes and numbers: this header, program headers (none), section headers (3, their names in the first).
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 0, 0, 64, 0, 3, 0, 1, 0]);
    file.extend(strings.iter());
    file.extend(dynamic.iter());
    file.extend([0; 64]);
    file.extend(section(3, HEADER, length(&strings), 0, 0));
    file.extend(section(6, dynamic_at, length(&dynamic), 1, 16));
    file
}

/// A section header: type, place, size, the section of its strings, the size of its entries.
fn section(kind: u32, at: u64, size: u64, strings: u32, entry: u64) -> Vec<u8> {
    let mut header = [0_u32.to_le_bytes(), kind.to_le_bytes()].concat();
    header.extend(words(&[0, 0, at, size]));
    header.extend([strings.to_le_bytes(), 0_u32.to_le_bytes()].concat());
    header.extend(words(&[8, entry]));
    header
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}
