//! A table of an index, read in pieces: what stands beside each other is read by one call.

use super::layout::Table;
use super::read::{Index, ReadAt, damaged};
use crate::refusal::Refusal;

/// How much is read at a time. A tenant's grants stand together, and so do its texts.
const PIECE: usize = 1024;

/// A table, and the piece of it that was read last.
pub(super) struct Window<'i, S> {
    index: &'i Index<S>,
    table: Table,
    /// Where the table begins in the index, and how many bytes it has.
    place: (u64, u64),
    /// The table itself, where it is in memory.
    whole: Option<&'i [u8]>,
    /// The piece, and where it begins in the table.
    piece: Vec<u8>,
    begin: u64,
}

impl<'i, S: ReadAt> Window<'i, S> {
    /// A table that nothing was read of.
    pub(super) fn of(index: &'i Index<S>, table: Table) -> Self {
        let place = index.place(table);
        let whole = usize::try_from(place.1).ok().and_then(|length| index.borrowed(place.0, length));
        Self { index, table, place, whole, piece: Vec::new(), begin: 0 }
    }

    /// One record.
    pub(super) fn record(&mut self, number: u32) -> Result<&[u8], Refusal> {
        self.records(number, 1)
    }

    /// Some records, one after the other.
    pub(super) fn records(&mut self, first: u32, count: u32) -> Result<&[u8], Refusal> {
        let length = self.table.record as u64;
        self.bytes(u64::from(first) * length, u64::from(count) * length)
    }

    /// Some bytes.
    pub(super) fn bytes(&mut self, offset: u64, length: u64) -> Result<&[u8], Refusal> {
        let (begin, size) = self.place;
        let end = offset.checked_add(length).filter(|end| *end <= size);
        let (Some(end), Ok(length)) = (end, usize::try_from(length)) else {
            return Err(damaged(&format!("it names more {} than it has", self.table.name)));
        };
        self.index.spend(length)?;
        if let Some(table) = self.whole {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            return Ok(table.get(from..from.saturating_add(length)).unwrap_or_default());
        }
        if offset < self.begin || end > self.begin + self.piece.len() as u64 {
            let rest = usize::try_from(size - offset).unwrap_or(usize::MAX);
            self.piece.clear();
            self.piece.resize(rest.min(length.max(PIECE)), 0);
            self.begin = offset;
            let read = self.index.read(begin + offset, &mut self.piece);
            if read.is_err() {
                self.piece.clear();
            }
            read?;
        }
        let from = usize::try_from(offset - self.begin).unwrap_or(usize::MAX);
        Ok(self.piece.get(from..from.saturating_add(length)).unwrap_or_default())
    }
}
