//! Writing an index.

use std::collections::BTreeMap;

use super::layout::{self, HEADER, LENGTH_BITS, LONGEST_TEXT, MAGIC, NONE_32, NONE_64, TABLES, Table};
use super::{Clause, Contents, Grant, INDEX_VERSION, Identity, TenantRecord};
use crate::automaton::{self, Automaton, Kind, TooLarge};
use crate::entry::Engine;

/// The automaton of all identities of some tenants.
///
/// # Errors
///
/// If it would take too long, or too much memory.
pub fn automaton(tenants: &[TenantRecord]) -> Result<Automaton, TooLarge> {
    let mut patterns = Vec::new();
    for (number, tenant) in (0..).zip(tenants) {
        let of_tenant = tenant.identities.iter().flat_map(Identity::patterns);
        patterns.extend(of_tenant.map(|pattern| (pattern, number)));
    }
    automaton::build(&patterns)
}

/// The file. Tenants must stand by their names and grants by tenant, rank and name; `automaton` is theirs, whose numbers
/// are the tenants' places.
#[must_use]
pub fn write(contents: &Contents, automaton: &Automaton) -> Vec<u8> {
    let mut tables = Tables::default();
    let mut grants = contents.grants.as_slice();
    for (number, tenant) in (0..).zip(&contents.tenants) {
        let own = grants.iter().take_while(|grant| grant.tenant == tenant.name).count();
        let (of_tenant, rest) = grants.split_at_checked(own).unwrap_or_default();
        grants = rest;
        tables.tenant(number, tenant, of_tenant);
    }
    for word in &automaton.words {
        tables.put(layout::WORDS, &word.to_le_bytes());
    }
    tables.file(contents, automaton)
}

/// The tables so far.
#[derive(Default)]
struct Tables {
    bytes: [Vec<u8>; TABLES.len()],
    /// The texts of the tenant that is being written: what is read together stands together.
    texts: BTreeMap<String, u64>,
}

impl Tables {
    fn tenant(&mut self, number: u32, tenant: &TenantRecord, grants: &[Grant]) {
        self.texts.clear();
        let mut record = Vec::new();
        record.extend(self.text(&tenant.name).to_le_bytes());
        record.extend(self.next(layout::IDENTITIES, tenant.identities.len()));
        record.extend(self.next(layout::GRANTS, grants.len()));
        record.extend(u32::from(tenant.trusted).to_le_bytes());
        self.put(layout::TENANTS, &record);
        grants.iter().for_each(|grant| self.grant(number, grant));
        tenant.identities.iter().for_each(|identity| self.identity(identity));
    }

    fn grant(&mut self, tenant: u32, grant: &Grant) {
        let mut record = Vec::new();
        record.extend(self.text(&grant.name).to_le_bytes());
        record.extend(grant.rank.to_le_bytes());
        record.extend([tenant, u32::from(grant.named)].into_iter().flat_map(u32::to_le_bytes));
        record.extend(self.next(layout::CLAUSES, grant.when.len()));
        let slices = [grant.plan.offset, grant.plan.length, grant.shared.offset, grant.shared.length];
        record.extend(slices.into_iter().flat_map(u64::to_le_bytes));
        self.put(layout::GRANTS, &record);
        grant.when.iter().for_each(|clause| self.clause(clause));
    }

    fn clause(&mut self, clause: &Clause) {
        let none: &[String] = &[];
        let (test, engines, key, patterns) = match clause {
            Clause::Label { key, values } => (0_u32, 0, self.text(key), values.as_slice()),
            Clause::Image { values } => (1, 0, NONE_64, values.as_slice()),
            Clause::Engine { engines } => (2, bits(engines), NONE_64, none),
        };
        let mut record = Vec::new();
        record.extend([test, engines].into_iter().flat_map(u32::to_le_bytes));
        record.extend(key.to_le_bytes());
        record.extend(self.next(layout::PATTERNS, patterns.len()));
        self.put(layout::CLAUSES, &record);
        for pattern in patterns {
            let text = self.text(pattern);
            self.put(layout::PATTERNS, &text.to_le_bytes());
        }
    }

