//! From a container's configuration to its grant: who it is, what it asks for, by which grant it may have it.

use crate::config::Config;
use crate::entry::{Engine, Entry, Form};
use crate::glob;
use crate::identity::{self, Facts};
use crate::index::{Clause, Grant, Index, Tenant};
use crate::observed::Observed;
use crate::refusal::{self, Reason, Refusal};
use crate::request::{self, Request};

/// What the index says of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<'i> {
    /// It asks for nothing and gets nothing.
    NotAsked,
    /// It asks and may not.
    Refused {
        /// Whose it is, if it is anybody's.
        tenant: Option<&'i Tenant>,
        /// Why.
        refusal: Refusal,
    },
    /// It may, by this grant; which devices is [`crate::choose::choose`]'s to say.
    Granted(Granted<'i>),
}

/// A container that may have what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted<'i> {
    /// Whose it is.
    pub tenant: &'i Tenant,
    /// By which grant.
    pub grant: &'i Grant,
    /// What it asks for.
    pub request: Request,
}

/// Decides about a container that came in through `entry`. What a refusal leads to is `index.on_denied`'s to say.
#[must_use]
pub fn decide<'i>(index: &'i Index, entry: &Entry, config: &Config, observed: &Observed) -> Decision<'i> {
    let facts = identity::facts(entry, config, observed);
    let tenant = identity::tenant(index, &facts);
    let whose = tenant.as_ref().ok().copied().flatten();
    let refused = |refusal| Decision::Refused { tenant: whose, refusal };
    let request = match request::request(index, entry, config) {
        Ok(None) => return Decision::NotAsked,
        Ok(Some(request)) => request,
        Err(refusal) => return refused(refusal),
    };
    let tenant = match tenant {
        Ok(Some(tenant)) => tenant,
        Ok(None) => return refused(of_no_tenant(&facts)),
        Err(refusal) => return refused(refusal),
    };
    if let Some(whose) = request.tenant.as_ref().filter(|whose| **whose != tenant.name) {
        return refused(of_another(tenant, whose));
    }
    match grant(index, tenant, &request, entry, config) {
        Ok(grant) => match unsupported(entry, observed) {
            None => Decision::Granted(Granted { tenant, grant, request }),
            Some(message) => refused(Refusal::new(Reason::NotSupported, message)),
        },
        Err(refusal) => refused(refusal),
    }
}

/// Why nothing can be given through this entry to anybody, if nothing can.
fn unsupported(entry: &Entry, observed: &Observed) -> Option<String> {
    if entry.form != Form::Hook {
        return Some("entries of form spec are not supported yet: write \"form\": \"hook\"".to_owned());
    }
    if entry.engine == Engine::Slurm {
        return Some("Slurm allocates, and checking what it allocated is not supported yet".to_owned());
    }
    let engine = entry.engine.name();
    let rootless = |uid| {
        format!(
            "{engine} is run by uid {uid}, where nothing can enforce a grant; only root's is supported yet"
        )
    };
    observed.user.map(rootless)
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

fn grant<'i>(
    index: &'i Index,
    tenant: &Tenant,
    request: &Request,
    entry: &Entry,
    config: &Config,
) -> Result<&'i Grant, Refusal> {
    let mut grants = index.grants.iter().filter(|grant| grant.tenant == tenant.name);
    let failing = |grant: &Grant| grant.when.iter().find_map(|clause| fails(clause, entry, config));
    if let Some(name) = &request.grant {
        let refuse = |why: String| Err(Refusal::new(Reason::GrantNotApplicable, why));
        return match grants.find(|grant| grant.name == *name) {
            None => refuse(format!("tenant `{}` has no grant `{name}`", tenant.name)),
            Some(grant) => match failing(grant) {
                Some(why) => refuse(format!("grant `{name}` does not apply: {why}")),
                None => Ok(grant),
            },
        };
    }
    let mut near_misses = Vec::new();
    for grant in grants.filter(|grant| !grant.named) {
        match failing(grant) {
            None => return Ok(grant),
            Some(why) => near_misses.push(format!("`{}` ({why})", grant.name)),
        }
    }
    Err(no_grant(tenant, &near_misses))
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

/// Why a clause does not hold, if it does not.
fn fails(clause: &Clause, entry: &Entry, config: &Config) -> Option<String> {
    match clause {
        Clause::Label { key, values } => {
            unlike(&format!("label `{key}`"), request::label(entry, config, key), values)
        }
        Clause::Image { values } => unlike("the image", identity::image(entry, config), values),
        Clause::Engine { engines } if engines.contains(&entry.engine) => None,
        Clause::Engine { engines } => {
            let names: Vec<&str> = engines.iter().map(|engine| engine.name()).collect();
            Some(format!("the engine is {}, not {}", entry.engine.name(), names.join(" or ")))
        }
    }
}

/// Why a value is none of those wanted, if it is none.
fn unlike(what: &str, value: Option<&str>, wanted: &[String]) -> Option<String> {
    match value {
        None => Some(format!("{what} is absent")),
        Some(value) if wanted.iter().any(|pattern| glob::matches(pattern, value)) => None,
        Some(value) => {
            let value = refusal::excerpt(value);
            Some(format!("{what} is `{value}`, not `{}`", wanted.join("` or `")))
        }
    }
}
