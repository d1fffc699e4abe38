//! Numbers out of records.

use super::layout::Field;

/// A field of 4 bytes. A record is as long as its table says, so nothing is ever missing.
pub(super) fn u32_in(record: &[u8], field: Field) -> u32 {
    let bytes = record.get(field.offset..).and_then(<[u8]>::first_chunk::<4>);
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// A field of 8 bytes.
pub(super) fn u64_in(record: &[u8], field: Field) -> u64 {
    let bytes = record.get(field.offset..).and_then(<[u8]>::first_chunk::<8>);
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The `number`th of some numbers of that length, which are one field together.
pub(super) fn part(field: Field, number: usize, length: usize) -> Field {
    Field { offset: field.offset + number * length, length, ..field }
}
