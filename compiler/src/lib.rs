//! `gpupol`: policies in, plan sets out.
//!
//! ```text
//! *.kdl ─parse→ syntax::Document ─lower→ policy::Policy ─┐
//!                                                         ├─resolve→ resolve::Resolution ─emit→ plan set
//! NVML, /proc ─discover→ topology::Topology ──────────────┘                               (gpupol_plan)
//!
//! policy::Container ─describe→ workload::Workload ─start→ outcome::Outcome
//! ```
//!
//! A module looks only to its left in
//! `source < diag < syntax < policy < topology < workload < resolve < emit < comparison < outcome < installation < cli`.
//! Only `topology::discover` and `cli` touch the machine; everything else is a pure function of its arguments, so
//! that the same input gives the same bytes everywhere.

pub mod source;

pub mod diag;

pub mod syntax;

pub mod policy;

pub mod topology;

pub mod workload;

pub mod resolve;

pub mod emit;

pub mod comparison;

pub mod outcome;

pub mod installation;

pub mod cli;
