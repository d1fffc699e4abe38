//! What could be two things at once: tenants that one container could be of, grants that could both apply to it.
//!
//! Decided exactly, by a search over the product of automata; what is too large for that is a finding, never a guess.
//! Every overlap comes with a container that shows it.

/// Enough pairs to see what is wrong; all pairs of thousands would take minutes and memory, and nobody reads them.
const MOST_PAIRS: usize = 1_000;

mod boxes;
pub(crate) mod classes;
pub(super) mod denies;
mod dfa;
mod engines;
pub(super) mod everybody;
pub(super) mod grants;
pub(super) mod possible;
mod region;
mod search;
pub(super) mod selectors;
mod sieve;
pub(super) mod tenants;
