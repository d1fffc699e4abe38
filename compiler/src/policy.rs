//! The policy as meant: complete, names bound, defaults in place, no hardware.
//!
//! Made by [`lower::lower`] from what the files say. Every name that one part uses of another is defined; every span
//! points at what a later stage may have to blame.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use gpupol_plan::automaton::Automaton;
use gpupol_plan::capability::Capability;
use gpupol_plan::feature::Feature;
use gpupol_plan::requirement::version::Comparator;

use crate::diag::Code;
use crate::source::{Span, Spanned};

pub mod allow;
mod assert;
mod automaton;
mod clause;
mod container;
mod date;
mod diags;
mod identity;
mod line;
pub mod lower;
mod overlap;
pub mod rights;
pub mod schema;
mod version;

pub(crate) use diags::{denies_unknown, deny_shadowed};
pub(crate) use overlap::classes;
pub(crate) use overlap::denies::{Superfluous, superfluous};
pub(crate) use overlap::possible::Possible;
pub use version::{Version, Versions};

pub use assert::{Assert, Claim, Level};
pub use clause::Clause;
pub use container::{Container, Devices, Expect, Expected, Outcome, Request, Test, Who};
pub use date::Date;
pub use identity::{Class, Engine, Identity};
pub use line::{Amount, Line, Place, Sharing, Timeslice};

/// Everything that the policy files say together.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The `policy` node.
    pub settings: Settings,
    /// Tenants by name.
    pub tenants: BTreeMap<String, Tenant>,
    /// gpu-sets by name; no cycle among their `except`s.
    pub gpu_sets: BTreeMap<String, GpuSet>,
    /// Grants by name.
    pub grants: BTreeMap<String, Grant>,
    /// Denies by name.
    pub denies: BTreeMap<String, Deny>,
    /// Layouts by name.
    pub layouts: BTreeMap<String, Layout>,
    /// Tests, in the order of their places.
    pub tests: Vec<Test>,
    /// Asserts, in the order of their places.
    pub asserts: Vec<Assert>,
    /// What the policy allows of its findings.
    pub allowances: BTreeMap<Code, Allowance>,
    /// All identities at once, the tenants numbered in the order of their names.
    pub automaton: Automaton,
}

impl Policy {
    /// Whether that is the name of a `trust`.
    #[must_use]
    pub fn is_trusted(&self, tenant: &str) -> bool {
        self.tenants.get(tenant).is_some_and(|tenant| tenant.trust.is_some())
    }
}

/// The `policy` node.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The node itself.
    pub span: Span,
    /// Topologies to check against, as written: paths or globs relative to the policy's file, or `builtin:NAME`.
    pub topologies: Vec<Spanned<String>>,
    /// `on-denied`.
    pub on_denied: OnDenied,
    /// `request-indices`.
    pub request_indices: RequestIndices,
    /// `on-bypass`, at its word; absent, at the node.
    pub on_bypass: Spanned<OnBypass>,
    /// `audit`.
    pub audit: Auditing,
}

/// `on-bypass`: what a container gets whose own configuration goes around its plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBypass {
    /// It starts, and the kernel denies it every GPU number outside of its plan.
    #[default]
    Contain,
    /// It does not start.
    Refuse,
    /// It starts, and the audit says so.
    Report,
}

/// `audit`: whether devices are given that nobody can write down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auditing {
    /// Never.
    #[default]
    Required,
    /// A record that cannot be written is said, and the container starts.
    BestEffort,
}

/// `on-denied`: what a container gets that asks and may not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDenied {
    /// It does not start.
    #[default]
    Refuse,
    /// It starts without a GPU.
    RunWithoutGpu,
}

/// `request-indices`: what numbers in a request mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestIndices {
    /// A count beside Docker's own `--gpus` if it is exactly 0…n-1, else NVML indices.
    #[default]
    Auto,
    /// Always NVML indices.
    Host,
    /// Always a count.
    Count,
}

/// A tenant, or somebody who is trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenant {
    /// Its name, where it is defined.
    pub name: Spanned<String>,
    /// Its identities; at least one.
    pub identities: Vec<Spanned<Identity>>,
    /// `limit gpus=`: at most so many leases at a time on each host; at least 1.
    pub limit: Option<Spanned<u32>>,
    /// Its `guarantee`s, of different gpu-sets; together not above its limit.
    pub guarantees: Vec<Guarantee>,
    /// A `trust`, by its `reason=`: its containers pass the guard, and get all devices of a grant without leases.
    /// It has neither limit nor guarantees.
    pub trust: Option<Spanned<String>>,
}

/// `guarantee gpus=N from=SET`: so many single devices of each host that has any of the set are kept for the tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Guarantee {
    /// The node.
    pub span: Span,
    /// `gpus=`, at least 1.
    pub gpus: Spanned<u32>,
    /// `from=`
    pub from: Spanned<String>,
}

/// A pattern: `*` within one segment (up to `/`), `**`, `?`; everything else is itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glob(pub String);

