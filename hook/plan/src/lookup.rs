//! From a container's configuration to its grant: who it is, what it asks for, by which grant it may have it.

use crate::config::Config;
use crate::entry::{Engine, Entry};
use crate::glob;
use crate::identity::{self, Facts, Whose};
use crate::index::{
    Clause, ClauseRecord, Grant, GrantPlan, GrantRecord, Grants, Index, ReadAt, RequestIndices, Tenant, Test,
    engines,
};
use crate::keeper::Keeper;
use crate::observed::Observed;
use crate::refusal::{self, Reason, Refusal};
use crate::request::{self, Request};

/// What the index says of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It asks for nothing and gets nothing.
    NotAsked,
    /// It asks and may not.
    Refused {
        /// Whose it is, if it is anybody's.
        tenant: Option<Tenant>,
        /// Why.
        refusal: Refusal,
    },
    /// It may, by this grant; which devices is [`crate::choose::choose`]'s to say.
    Granted(Box<Granted>),
}

/// A container that may have what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Whose it is.
    pub tenant: Tenant,
    /// By which grant.
    pub grant: GrantPlan,
    /// What it asks for.
    pub request: Request,
    /// Who keeps what the grant says of sharing and limits.
    pub keeper: Keeper,
}

/// What a container asks for through any entry; `None`: for nothing.
///
/// # Errors
///
/// [`request::request`]'s and [`request::by_slurm`]'s.
pub fn asked(
    indices: RequestIndices,
    entry: &Entry,
    config: &Config,
    observed: &Observed,
) -> Result<Option<Request>, Refusal> {
    match entry.engine {
        Engine::Slurm => request::by_slurm(entry, config, observed),
        _ => request::request(indices, entry, config),
    }
}

/// Decides about a container that came in through `entry`, of which [`identity::tenant`] said `whose` it is. What a refusal
/// leads to is `on_denied`'s to say.
#[must_use]
pub fn decide<S: ReadAt>(
    index: &Index<S>,
    whose: &Whose,
    entry: &Entry,
    config: &Config,
    observed: &Observed,
) -> Decision {
    let refused = |refusal| Decision::Refused { tenant: whose.as_ref().ok().cloned().flatten(), refusal };
    let request = match asked(index.settings.request_indices, entry, config, observed) {
        Ok(None) => return Decision::NotAsked,
        Ok(Some(request)) => request,
        Err(refusal) => return refused(refusal),
    };
    let tenant = match whose {
        Ok(Some(tenant)) => tenant,
        Ok(None) => return refused(of_no_tenant(&identity::facts(entry, config, observed))),
        Err(refusal) => return refused(refusal.clone()),
    };
    if let Some(whose) = request.tenant.as_ref().filter(|whose| **whose != tenant.name) {
        return refused(of_another(tenant, whose));
    }
    match grant(index, tenant, &request, entry, config) {
        Ok(grant) => match Keeper::of(entry, observed) {
            Ok(keeper) => {
                Decision::Granted(Box::new(Granted { tenant: tenant.clone(), grant, request, keeper }))
            }
            Err(refusal) => refused(refusal),
        },
        Err(refusal) => refused(refusal),
    }
}

fn of_no_tenant(facts: &Facts<'_>) -> Refusal {
    let facts = identity::describe(facts);
    Refusal::new(
        Reason::NoTenant,
        format!("a container of no tenant asks for GPUs: no identity matches `{facts}`"),
    )
}

fn of_another(tenant: &Tenant, whose: &str) -> Refusal {
    let whose = refusal::excerpt(whose);
    let message = format!("a container of tenant `{}` names a CDI device of tenant `{whose}`", tenant.name);
    Refusal::new(Reason::DeviceNotGranted, message)
}

fn grant<S: ReadAt>(
    index: &Index<S>,
    tenant: &Tenant,
    request: &Request,
    entry: &Entry,
    config: &Config,
) -> Result<GrantPlan, Refusal> {
    let mut grants = index.grants(tenant);
    let mut labels = Labels { entry, config, last: None };
    for number in grants.numbers() {
        let grant = grants.record(number)?;
        if judge(&mut grants, &grant, request, &mut labels)? == Verdict::Applies {
            return grants.plan(&grant);
        }
    }
    // Only now it matters why none of them applies.
    let considered = considered(index, tenant, request, entry, config)?;
    Err(match request.grant.as_deref() {
        Some(name) => not_applicable(tenant, name, considered.iter().find_map(|one| one.why.as_ref())),
        None => no_grant(tenant, &considered.iter().filter_map(near_miss).collect::<Vec<_>>()),
    })
}

/// What is decided about one grant of a container's tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is in its way. The first such grant is the container's.
    Applies,
    /// It is given only to who asks for it by its name, and nobody did.
    OnlyByName,
    /// Another one is asked for by name.
    AnotherIsNamed,
    /// The clause at this position of its `when` does not hold, and those before it do.
    Fails(usize),
}

/// A grant of a container's tenant, and what is decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    /// The grant.
    pub grant: Grant,
    /// What is decided.
    pub verdict: Verdict,
    /// Why the clause does not hold, if one does not.
    pub why: Option<String>,
}

