//! Where everything stands in the file `index`. All numbers are little-endian; offsets are in bytes.
//!
//! A file is a header and seven tables, one after the other. A *text* is a number of 64 bits: its offset in the table of
//! texts, shifted left by 20 bits, and its length; all bits set: none.

/// What every index begins with.
pub const MAGIC: [u8; 8] = *b"gpupol/i";

/// Length of the header.
pub const HEADER: usize = 248;

/// A field: where it begins in its record, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The word for it.
    pub name: &'static str,
    /// Bytes before it.
    pub offset: usize,
    /// Bytes of it.
    pub length: usize,
}

/// A table: the word for it, the length of its records, and their fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The word for it.
    pub name: &'static str,
    /// Its place among the tables.
    pub number: usize,
    /// Length of a record.
    pub record: usize,
    /// The fields of a record.
    pub fields: &'static [Field],
}

macro_rules! fields {
    ($(#[$doc:meta])* $all:ident: $($(#[$of:meta])* $constant:ident = $name:literal, $offset:literal, $length:literal;)*) => {
        $($(#[$of])* pub const $constant: Field = Field { name: $name, offset: $offset, length: $length };)*
        $(#[$doc])*
        pub const $all: &[Field] = &[$($constant),*];
    };
}

fields! {
    /// The fields of the header.
    HEADER_FIELDS:
    /// [`MAGIC`].
    BEGIN = "magic", 0, 8;
    /// [`super::INDEX_VERSION`].
    VERSION = "version", 8, 4;
    /// 0 refuse, 1 run-without-gpu.
    ON_DENIED = "on-denied", 12, 1;
    /// 0 auto, 1 host, 2 count.
    REQUEST_INDICES = "request-indices", 13, 1;
    /// 0 contain, 1 refuse, 2 report.
    ON_BYPASS = "on-bypass", 14, 1;
    /// 0 required, 1 best-effort.
    AUDIT = "audit", 15, 1;
    /// Length of the whole file.
    LENGTH = "length", 16, 8;
    /// Engines under which somebody is known by a cgroup: a bit for each, in the order of [`crate::entry::Engine::ALL`].
    CGROUP_ENGINES = "cgroup-engines", 24, 4;
    /// For each automaton, by [`crate::automaton::Kind::automaton`], the word at which it begins; all bits set: none.
    STARTS = "starts", 28, 104;
    /// Zero.
    PADDING = "reserved", 132, 4;
    /// For each of [`TABLES`] its offset and how many records it has, 8 bytes each.
    SECTIONS = "tables", 136, 112;
}

fields! {
    /// A tenant. They stand in the order of their names.
    TENANT_FIELDS:
    /// A text.
    TENANT_NAME = "name", 0, 8;
    /// Number of its first identity.
    TENANT_IDENTITIES = "first-identity", 8, 4;
    /// How many it has.
    TENANT_IDENTITY_COUNT = "identities", 12, 4;
    /// Number of its first grant.
    TENANT_GRANTS = "first-grant", 16, 4;
    /// How many it has.
    TENANT_GRANT_COUNT = "grants", 20, 4;
    /// 1: trusted.
    TENANT_TRUSTED = "trusted", 24, 4;
}

fields! {
    /// An identity, for people: the automaton is made of them, and decides.
    IDENTITY_FIELDS:
    /// Which of [`crate::automaton::Kind::ALL`].
    IDENTITY_KIND = "kind", 0, 4;
    /// Engines of a cgroup's identity, as bits.
    IDENTITY_ENGINES = "engines", 4, 4;
    /// The texts of its keys: namespace, uid, name; daemon, runtime; user; account, user, partition; path.
    IDENTITY_KEYS = "keys", 8, 24;
}

fields! {
    /// A word of the automaton: see `automaton`.
    WORD_FIELDS:
    /// The word.
    WORD = "word", 0, 4;
}

fields! {
    /// A grant of a tenant. They stand by tenant, then higher rank first, then by name.
    GRANT_FIELDS:
    /// A text.
    GRANT_NAME = "name", 0, 8;
    /// Signed; higher wins.
    GRANT_RANK = "rank", 8, 8;
    /// Number of the tenant.
    GRANT_TENANT = "tenant", 16, 4;
    /// 1: applies only to workloads that name it.
    GRANT_NAMED = "named", 20, 4;
    /// Number of its first clause.
    GRANT_CLAUSES = "first-clause", 24, 4;
    /// How many it has; all must hold.
    GRANT_CLAUSE_COUNT = "clauses", 28, 4;
    /// Offset in `plans` of its own part of the plan.
    GRANT_PLAN = "plan-offset", 32, 8;
    /// Length of that.
    GRANT_PLAN_LENGTH = "plan-length", 40, 8;
    /// Offset in `plans` of the part that other plans have as well.
    GRANT_SHARED = "shared-offset", 48, 8;
    /// Length of that.
    GRANT_SHARED_LENGTH = "shared-length", 56, 8;
}

fields! {
    /// A clause of a `when`.
    CLAUSE_FIELDS:
    /// 0 label, 1 image, 2 engine.
    CLAUSE_TEST = "test", 0, 4;
    /// Engines of an engine's clause, as bits.
    CLAUSE_ENGINES = "engines", 4, 4;
    /// The key of a label, a text.
    CLAUSE_KEY = "key", 8, 8;
    /// Number of its first pattern.
    CLAUSE_PATTERNS = "first-pattern", 16, 4;
    /// How many it has; one must match.
    CLAUSE_PATTERN_COUNT = "patterns", 20, 4;
}

fields! {
    /// A pattern of a clause.
    PATTERN_FIELDS:
    /// A text.
    PATTERN_TEXT = "text", 0, 8;
}

fields! {
    /// A byte of the texts.
    TEXT_FIELDS:
    /// The byte; a text is UTF-8.
    BYTE = "byte", 0, 1;
}

/// Tenants.
pub const TENANTS: Table = Table { name: "tenants", number: 0, record: 28, fields: TENANT_FIELDS };
/// Identities.
pub const IDENTITIES: Table = Table { name: "identities", number: 1, record: 32, fields: IDENTITY_FIELDS };
/// The words of the automaton.
pub const WORDS: Table = Table { name: "automaton", number: 2, record: 4, fields: WORD_FIELDS };
/// Grants.
pub const GRANTS: Table = Table { name: "grants", number: 3, record: 64, fields: GRANT_FIELDS };
/// Clauses.
pub const CLAUSES: Table = Table { name: "clauses", number: 4, record: 24, fields: CLAUSE_FIELDS };
/// Patterns.
pub const PATTERNS: Table = Table { name: "patterns", number: 5, record: 8, fields: PATTERN_FIELDS };
/// Texts.
pub const TEXTS: Table = Table { name: "texts", number: 6, record: 1, fields: TEXT_FIELDS };

/// All tables, in the order in which they stand.
pub const TABLES: [Table; 7] = [TENANTS, IDENTITIES, WORDS, GRANTS, CLAUSES, PATTERNS, TEXTS];

/// No text, no automaton.
pub(crate) const NONE_64: u64 = u64::MAX;
pub(crate) const NONE_32: u32 = u32::MAX;

/// Bits of a text's length.
pub(crate) const LENGTH_BITS: u32 = 20;

/// The longest text: more than any line of a policy.
pub(crate) const LONGEST_TEXT: u64 = (1 << LENGTH_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::{HEADER, HEADER_FIELDS, TABLES};

    #[test]
    fn fields_stand_one_after_the_other() {
        let all = TABLES.map(|table| (table.fields, table.record));
        for (fields, record) in all.into_iter().chain([(HEADER_FIELDS, HEADER)]) {
            let end = fields.iter().fold(0, |end, field| {
                assert_eq!(field.offset, end, "{}", field.name);
                field.offset + field.length
            });
            assert_eq!(end, record);
        }
        for (number, table) in TABLES.iter().enumerate() {
            assert_eq!(table.number, number, "{}", table.name);
        }
    }
}