/// A gpu-set: which devices, by what they are.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuSet {
    /// Its name, where it is defined.
    pub name: Spanned<String>,
    /// All must hold.
    pub selectors: Vec<Spanned<Selector>>,
    /// MIG devices of these profiles instead of whole GPUs.
    pub mig_profiles: Vec<Spanned<String>>,
    /// gpu-sets that are taken out.
    pub except: Vec<Spanned<String>>,
    /// `first`: of all that, on each host, so many devices, lowest index first.
    pub first: Option<Spanned<u32>>,
}

/// One selector; several values of one are alternatives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// `vendor`: `nvidia`, `amd` or `intel`.
    Vendor(Vec<String>),
    /// `model`: the name NVML gives.
    Model(Vec<Glob>),
    /// `brand`, in the words of `NVIDIA_REQUIRE_CUDA`.
    Brand(Vec<String>),
    /// `architecture`, in lower case.
    Architecture(Vec<String>),
    /// `compute-capability`: CUDA's, such as `9.0`.
    ComputeCapability(Versions),
    /// `memory`: total memory in bytes, both bounds inclusive.
    Memory {
        /// `at-least=`
        at_least: Option<u64>,
        /// `at-most=`
        at_most: Option<u64>,
    },
    /// `uuid`, exact but for case.
    Uuid(Vec<String>),
    /// `pci`: addresses as the kernel writes them, `0000:3b:00.0`; of a MIG device that of its GPU.
    Pci(Vec<String>),
    /// `numa`: the GPU's node is one of these.
    Numa(Vec<u32>),
    /// `host`: the name of the host.
    Host(Vec<Glob>),
    /// `driver`: the version of the host's driver.
    Driver(Versions),
    /// `any-of`: one of these is enough.
    AnyOf(Vec<Spanned<Selector>>),
}

/// A grant.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Its name, where it is defined.
    pub name: Spanned<String>,
    /// Tenants; at least one.
    pub to: Vec<Spanned<String>>,
    /// All must hold, also several clauses of one label key.
    pub when: Vec<Spanned<Clause>>,
    /// `require`: on hosts of which one of these is not true it gives nothing; the node.
    pub require: Option<Spanned<Vec<Require>>>,
    /// Its `gpus` lines; at least one.
    pub lines: Vec<Line>,
    /// The ceiling of driver capabilities; not empty.
    pub capabilities: BTreeSet<Capability>,
    /// Where the capabilities stand.
    pub capabilities_span: Span,
    /// `features`: what it gives beside devices to those who ask; the node. Never IMEX as a whole.
    pub features: Option<Spanned<BTreeSet<Feature>>>,
    /// Higher wins.
    pub rank: i64,
    /// Applies only to workloads that name it.
    pub named: bool,
}

/// What a host must have, compared as in `NVIDIA_REQUIRE_*`: `12.4` is `12.4.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Require {
    /// Of what.
    pub fact: HostFact,
    /// How it must stand to the version.
    pub comparator: Comparator,
    /// The version, known to be one.
    pub version: String,
}

impl fmt::Display for Require {
    /// As `NVIDIA_REQUIRE_*` says it, such as `driver>=550`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}{}", self.fact.name(), self.comparator.text(), self.version)
    }
}

/// What of a host a `require` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostFact {
    /// `cuda=`: the newest CUDA version that the driver serves.
    Cuda,
    /// `driver=`: the driver's version.
    Driver,
}

impl HostFact {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Cuda, Self::Driver];

    /// The word for it, as in `NVIDIA_REQUIRE_*`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Driver => "driver",
        }
    }
}

/// A deny: takes something away from tenants, whatever grants say: either devices, or capabilities and features.
#[derive(Clone, Debug, PartialEq)]
pub struct Deny {
    /// Its name, where it is defined.
    pub name: Spanned<String>,
    /// Tenants; at least one.
    pub to: Vec<Spanned<String>>,
    /// gpu-sets; none if it takes no devices.
    pub gpu_sets: Vec<Spanned<String>>,
    /// Driver capabilities that are taken out of every grant.
    pub capabilities: BTreeSet<Capability>,
    /// Features that are taken out of every grant; IMEX as a whole means each of its channels.
    pub features: BTreeSet<Feature>,
}

/// `layout`: which MIG devices some GPUs are wished to have, each of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Its name, where it is defined.
    pub name: Spanned<String>,
    /// gpu-sets of whole GPUs; at least one.
    pub gpu_sets: Vec<Spanned<String>>,
    /// At least one, each of another profile.
    pub wishes: Vec<Wish>,
}

/// `mig "3g.40gb" 2`: so many MIG devices of one profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// The profile.
    pub profile: Spanned<String>,
    /// How many, from 1 to 8: no board has more memory units for the smallest.
    pub count: u32,
}

/// `allow-finding`: every finding of one code is known and accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The whole node.
    pub span: Span,
    /// Which; one that may be allowed.
    pub code: Spanned<Code>,
    /// `reason=`; always there for what is about security.
    pub reason: Option<Spanned<String>>,
    /// `until=`, the last day on which it holds; always there for what is about security.
    pub until: Option<Spanned<Date>>,
}
