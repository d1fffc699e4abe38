//! The guard: whether a container's own configuration goes around its plan.
//!
//! What may be in a configuration is one table, [`row::ROWS`]; what of the container is in it is found by
//! [`trips`]; what comes of it is the policy's `on-bypass`, by [`answer`]. It looks at containers that ask for
//! nothing too: those are the ones that would take a GPU without asking.

use std::collections::BTreeSet;

use crate::config::{Config, Hooks, Mount};
use crate::edit::{Edit, MountOption};
use crate::entry::Entry;
use crate::identity::Whose;
use crate::index::OnBypass;
use crate::majors::NVIDIA_MAJOR;
use crate::refusal::{Reason, Refusal};
use crate::request::{Request, allocation};
use crate::spec::replaced::Replaced;

mod devices;
mod hooks;
mod mounts;
mod privileges;
pub mod row;

use row::{Effect, Row};

pub use devices::lets_open;
pub use hooks::is_gpu_hook;

/// What only the kernel knows of a container; where nobody could ask it, the configuration alone counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// Major numbers of GPUs on this host.
    pub majors: BTreeSet<u32>,
    /// Kinds of namespaces, in the configuration's words, in which the container and the host are together.
    pub shared_with_host: BTreeSet<String>,
    /// Sources of binds as the configuration has them.
    pub sources: Vec<(String, Source)>,
}

/// What a bind's source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path without symbolic links.
    pub path: String,
    /// What kind of file.
    pub kind: SourceKind,
}

/// What kind of file a bind's source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A character device of that major number.
    Character(u32),
    /// A block device.
    Block,
    /// A socket.
    Socket,
    /// Anything else.
    Other,
}

/// Major and minor number of a device node.
pub type Number = (u32, u32);

/// A row of the table that a container is in, and by what of its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    /// The row.
    pub row: &'static Row,
    /// What of the configuration, for messages.
    pub what: String,
}

/// Whose container it is, as far as the guard minds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody's: it has no plan, so there is nothing of its own to go beyond.
    Nobody,
    /// A tenant's.
    Tenant,
    /// A trusted one.
    Trusted,
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: it is in no row, or trusted.
    Pass,
    /// It starts as it is, and the audit says so.
    Report,
    /// It starts, and the kernel denies it every GPU number outside of its plan.
    Contain,
    /// It does not start.
    Refuse(Refusal),
}

impl Default for Surroundings {
    /// What is known without asking a kernel.
    fn default() -> Self {
        Self { majors: [NVIDIA_MAJOR].into(), shared_with_host: BTreeSet::new(), sources: Vec::new() }
    }
}

impl Answer {
    /// The word for it in audit records.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Report => "report",
            Self::Contain => "contain",
            Self::Refuse(_) => "refuse",
        }
    }
}

/// The rows that a container is in, each once. Nodes of these `own` numbers, and rules of just one of them, are in none:
/// the plan gives them.
#[must_use]
pub fn trips(entry: &Entry, config: &Config, surroundings: &Surroundings, own: &[Number]) -> Vec<Trip> {
    let mut trips = devices::trips(config, surroundings, own);
    trips.extend(mounts::trips(config, surroundings));
    trips.extend(privileges::trips(entry, config, surroundings));
    trips.extend(hooks::trips(entry, config));
    let mut seen: Vec<&str> = Vec::new();
    trips.retain(|trip| {
        let first = !seen.contains(&trip.row.slug);
        seen.push(trip.row.slug);
        first
    });
    trips
}

/// The same of a container that is still to be made through an entry of the spec form: hooks of other GPU stacks are taken
/// out of its configuration then, and so is what somebody else's allocation has put there, so neither is in a row.
#[must_use]
pub fn trips_before(entry: &Entry, config: &Config, surroundings: &Surroundings) -> Vec<Trip> {
    let mut others = Config { hooks: Hooks::default(), ..config.clone() };
    if allocation::has_nodes(entry, config) {
        others = Replaced::of(config, &surroundings.majors).without(others);
    }
    trips(entry, &others, surroundings, &[])
}

