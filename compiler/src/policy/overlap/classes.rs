//! The classes of containers that two policies tell apart: whose a container is in each, and which grant it gets.
//!
//! A class is a pair of tenants, or of nobody, and of their grants. It is there if there is a container of it, and then comes with the
//! smallest one. Identities and what a workload says of itself are independent of each other but for the engine, so the
//! two are searched apart.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::search::Effort;
use crate::policy::{Engine, Policy, Who};

mod grants;
mod tenants;

pub(crate) use super::dfa::TooComplex;
pub(crate) use super::engines::Engines;

/// States that two policies may take in all to be compared.
const EFFORT: usize = 1 << 19;
/// So many pairs take about as long to look at as a state to visit.
const PAIRS_A_STATE: usize = 16;

/// One of each policy, or none of it.
pub(crate) type Both<T> = [Option<T>; 2];

/// Whose some containers are in the old policy and in the new one, not nobody's in both.
pub(crate) struct Owners<'p> {
    /// The tenants.
    pub(crate) tenants: Both<&'p str>,
    /// For each engine under which there are any, the smallest identity of one.
    pub(crate) known: BTreeMap<Engine, Who>,
}

/// Containers of two tenants that two grants serve, or one of them and nothing in the other policy.
pub(crate) struct Class<'p> {
    /// The grants.
    pub(crate) grants: Both<&'p str>,
    /// Under which engine the container of it comes.
    pub(crate) engine: Engine,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// The name of its image, if it matters.
    pub(crate) image: Option<String>,
    /// The grant that it names, if it must.
    pub(crate) named: Option<&'p str>,
}

/// Two policies, with what their comparison may still cost.
pub(crate) struct Classes<'p> {
    policies: [&'p Policy; 2],
    effort: Effort,
    looked: Cell<usize>,
}

impl<'p> Classes<'p> {
    pub(crate) fn of(old: &'p Policy, new: &'p Policy) -> Self {
        Self { policies: [old, new], effort: Effort::within(EFFORT), looked: Cell::new(0) }
    }

    /// Every pair of tenants of which one container could be.
    ///
    /// # Errors
    ///
    /// If finding them all would take too long.
    pub(crate) fn owners(&self) -> Result<Vec<Owners<'p>>, TooComplex> {
        tenants::owners(self.policies, &self.effort)
    }

    /// Each class of these owners of which the grants matter, one for each group of engines among which it is the same, by what
    /// `matters` says of owners (by number) and grants.
    ///
    /// # Errors
    ///
    /// If finding them all would take too long.
    pub(crate) fn grants(
        &self,
        owners: &[Owners<'p>],
        matters: impl FnMut(usize, Both<&'p str>) -> Result<Vec<Engines>, TooComplex>,
    ) -> Result<Vec<(usize, Class<'p>)>, TooComplex> {
        grants::classes(self, owners, matters)
    }

    /// So many pairs were looked at, or something was done that takes as long.
    ///
    /// # Errors
    ///
    /// If that is all that there was.
    pub(crate) fn look(&self, pairs: usize) -> Result<(), TooComplex> {
        let before = self.looked.get();
        let after = before.saturating_add(pairs);
        self.looked.set(after);
        match after / PAIRS_A_STATE - before / PAIRS_A_STATE {
            0 => Ok(()),
            states => self.effort.spend(states),
        }
    }
}
