//! `/etc/ld.so.cache`: where the host's loader finds libraries.
//!
//! There are crates that read it, each of one release and pulling in a parser and a command line. What is needed here is
//! a list of paths; the three forms that glibc writes are a dozen numbers.

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

/// Where an entry of either form says at which byte its path begins.
const PATH: usize = 8;

/// The newer form behind the older one begins at a multiple of this.
const ALIGNMENT: usize = 8;

/// The kernel's own limit on paths, in bytes: entries can share a text, and a long one would be searched for each.
const LONGEST: usize = 4096;

/// The paths of all libraries in the cache, in its order; what is no cache has none, and an entry that points out of
/// it is skipped. Numbers are little-endian, as on every machine that gpupol is built for.
pub(super) fn paths(cache: &[u8]) -> Vec<&str> {
    if cache.starts_with(NEW) {
        return of_new(cache);
    }
    if !cache.starts_with(OLD) {
        return Vec::new();
    }
    let entries = number(cache, OLD_COUNT).unwrap_or(0).saturating_mul(OLD_ENTRY);
    let strings = entries.saturating_add(OLD_ENTRIES);
    let newer = strings.checked_next_multiple_of(ALIGNMENT).and_then(|at| cache.get(at..));
    match newer.filter(|newer| newer.starts_with(NEW)) {
        Some(newer) => of_new(newer),
        None => of(cache.get(OLD_ENTRIES..strings), OLD_ENTRY, cache.get(strings..)),
    }
}

/// The newer form counts its strings from its own beginning.
fn of_new(cache: &[u8]) -> Vec<&str> {
    let entries = number(cache, NEW_COUNT).unwrap_or(0).saturating_mul(NEW_ENTRY);
    of(cache.get(NEW_ENTRIES..entries.saturating_add(NEW_ENTRIES)), NEW_ENTRY, Some(cache))
}

fn of<'c>(entries: Option<&'c [u8]>, size: usize, strings: Option<&'c [u8]>) -> Vec<&'c str> {
    let (entries, strings) = (entries.unwrap_or_default(), strings.unwrap_or_default());
    let places = entries.chunks_exact(size).filter_map(|entry| number(entry, PATH));
    places.filter_map(|at| text(strings.get(at..)?)).collect()
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
