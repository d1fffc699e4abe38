//! The records of tenants, grants and clauses.

use super::decode::{u32_in, u64_in};
use super::layout::{self, LENGTH_BITS, LONGEST_TEXT, NONE_64};
use super::read::{Index, ReadAt, damaged};
use super::window::Window;
use super::{Clause, Grant, GrantPlan, Records, Slice, Tenant};
use crate::entry::Engine;
use crate::refusal::Refusal;

/// The texts.
pub(crate) struct Texts<'i, S>(Window<'i, S>);

/// The grants of a tenant and what they are made of.
pub(crate) struct Grants<'i, S> {
    tenant: &'i Tenant,
    records: Window<'i, S>,
    clauses: Window<'i, S>,
    patterns: Window<'i, S>,
    texts: Texts<'i, S>,
}

/// A grant's record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrantRecord {
    pub(crate) named: bool,
    name: u64,
    rank: i64,
    clauses: Records,
    plan: Slice,
    shared: Slice,
}

/// A clause's record: what it tests, and the patterns of which one must match.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClauseRecord {
    pub(crate) test: Test,
    patterns: Records,
}

/// What a clause tests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Test {
    Label(u64),
    Image,
    Engine(u32),
}

impl<S: ReadAt> Index<S> {
    /// The tenant of that number.
    pub(crate) fn tenant(&self, number: u32) -> Result<Tenant, Refusal> {
        let mut window = Window::of(self, layout::TENANTS);
        let record = window.record(number)?;
        let tenant = |name: String| Tenant {
            name,
            trusted: u32_in(record, layout::TENANT_TRUSTED) == 1,
            number,
            grants: records(record, layout::TENANT_GRANTS, layout::TENANT_GRANT_COUNT),
        };
        Ok(tenant(Texts::of(self).get(u64_in(record, layout::TENANT_NAME))?.to_owned()))
    }

    /// The grants of a tenant.
    pub(crate) fn grants<'i>(&'i self, tenant: &'i Tenant) -> Grants<'i, S> {
        self.begin();
        Grants {
            tenant,
            records: Window::of(self, layout::GRANTS),
            clauses: Window::of(self, layout::CLAUSES),
            patterns: Window::of(self, layout::PATTERNS),
            texts: Texts::of(self),
        }
    }
}

impl<'i, S: ReadAt> Texts<'i, S> {
    pub(super) fn of(index: &'i Index<S>) -> Self {
        Self(Window::of(index, layout::TEXTS))
    }

    /// A text.
    pub(crate) fn get(&mut self, text: u64) -> Result<&str, Refusal> {
        let bytes = self.0.bytes(text >> LENGTH_BITS, text & LONGEST_TEXT)?;
        core::str::from_utf8(bytes).map_err(|_| damaged("a text is not UTF-8"))
    }

    /// A text that need not be there.
    pub(super) fn optional(&mut self, text: u64) -> Result<Option<String>, Refusal> {
        if text == NONE_64 { Ok(None) } else { self.get(text).map(|text| Some(text.to_owned())) }
    }
}

