//! An index, open: nothing of it is read but what is asked for.
//!
//! Every offset, length and number is checked when it is read, and what one lookup may read is bounded, so that no bytes make
//! it fail in any other way than by a refusal.

use core::cell::Cell;

use super::decode::{part, u32_in, u64_in};
use super::layout::{self, HEADER, MAGIC, NONE_32, TABLES, Table};
use super::{Auditing, INDEX_VERSION, OnBypass, OnDenied, RequestIndices, Settings};
use crate::automaton::{AUTOMATA, Kind};
use crate::entry::Engine;
use crate::refusal::{Reason, Refusal};

/// What one lookup reads at most: as much as 100,000 grants of one tenant have.
const MOST_READ: usize = 64 << 20;

/// Bytes somewhere, of which a part can be read at a time.
pub trait ReadAt {
    /// Fills `bytes` with what stands at `offset`.
    ///
    /// # Errors
    ///
    /// [`Reason::PlanSet`] if it cannot be read, or ends before.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Refusal>;

    /// So many bytes at `offset` themselves, where they need not be read.
    fn borrowed(&self, _offset: u64, _length: usize) -> Option<&[u8]> {
        None
    }
}

impl ReadAt for &[u8] {
    fn borrowed(&self, offset: u64, length: usize) -> Option<&[u8]> {
        usize::try_from(offset).ok().and_then(|offset| self.get(offset..)?.get(..length))
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Refusal> {
        let found = self.borrowed(offset, bytes.len());
        bytes.copy_from_slice(found.ok_or_else(|| damaged("it ends too early"))?);
        Ok(())
    }
}

/// The file `index` of a plan set, open.
#[derive(Clone, Debug)]
pub struct Index<S> {
    /// What holds for all tenants.
    pub settings: Settings,
    source: S,
    /// Engines under which somebody is known by a cgroup, as bits.
    cgroup_engines: u32,
    starts: [u32; AUTOMATA],
    /// Offset and length of each table, in bytes.
    places: [(u64, u64); TABLES.len()],
    left: Cell<usize>,
}

impl<'b> Index<&'b [u8]> {
    /// Opens an index that is in memory.
    ///
    /// # Errors
    ///
    /// As [`Index::open`].
    pub fn of(bytes: &'b [u8]) -> Result<Self, Refusal> {
        Self::open(bytes, bytes.len() as u64)
    }
}

impl<S: ReadAt> Index<S> {
    /// Opens an index of so many bytes.
    ///
    /// # Errors
    ///
    /// [`Reason::PlanSet`] if it is of another version or not such a file.
    pub fn open(source: S, size: u64) -> Result<Self, Refusal> {
        let mut header = [0; HEADER];
        if size < HEADER as u64 {
            return Err(damaged(&format!("it has {size} bytes")));
        }
        source.read_at(0, &mut header)?;
        let header = Header(&header);
        header.check(size)?;
        Ok(Self {
            settings: header.settings()?,
            cgroup_engines: u32_in(header.0, layout::CGROUP_ENGINES),
            starts: header.starts(),
            places: header.places(size)?,
            source,
            left: Cell::new(MOST_READ),
        })
    }

    /// Whether somebody is known by a cgroup under this engine.
    #[must_use]
    pub fn reads_cgroup(&self, engine: Engine) -> bool {
        let place = Engine::ALL.iter().position(|one| *one == engine);
        place.is_some_and(|place| self.cgroup_engines >> place & 1 == 1)
    }

    /// Offset and length of a table, in bytes.
    pub(super) fn place(&self, table: Table) -> (u64, u64) {
        self.places.get(table.number).copied().unwrap_or_default()
    }

    /// How many records a table has.
    pub(super) fn count(&self, table: Table) -> u32 {
        u32::try_from(self.place(table).1 / table.record as u64).unwrap_or(u32::MAX)
    }

    /// The word at which the automaton over these keys of a kind begins.
    pub(super) fn start(&self, kind: Kind, named: u32) -> Option<u32> {
        self.starts.get(kind.automaton(named)).copied().filter(|start| *start != NONE_32)
    }

    /// A new lookup begins: it may read as much as any other.
    pub(super) fn begin(&self) {
        self.left.set(MOST_READ);
    }

    /// Counts what a lookup looks at. Records are counted too, because those of length zero would be free.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), Refusal> {
        let left = self.left.get().checked_sub(bytes + 1);
        self.left.set(left.ok_or_else(|| damaged("one lookup leads through too much of it"))?);
        Ok(())
    }

    pub(super) fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Refusal> {
        self.source.read_at(offset, bytes)
    }

    pub(super) fn borrowed(&self, offset: u64, length: usize) -> Option<&[u8]> {
        self.source.borrowed(offset, length)
    }
}

/// The first bytes of an index.
struct Header<'h>(&'h [u8]);

impl Header<'_> {
    fn check(&self, size: u64) -> Result<(), Refusal> {
        if self.0.first_chunk() != Some(&MAGIC) {
            return Err(damaged("it does not begin as an index does"));
        }
        let version = u32_in(self.0, layout::VERSION);
        if version != INDEX_VERSION {
            let message =
                format!("index is of version {version}, and this program reads version {INDEX_VERSION}");
            return Err(Refusal::new(Reason::PlanSet, message));
        }
        let length = u64_in(self.0, layout::LENGTH);
        if length != size {
            return Err(damaged(&format!("it says that it has {length} bytes, and has {size}")));
        }
        Ok(())
    }

    fn settings(&self) -> Result<Settings, Refusal> {
        Ok(Settings {
            on_denied: self.word(layout::ON_DENIED, &[OnDenied::Refuse, OnDenied::RunWithoutGpu])?,
            request_indices: self.word(
                layout::REQUEST_INDICES,
                &[RequestIndices::Auto, RequestIndices::Host, RequestIndices::Count],
            )?,
            on_bypass: self
                .word(layout::ON_BYPASS, &[OnBypass::Contain, OnBypass::Refuse, OnBypass::Report])?,
            audit: self.word(layout::AUDIT, &[Auditing::Required, Auditing::BestEffort])?,
        })
    }

    fn word<T: Copy>(&self, field: layout::Field, words: &[T]) -> Result<T, Refusal> {
        let byte = self.0.get(field.offset).copied().unwrap_or(u8::MAX);
        let word = words.get(usize::from(byte)).copied();
        word.ok_or_else(|| damaged(&format!("it has {byte} for {}", field.name)))
    }

    fn starts(&self) -> [u32; AUTOMATA] {
        core::array::from_fn(|number| u32_in(self.0, part(layout::STARTS, number, 4)))
    }

    fn places(&self, size: u64) -> Result<[(u64, u64); TABLES.len()], Refusal> {
        let mut places = [(0, 0); TABLES.len()];
        for (table, place) in TABLES.iter().zip(&mut places) {
            let number = |at: usize| u64_in(self.0, part(layout::SECTIONS, 2 * table.number + at, 8));
            let (offset, count) = (number(0), number(1));
            let length = count.checked_mul(table.record as u64).filter(|_| count <= u64::from(NONE_32));
            let length = if table.number == layout::TEXTS.number { Some(count) } else { length };
            let inside = |length: &u64| offset.checked_add(*length).is_some_and(|end| end <= size);
            let length = length.filter(inside);
            *place =
                (offset, length.ok_or_else(|| damaged(&format!("its {} lie outside of it", table.name)))?);
        }
        Ok(places)
    }
}

/// What it says cannot be.
pub(super) fn damaged(why: &str) -> Refusal {
    Refusal::new(Reason::PlanSet, format!("index is damaged: {why}"))
}
