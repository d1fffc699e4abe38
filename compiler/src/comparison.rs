//! Two policies, compared by what containers get: who gains and who loses what, each with the smallest container of which that is so.
//!
//! Nothing is sampled: [`crate::policy`] divides all containers into the classes that either policy tells apart, and on each host
//! what a class gets in both is compared. What rules are called and how they are written does not matter, but where a container
//! can name it: a grant, or the gpu-set of a line.

use std::collections::BTreeMap;

use crate::policy::classes::{Class, Classes, Owners, TooComplex};
use crate::policy::{Grant, Policy};
use crate::resolve::Resolution;

mod amounts;
mod asked;
mod change;
mod gift;
mod gifts;
mod offer;
mod owner;
mod request;
mod same;
mod settings;
mod shown;
mod witness;

pub use asked::{Asked, Wanted};
pub use change::{Change, Direction, Property};
pub use witness::Witness;

use gifts::Gifts;

/// One of the two policies.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// What it says; sound.
    pub policy: &'a Policy,
    /// What it means on each of the hosts, which are the same for both.
    pub hosts: &'a [Resolution<'a>],
}

/// In what two policies differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Of the `policy` nodes: for every container.
    pub settings: Vec<Change>,
    /// Of classes of containers, by tenants and grants.
    pub differences: Vec<Difference>,
}

/// In what one class of containers is treated otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whose they were, and are.
    pub tenants: [Option<String>; 2],
    /// Which grants they got, and get; neither: it is so for all containers of these tenants.
    pub grants: [Option<String>; 2],
    /// The conditions of these grants.
    pub when: [Vec<String>; 2],
    /// At least one, each with the smallest container of which it is so.
    pub changes: Vec<Change>,
}

/// The policies cannot be compared within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policies are too complex to compare")]
pub struct TooLarge;

impl From<TooComplex> for TooLarge {
    fn from(_: TooComplex) -> Self {
        Self
    }
}

impl Difference {
    /// The smallest container of the class, which asks for what shows the first of its changes.
    #[must_use]
    pub fn witness(&self) -> Option<&Witness> {
        self.changes.iter().find_map(|change| change.witness.as_ref())
    }
}

impl Comparison {
    /// Every change, with the class whose it is; none of those for all containers.
    pub fn changes(&self) -> impl Iterator<Item = (Option<&Difference>, &Change)> {
        let all = self.settings.iter().map(|change| (None, change));
        all.chain(
            self.differences.iter().flat_map(|one| one.changes.iter().map(move |change| (Some(one), change))),
        )
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_equivalent(&self) -> bool {
        self.settings.is_empty() && self.differences.is_empty()
    }
}

/// Compares two policies on the same hosts, called `names`.
///
/// # Errors
///
/// If that would take too long: nothing is left out silently.
pub fn compare(old: Side<'_>, new: Side<'_>, names: &[String]) -> Result<Comparison, TooLarge> {
    let classes = Classes::of(old.policy, new.policy);
    let owners = classes.owners()?;
    let mut gifts = Gifts::of([old, new], names);
    let mut differences: Vec<Difference> =
        owners.iter().filter_map(|owners| owner::difference(owners, [old, new], names)).collect();
    let look = |pairs| classes.look(pairs);
    let mut found = classes.grants(&owners, |at, grants| {
        owners.get(at).map_or(Ok(Vec::new()), |owners| gifts.differ(owners, grants, look))
    })?;
    found.sort_by_key(|(_, class)| class.size());
    let mut of_grants = BTreeMap::new();
    for (at, class) in &found {
        let Some(owners) = owners.get(*at) else { continue };
        let changes = gifts.changes(owners, class.grants, class.engine, look)?;
        let known: &mut Vec<Change> = of_grants.entry((at, class.grants)).or_default();
        for change in changes {
            // What is so under several kinds of engines is said once.
            if !known.iter().any(|one| one.is_same(&change)) {
                known.push(shown(change, owners, class));
            }
        }
    }
    for ((at, grants), mut changes) in of_grants {
        let Some(owners) = owners.get(*at) else { continue };
        changes.sort();
        differences.push(Difference {
            tenants: owners.tenants.map(|tenant| tenant.map(str::to_owned)),
            grants: grants.map(|grant| grant.map(str::to_owned)),
            when: [(old, grants[0]), (new, grants[1])].map(|(side, grant)| when(side.policy, grant)),
            changes,
        });
    }
    differences.sort_by(|a, b| (&a.tenants, &a.grants).cmp(&(&b.tenants, &b.grants)));
    Ok(Comparison { settings: settings::changes(&old.policy.settings, &new.policy.settings), differences })
}

/// A change with the smallest container of a class, which asks for what shows it.
fn shown(change: Change, owners: &Owners<'_>, class: &Class<'_>) -> Change {
    let asked = change.asked.clone().unwrap_or_else(|| Wanted::Count(1).into());
    let witness = Witness::of(owners, class, asked, change.hosts.first().cloned());
    Change { witness, ..change }
}

fn when(policy: &Policy, grant: Option<&str>) -> Vec<String> {
    let grant: Option<&Grant> = grant.and_then(|grant| policy.grants.get(grant));
    grant.into_iter().flat_map(|grant| &grant.when).map(|clause| clause.value.to_string()).collect()
}
