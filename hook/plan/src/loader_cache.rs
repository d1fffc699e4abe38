//! `/etc/ld.so.cache`: where glibc's loader finds libraries, of a host or of an image.
//!
//! There are crates that read it, each of one release and pulling in a parser and a command line. What is needed here is
//! a list of names and paths; the three forms that glibc writes are a dozen numbers.

/// The header of glibc's form since 2.2, and where its parts lie.
const NEW: &[u8] = b"glibc-ld.so.cache1.1";
const NEW_COUNT: usize = 20;
const NEW_ENTRIES: usize = 48;
const NEW_ENTRY: usize = 24;

/// The header of the form before it, which may stand in front of the newer one for older loaders.
const OLD: &[u8] = b"ld.so-1.7.0";
const OLD_COUNT: usize = 12;
const OLD_ENTRIES: usize = 16;
const OLD_ENTRY: usize = 12;

/// Where an entry of either form has its flags, and says at which byte its name and its path begin.
const FLAGS: usize = 0;
const NAME: usize = 4;
const PATH: usize = 8;

/// The newer form behind the older one begins at a multiple of this.
const ALIGNMENT: usize = 8;

/// The kernel's own limit on paths, in bytes: entries can share a text, and a long one would be searched for each.
const LONGEST: usize = 4096;

/// A library that the loader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cached<'c> {
    /// The name by which programs ask for it: its soname.
    pub name: &'c str,
    /// Where it lies.
    pub path: &'c str,
    /// For which programs it is, as glibc's `ldconfig.h` numbers them: [`FLAGS_64`], [`FLAGS_32`].
    pub flags: u32,
}

/// The flags of libraries for this machine's own programs.
pub const FLAGS_64: u32 = if cfg!(target_arch = "aarch64") { 0x0a03 } else { 0x0303 };

/// The flags of libraries for its 32-bit programs.
pub const FLAGS_32: u32 = if cfg!(target_arch = "aarch64") { 0x0903 } else { 0x0003 };

/// All libraries in the cache, in its order; what is no cache has none, and an entry that points out of it is skipped.
/// Numbers are little-endian, as on every machine that gpupol is built for.
pub fn libraries(cache: &[u8]) -> impl Iterator<Item = Cached<'_>> {
    let (entries, size, strings) = parts(cache).unwrap_or((&[], NEW_ENTRY, &[]));
    entries.chunks_exact(size).filter_map(|entry| cached(entry, strings))
}

/// Its entries, how long each is, and the bytes from which the strings are counted.
fn parts(cache: &[u8]) -> Option<(&[u8], usize, &[u8])> {
    if cache.starts_with(NEW) {
        return of_new(cache);
    }
    if !cache.starts_with(OLD) {
        return None;
    }
    let entries = number(cache, OLD_COUNT)?.checked_mul(OLD_ENTRY)?;
    let strings = entries.checked_add(OLD_ENTRIES)?;
    let newer = strings.checked_next_multiple_of(ALIGNMENT).and_then(|at| cache.get(at..));
    match newer.filter(|newer| newer.starts_with(NEW)) {
        Some(newer) => of_new(newer),
        None => Some((cache.get(OLD_ENTRIES..strings)?, OLD_ENTRY, cache.get(strings..)?)),
    }
}

/// The newer form counts its strings from its own beginning.
fn of_new(cache: &[u8]) -> Option<(&[u8], usize, &[u8])> {
    let entries = number(cache, NEW_COUNT)?.checked_mul(NEW_ENTRY)?;
    Some((cache.get(NEW_ENTRIES..entries.checked_add(NEW_ENTRIES)?)?, NEW_ENTRY, cache))
}

fn cached<'c>(entry: &[u8], strings: &'c [u8]) -> Option<Cached<'c>> {
    let string = |at| text(strings.get(number(entry, at)?..)?);
    let flags = u32::try_from(number(entry, FLAGS)?).ok()?;
    Some(Cached { name: string(NAME)?, path: string(PATH)?, flags })
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*word)).ok()
}

/// What stands before the first zero byte, if it can be a path.
fn text(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
    let end = bytes.iter().position(|byte| *byte == 0)?;
    str::from_utf8(bytes.get(..end)?).ok()
}

#[cfg(test)]
mod tests;
