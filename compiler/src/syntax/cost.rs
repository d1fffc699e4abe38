//! What it costs `kdl` 6.7 to read a text, in words: a name, key or value takes it some 2 to 3 µs, however long it is.
//! Measured with files of one construct each; rather more than less.

use super::lex::Kind;

/// A block, in words.
const BLOCK: usize = 2;
/// A `/-`, in words.
const SLASHDASH: usize = 5;
/// How often what stands in a block that `/-` takes out is read.
const READS: usize = 3;

/// What a token costs that no `/-` takes out.
#[inline(always)]
pub(super) fn of(kind: Kind) -> usize {
    match kind {
        Kind::Word | Kind::String => 1,
        Kind::BraceOpen => BLOCK,
        Kind::Slashdash => SLASHDASH,
        _ => 0,
    }
}

/// How many times that a token costs in so many blocks, one inside another, that `/-` takes out.
pub(super) fn times(slashdashes: usize) -> usize {
    READS.saturating_pow(u32::try_from(slashdashes).unwrap_or(u32::MAX))
}