/// What is decided about each grant of a tenant for one container, in the order in which they are tried.
///
/// # Errors
///
/// [`Reason::PlanSet`] if the index is damaged.
pub fn considered<S: ReadAt>(
    index: &Index<S>,
    tenant: &Tenant,
    request: &Request,
    entry: &Entry,
    config: &Config,
) -> Result<Vec<Considered>, Refusal> {
    let mut grants = index.grants(tenant);
    let mut labels = Labels { entry, config, last: None };
    let mut all = Vec::new();
    for number in grants.numbers() {
        let record = grants.record(number)?;
        let verdict = judge(&mut grants, &record, request, &mut labels)?;
        let grant = grants.whole(&record)?;
        let why = match verdict {
            Verdict::Fails(at) => grant.when.get(at).map(|clause| miss(clause, entry, config)),
            Verdict::Applies | Verdict::OnlyByName | Verdict::AnotherIsNamed => None,
        };
        all.push(Considered { grant, verdict, why });
    }
    Ok(all)
}

/// Decides about one grant.
fn judge<S: ReadAt>(
    grants: &mut Grants<'_, S>,
    grant: &GrantRecord,
    request: &Request,
    labels: &mut Labels<'_>,
) -> Result<Verdict, Refusal> {
    match request.grant.as_deref() {
        Some(name) if grants.name(grant)? != name => return Ok(Verdict::AnotherIsNamed),
        None if grant.named => return Ok(Verdict::OnlyByName),
        _ => {}
    }
    let failing = grants.first_failing(grant, |grants, clause| holds(grants, clause, labels))?;
    Ok(failing.map_or(Verdict::Applies, Verdict::Fails))
}

/// The labels of a container. Grants that are told apart by a label ask for the same one, one after the other.
struct Labels<'c> {
    entry: &'c Entry,
    config: &'c Config,
    /// Where in the index the key stands that was asked for last, and its value.
    last: Option<(u64, Option<&'c str>)>,
}

impl<'c> Labels<'c> {
    fn value<S: ReadAt>(&mut self, grants: &mut Grants<'_, S>, key: u64) -> Result<Option<&'c str>, Refusal> {
        if let Some((_, value)) = self.last.filter(|(last, _)| *last == key) {
            return Ok(value);
        }
        let value = request::label(self.entry, self.config, grants.key(key)?);
        self.last = Some((key, value));
        Ok(value)
    }
}

/// Whether a clause holds.
fn holds<S: ReadAt>(
    grants: &mut Grants<'_, S>,
    clause: ClauseRecord,
    labels: &mut Labels<'_>,
) -> Result<bool, Refusal> {
    let value = match clause.test {
        Test::Label(key) => labels.value(grants, key)?,
        Test::Image => identity::image(labels.entry, labels.config),
        Test::Engine(bits) => return Ok(engines(bits).contains(&labels.entry.engine)),
    };
    let Some(value) = value else { return Ok(false) };
    grants.any_pattern(&clause, |pattern| glob::matches(pattern, value))
}

fn not_applicable(tenant: &Tenant, name: &str, why: Option<&String>) -> Refusal {
    let message = match why {
        None => format!("tenant `{}` has no grant `{name}`", tenant.name),
        Some(why) => format!("grant `{name}` does not apply: {why}"),
    };
    Refusal::new(Reason::GrantNotApplicable, message)
}

/// A grant that a container could have had, and what it lacks for that.
fn near_miss(considered: &Considered) -> Option<String> {
    let why = match considered.verdict {
        Verdict::OnlyByName => "only for who names it by `gpupol.io/grant`",
        Verdict::Fails(_) => considered.why.as_ref()?,
        Verdict::Applies | Verdict::AnotherIsNamed => return None,
    };
    Some(format!("`{}` ({why})", considered.grant.name))
}

fn no_grant(tenant: &Tenant, near_misses: &[String]) -> Refusal {
    let tenant = &tenant.name;
    let message = if near_misses.is_empty() {
        format!("no grant gives tenant `{tenant}` a GPU")
    } else {
        format!("no grant of tenant `{tenant}` applies: {}", near_misses.join(", "))
    };
    Refusal::new(Reason::NoGrant, message)
}

/// Why a clause that was found not to hold does not.
fn miss(clause: &Clause, entry: &Entry, config: &Config) -> String {
    match clause {
        Clause::Label { key, values } => {
            unlike(&format!("label `{key}`"), request::label(entry, config, key), values)
        }
        Clause::Image { values } => unlike("the image", identity::image(entry, config), values),
        Clause::Engine { engines } => {
            let names: Vec<&str> = engines.iter().map(|engine| engine.name()).collect();
            format!("the engine is {}, not {}", entry.engine.name(), names.join(" or "))
        }
    }
}

fn unlike(what: &str, value: Option<&str>, wanted: &[String]) -> String {
    match value {
        None => format!("{what} is absent"),
        Some(value) if value.len() > glob::MOST_TEXT && wanted.iter().any(|one| one.contains(['*', '?'])) => {
            format!("{what} has {} bytes, and no pattern matches more than {}", value.len(), glob::MOST_TEXT)
        }
        Some(value) => {
            let value = refusal::excerpt(value);
            format!("{what} is `{value}`, not `{}`", wanted.join("` or `"))
        }
    }
}