/// The numbers of the nodes that CDI gave a container which asks by naming its devices. Whether its plan gives them too is
/// known only when that is chosen: until then they are in no row.
#[must_use]
pub fn put_off(request: Option<&Request>, config: &Config) -> Vec<Number> {
    let by_cdi = request.is_some_and(|request| request.tenant.is_some());
    if by_cdi { devices::numbers(config) } else { Vec::new() }
}

/// The numbers of the nodes that a plan gives.
#[must_use]
pub fn given(edits: &[&Edit]) -> Vec<Number> {
    let number = |edit: &&Edit| match edit {
        Edit::DeviceNode(node) => Some((node.major, node.minor)),
        _ => None,
    };
    edits.iter().filter_map(number).collect()
}

/// The rows of a container whose engine has put devices into its configuration, by CDI or by what somebody else allocated,
/// where these edits are what its plan covers: nodes, rules and binds of them are in none, nor are the hooks that NVIDIA's
/// CDI devices bring beside an allocation.
#[must_use]
pub fn trips_beside(
    entry: &Entry,
    config: &Config,
    surroundings: &Surroundings,
    covered: &[&Edit],
) -> Vec<Trip> {
    let mut others = without_given(config, covered);
    if allocation::has_nodes(entry, config) {
        hooks::remove_of_cdi(&mut others.hooks);
    }
    trips(entry, &others, surroundings, &given(covered))
}

/// Whether NVIDIA's CDI devices have brought hooks.
#[must_use]
pub fn has_cdi_hooks(config: &Config) -> bool {
    hooks::remove_of_cdi(&mut config.hooks.clone())
}

/// A configuration without the binds that a plan gives: those are no way around it. What it gives read-only is one, if it
/// could be written to.
fn without_given(config: &Config, edits: &[&Edit]) -> Config {
    let covers = |edit: &&Edit, mount: &Mount| match edit {
        Edit::Bind(bind) => {
            bind.host_path == mount.source
                && (!bind.options.contains(&MountOption::Ro) || mount.is_read_only())
        }
        _ => false,
    };
    let is_given = |mount: &Mount| mount.is_bind() && edits.iter().any(|edit| covers(edit, mount));
    let mut config = config.clone();
    config.mounts.retain(|mount| !is_given(mount));
    config
}

/// Whose container it is. One that two tenants claim is nobody's friend: it is judged as a tenant's. Under an index that
/// cannot be read everybody is of no tenant.
#[must_use]
pub fn standing(whose: &Whose) -> Standing {
    match whose {
        Ok(None) => Standing::Nobody,
        Err(refusal) if refusal.reason == Reason::PlanSet => Standing::Nobody,
        Ok(Some(tenant)) if tenant.trusted => Standing::Trusted,
        Ok(Some(_)) | Err(_) => Standing::Tenant,
    }
}

/// What comes of the rows that a container is in.
///
/// Containment denies GPU numbers, so what could undo it is refused for a tenant; a container of none is somebody
/// who runs the host, as often as not, and is contained all the same. What gives devices behind our back cannot
/// be contained at all.
#[must_use]
pub fn answer(on_bypass: OnBypass, standing: Standing, trips: &[Trip]) -> Answer {
    let is_refused = |trip: &&Trip| match trip.row.effect {
        Effect::Contained => false,
        Effect::Undoes => standing == Standing::Tenant,
        Effect::GivesDevices => true,
    };
    match on_bypass {
        _ if trips.is_empty() || standing == Standing::Trusted => Answer::Pass,
        OnBypass::Report => Answer::Report,
        OnBypass::Refuse => Answer::Refuse(refusal(trips.iter())),
        OnBypass::Contain => {
            let refused: Vec<&Trip> = trips.iter().filter(is_refused).collect();
            if refused.is_empty() { Answer::Contain } else { Answer::Refuse(refusal(refused.into_iter())) }
        }
    }
}

/// The rows in words, for messages and audit records.
#[must_use]
pub fn describe<'t>(trips: impl Iterator<Item = &'t Trip>) -> String {
    let words: Vec<String> = trips.map(|trip| format!("{} ({})", trip.what, trip.row.slug)).collect();
    words.join(", ")
}

fn refusal<'t>(trips: impl Iterator<Item = &'t Trip>) -> Refusal {
    let message = format!(
        "the container's own configuration goes around its plan by {}; leave that out, or `trust` its identity",
        describe(trips)
    );
    Refusal::new(Reason::Guard, message)
}