    fn identity(&mut self, identity: &Identity) {
        let user = |user: &Option<u32>| user.map(|uid| uid.to_string());
        let (kind, engines, keys) = match identity {
            Identity::Kubernetes { namespace, uid, name } => {
                (Kind::Kubernetes, 0, [namespace.clone(), uid.clone(), name.clone()])
            }
            Identity::Docker { daemon, runtime } => {
                (Kind::Docker, 0, [Some(daemon.clone()), runtime.clone(), None])
            }
            Identity::Podman { user: uid } => (Kind::Podman, 0, [user(uid), None, None]),
            Identity::Slurm { account, user, partition } => {
                (Kind::Slurm, 0, [account.clone(), user.clone(), partition.clone()])
            }
            Identity::Cgroup { path, engines } => {
                (Kind::Cgroup, bits(engines), [Some(path.clone()), None, None])
            }
        };
        let mut record = Vec::new();
        record.extend([place(&Kind::ALL, &kind), engines].into_iter().flat_map(u32::to_le_bytes));
        for key in keys {
            record.extend(key.map_or(NONE_64, |key| self.text(&key)).to_le_bytes());
        }
        self.put(layout::IDENTITIES, &record);
    }

    fn put(&mut self, table: Table, record: &[u8]) {
        if let Some(bytes) = self.bytes.get_mut(table.number) {
            bytes.extend(record);
        }
    }

    fn count(&self, table: Table) -> u64 {
        self.bytes.get(table.number).map_or(0, |bytes| (bytes.len() / table.record) as u64)
    }

    /// The numbers of the next so many records of a table, as a record has them.
    fn next(&self, table: Table, count: usize) -> impl Iterator<Item = u8> + use<> {
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        [number(self.count(table)), number(count as u64)].into_iter().flat_map(u32::to_le_bytes)
    }

    fn text(&mut self, text: &str) -> u64 {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        // No policy has one that is longer; an index that had would be refused by its reader.
        let length = Some(text.len() as u64).filter(|length| *length <= LONGEST_TEXT);
        let number = length.map_or(NONE_64, |length| self.count(layout::TEXTS) << LENGTH_BITS | length);
        self.put(layout::TEXTS, text.as_bytes());
        self.texts.insert(text.to_owned(), number);
        number
    }

    fn file(self, contents: &Contents, automaton: &Automaton) -> Vec<u8> {
        let length: usize = HEADER + self.bytes.iter().map(|bytes| pad(bytes.len())).sum::<usize>();
        let mut file = Vec::with_capacity(length);
        file.extend(MAGIC);
        file.extend(INDEX_VERSION.to_le_bytes());
        file.extend([
            contents.on_denied as u8,
            contents.request_indices as u8,
            contents.on_bypass as u8,
            contents.audit as u8,
        ]);
        file.extend((length as u64).to_le_bytes());
        file.extend(cgroup_engines(&contents.tenants).to_le_bytes());
        file.extend(automaton.starts.iter().flat_map(|start| start.unwrap_or(NONE_32).to_le_bytes()));
        file.extend([0; layout::PADDING.length]);
        let mut offset = HEADER as u64;
        for table in TABLES {
            file.extend([offset, self.count(table)].into_iter().flat_map(u64::to_le_bytes));
            offset += self.bytes.get(table.number).map_or(0, |bytes| pad(bytes.len())) as u64;
        }
        for bytes in self.bytes {
            file.extend(&bytes);
            file.resize(file.len() + pad(bytes.len()) - bytes.len(), 0);
        }
        file
    }
}

/// Every table begins at a multiple of 8.
fn pad(length: usize) -> usize {
    length.next_multiple_of(8)
}

fn bits(engines: &[Engine]) -> u32 {
    engines.iter().fold(0, |bits, engine| bits | 1 << place(&Engine::ALL, engine))
}

fn place<T: PartialEq>(all: &[T], one: &T) -> u32 {
    (0..).zip(all).find(|(_, other)| *other == one).map_or(NONE_32, |(place, _)| place)
}

fn cgroup_engines(tenants: &[TenantRecord]) -> u32 {
    let identities = tenants.iter().flat_map(|tenant| &tenant.identities);
    identities.fold(0, |all, identity| match identity {
        Identity::Cgroup { engines, .. } => all | bits(engines),
        _ => all,
    })
}
