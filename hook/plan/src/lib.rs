//! The contract between `gpupol` and `gpupol-hook`, and the pure part that both run.
//!
//! The compiler writes a plan set (an index and one [`plan::Plan`] for each tenant of a grant); the hook
//! reads it. Between reading and applying lies one chain of pure functions, which `gpupol plan` and the hook
//! both call, so that what is tested without a GPU is what happens on a host:
//!
//! ```text
//! config.json ─config→ Config ─identity→ tenant ─request→ Request ─lookup→ Decision ─choose→ Choice
//!                            ─guard→ whether its own configuration goes around all that
//! ```
//!
//! What decides and does not stand in `config.json` is an [`observed::Observed`] beside it: the hook asks the
//! kernel for it, a test makes it up.
//!
//! Nothing here opens a file, reads a clock or looks at the environment of the process, and nothing panics on
//! any input: whatever a container's configuration says comes back as a value or as a [`refusal::Refusal`].

pub mod automaton;
pub mod capability;
pub mod choose;
pub mod config;
mod document;
pub mod edit;
pub mod entry;
pub mod feature;
pub mod glob;
pub mod guard;
pub mod identity;
pub mod index;
pub mod keeper;
pub mod kfd;
pub mod label;
pub mod lease;
pub mod loader;
pub mod loader_cache;
pub mod lookup;
pub mod majors;
pub mod observed;
pub mod place;
pub mod plan;
pub mod refusal;
pub mod request;
pub mod requirement;
pub mod slurm;
pub mod spec;
pub mod vendor;
