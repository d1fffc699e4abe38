//! `assert`: what must hold of every container that there could be.

use std::collections::BTreeMap;
use std::fmt;

use gpupol_plan::capability::Capability;

use crate::source::{Span, Spanned};

/// One `assert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assert {
    /// The word that says what is claimed.
    pub span: Span,
    /// What must hold on each host.
    pub claim: Claim,
}

/// What an `assert` claims. Its names are defined, and none stands in it twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// `isolated A B…`: nothing is within reach of two of them.
    Isolated {
        /// At least two.
        tenants: Vec<Spanned<String>>,
        /// `level=`
        level: Level,
    },
    /// `only TENANT… reaches SET`: nobody else reaches anything of the gpu-set.
    Only {
        /// At least one.
        tenants: Vec<Spanned<String>>,
        /// The gpu-set, in the sense in which a `deny` reads it.
        gpu_set: Spanned<String>,
    },
    /// `never CAPABILITY… for TENANT…`
    Never {
        /// At least one, where they stand.
        capabilities: BTreeMap<Capability, Span>,
        /// At least one.
        tenants: Vec<Spanned<String>>,
    },
    /// `always-satisfiable GRANT`: while nobody else holds anything, whoever has the grant can have every amount up to
    /// its `at-most`.
    AlwaysSatisfiable {
        /// The grant.
        grant: Spanned<String>,
    },
}

/// What two tenants may not both reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A device: MIG devices of one GPU are different ones.
    #[default]
    Device,
    /// `level=gpu`: a GPU, by itself or by one of its MIG devices.
    Gpu,
}

impl fmt::Display for Claim {
    /// As it is written after `assert`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Isolated { tenants, level } => {
                let level = if *level == Level::Gpu { " level=gpu" } else { "" };
                write!(out, "isolated {}{level}", list(tenants))
            }
            Self::Only { tenants, gpu_set } => {
                write!(out, "only {} reaches {}", list(tenants), gpu_set.value)
            }
            Self::Never { capabilities, tenants } => {
                let names: Vec<&str> = capabilities.keys().map(|capability| capability.name()).collect();
                write!(out, "never {} for {}", names.join(" "), list(tenants))
            }
            Self::AlwaysSatisfiable { grant } => write!(out, "always-satisfiable {}", grant.value),
        }
    }
}

fn list(names: &[Spanned<String>]) -> String {
    let names: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
    names.join(" ")
}
