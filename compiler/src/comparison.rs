//! Two policies, compared by what containers get: who gains and who loses what, each with the smallest container of which that is so.
//!
//! Nothing is sampled: [`crate::policy`] divides all containers into the classes that either policy tells apart, and on each host
//! what a class gets in both is compared. What rules are called and how they are written does not matter, but where a container
//! can name it: a grant, or the gpu-set of a line.

use crate::policy::classes::{Classes, TooComplex};
use crate::policy::{Grant, Policy};
use crate::resolve::Resolution;

mod amounts;
mod change;
mod gift;
mod gifts;
mod owner;
mod request;
mod same;
mod settings;
mod witness;

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
    /// At least one.
    pub changes: Vec<Change>,
    /// The smallest container of which it is so.
    pub witness: Witness,
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
    let found = classes.grants(&owners, |at, grants| {
        owners.get(at).map_or(Ok(false), |owners| gifts.differ(owners, grants, look))
    })?;
    for (at, class) in found {
        let Some(owners) = owners.get(at) else { continue };
        let device = gifts.device(owners, class.grants);
        let Some(witness) = Witness::of(owners, &class, device) else { continue };
        differences.push(Difference {
            tenants: owners.tenants.map(|tenant| tenant.map(str::to_owned)),
            grants: class.grants.map(|grant| grant.map(str::to_owned)),
            when: [(old, class.grants[0]), (new, class.grants[1])]
                .map(|(side, grant)| when(side.policy, grant)),
            changes: gifts.changes(owners, class.grants, look)?.into_vec(),
            witness,
        });
    }
    differences.sort_by(|a, b| (&a.tenants, &a.grants).cmp(&(&b.tenants, &b.grants)));
    Ok(Comparison { settings: settings::changes(&old.policy.settings, &new.policy.settings), differences })
}

fn when(policy: &Policy, grant: Option<&str>) -> Vec<String> {
    let grant: Option<&Grant> = grant.and_then(|grant| policy.grants.get(grant));
    grant.into_iter().flat_map(|grant| &grant.when).map(|clause| clause.value.to_string()).collect()
}
