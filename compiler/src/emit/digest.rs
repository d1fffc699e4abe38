//! Digests by which plans can be told apart and traced back.

use sha2::{Digest, Sha256};

use crate::source::Source;

/// `sha256:HEX` of some bytes.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// Of the files of a plan set, 64 hexadecimal digits: what its directory is named by.
pub(crate) fn plan_set(index: &[u8], plans: &[u8]) -> String {
    files(&[("index", index), ("plans", plans)])
}

/// `sha256:HEX` over the place, length and text of each file, in the order of places.
pub(super) fn sources<'s>(sources: impl Iterator<Item = &'s Source>) -> String {
    let mut files: Vec<(&str, &[u8])> =
        sources.map(|source| (source.place.as_str(), source.text.as_bytes())).collect();
    files.sort();
    format!("sha256:{}", self::files(&files))
}

/// The hexadecimal digits over the name, length and bytes of each file. Lengths stand before what they measure, so
/// that no two lists of files have the same bytes.
fn files(files: &[(&str, &[u8])]) -> String {
    let mut hash = Sha256::new();
    for part in files.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes]) {
        hash.update(super::length(part).to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