impl<S: ReadAt> Grants<'_, S> {
    /// The numbers of their records, in the order in which they are tried.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> + use<S> {
        let Records { first, count } = self.tenant.grants;
        (0..count).map(move |at| first.saturating_add(at))
    }

    pub(crate) fn record(&mut self, number: u32) -> Result<GrantRecord, Refusal> {
        let record = self.records.record(number)?;
        if u32_in(record, layout::GRANT_TENANT) != self.tenant.number {
            return Err(damaged("a tenant has a grant of another"));
        }
        let slice = |offset, length| Slice { offset: u64_in(record, offset), length: u64_in(record, length) };
        Ok(GrantRecord {
            named: u32_in(record, layout::GRANT_NAMED) == 1,
            name: u64_in(record, layout::GRANT_NAME),
            rank: u64_in(record, layout::GRANT_RANK).cast_signed(),
            clauses: records(record, layout::GRANT_CLAUSES, layout::GRANT_CLAUSE_COUNT),
            plan: slice(layout::GRANT_PLAN, layout::GRANT_PLAN_LENGTH),
            shared: slice(layout::GRANT_SHARED, layout::GRANT_SHARED_LENGTH),
        })
    }

    pub(crate) fn name(&mut self, grant: &GrantRecord) -> Result<&str, Refusal> {
        self.texts.get(grant.name)
    }

    /// The position of the first clause of a grant that does not hold by `holds`, if there is one.
    pub(crate) fn first_failing(
        &mut self,
        grant: &GrantRecord,
        mut holds: impl FnMut(&mut Self, ClauseRecord) -> Result<bool, Refusal>,
    ) -> Result<Option<usize>, Refusal> {
        for (position, at) in (0..grant.clauses.count).enumerate() {
            let clause = self.clause(grant.clauses.first.saturating_add(at))?;
            if !holds(self, clause)? {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    fn clause(&mut self, number: u32) -> Result<ClauseRecord, Refusal> {
        let record = self.clauses.record(number)?;
        let test = match u32_in(record, layout::CLAUSE_TEST) {
            0 => Test::Label(u64_in(record, layout::CLAUSE_KEY)),
            1 => Test::Image,
            2 => Test::Engine(u32_in(record, layout::CLAUSE_ENGINES)),
            other => return Err(damaged(&format!("a clause of kind {other}"))),
        };
        let patterns = records(record, layout::CLAUSE_PATTERNS, layout::CLAUSE_PATTERN_COUNT);
        Ok(ClauseRecord { test, patterns })
    }

    /// The key of a label.
    pub(crate) fn key(&mut self, key: u64) -> Result<&str, Refusal> {
        self.texts.get(key)
    }

    /// Whether one of a clause's patterns is such.
    pub(crate) fn any_pattern(
        &mut self,
        clause: &ClauseRecord,
        mut is: impl FnMut(&str) -> bool,
    ) -> Result<bool, Refusal> {
        for at in 0..clause.patterns.count {
            let record = self.patterns.record(clause.patterns.first.saturating_add(at))?;
            if is(self.texts.get(u64_in(record, layout::PATTERN_TEXT))?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the plan of a grant lies.
    pub(crate) fn plan(&mut self, record: &GrantRecord) -> Result<GrantPlan, Refusal> {
        let (tenant, name) = (self.tenant.name.clone(), self.name(record)?.to_owned());
        Ok(GrantPlan { tenant, name, plan: record.plan, shared: record.shared })
    }

    /// A grant with all that it says.
    pub(crate) fn whole(&mut self, record: &GrantRecord) -> Result<Grant, Refusal> {
        let mut when = Vec::new();
        self.first_failing(record, |grants, clause| {
            when.push(grants.whole_clause(&clause)?);
            Ok(true)
        })?;
        Ok(Grant {
            tenant: self.tenant.name.clone(),
            name: self.name(record)?.to_owned(),
            rank: record.rank,
            named: record.named,
            when,
            plan: record.plan,
            shared: record.shared,
        })
    }

    fn whole_clause(&mut self, clause: &ClauseRecord) -> Result<Clause, Refusal> {
        let mut values = Vec::new();
        self.any_pattern(clause, |pattern| {
            values.push(pattern.to_owned());
            false
        })?;
        Ok(match clause.test {
            Test::Label(key) => Clause::Label { key: self.key(key)?.to_owned(), values },
            Test::Image => Clause::Image { values },
            Test::Engine(bits) => Clause::Engine { engines: engines(bits) },
        })
    }
}

/// The engines that some bits stand for.
pub(crate) fn engines(bits: u32) -> Vec<Engine> {
    Engine::ALL
        .into_iter()
        .enumerate()
        .filter(|(place, _)| bits >> place & 1 == 1)
        .map(|(_, engine)| engine)
        .collect()
}

pub(super) fn records(record: &[u8], first: layout::Field, count: layout::Field) -> Records {
    Records { first: u32_in(record, first), count: u32_in(record, count) }
}
