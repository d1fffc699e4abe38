//! A comparison as a JSON document.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Compared, Counts};
use crate::cli::render::json;
use crate::comparison::{Change, Difference, Direction, Property, Witness};

/// The version of this form; it grows by fields only.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'c> {
    format_version: u32,
    old: &'c str,
    new: &'c str,
    topologies: &'c [String],
    /// Those that only one policy is for; both are compared on all.
    only: Was<&'c [&'c str]>,
    equivalent: bool,
    gains: usize,
    losses: usize,
    others: usize,
    settings: Vec<One<'c>>,
    differences: Vec<Class<'c>>,
}

/// A class of containers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Class<'c> {
    tenant: Was<Option<String>>,
    /// Both absent: it is so for all containers of the tenants.
    grant: Was<Option<String>>,
    when: Was<&'c [String]>,
    changes: Vec<One<'c>>,
    /// That of its first change.
    witness: String,
}

#[derive(Serialize)]
struct Was<T> {
    old: T,
    new: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'c> {
    property: Property,
    direction: Direction,
    gpu_set: Option<&'c str>,
    old: &'c [String],
    new: &'c [String],
    /// Of a line that comes or goes.
    amounts: Option<Amounts>,
    /// Devices that come or go.
    uuids: &'c [String],
    /// Empty: it is so without any.
    topologies: &'c BTreeSet<String>,
    /// The smallest container that shows it, as a workload file; absent: every container.
    witness: Option<String>,
    /// On which host it does; absent: on any.
    witness_topology: Option<&'c str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Amounts {
    at_most: u32,
    default: u32,
}

pub(super) fn text(compared: &Compared<'_>) -> String {
    let Compared { args, hosts, only: [before, after], comparison } = compared;
    let Counts { gains, losses, others } = Counts::of(comparison);
    json(&Document {
        format_version: FORMAT_VERSION,
        old: &args.old,
        new: &args.new,
        topologies: hosts,
        only: Was { old: before, new: after },
        equivalent: comparison.is_equivalent(),
        gains,
        losses,
        others,
        settings: comparison.settings.iter().map(one).collect(),
        differences: comparison.differences.iter().map(class).collect(),
    })
}

fn class(difference: &Difference) -> Class<'_> {
    let names = |[old, new]: &'_ [Option<String>; 2]| Was { old: old.clone(), new: new.clone() };
    let (tenant, grant) = (names(&difference.tenants), names(&difference.grants));
    let [old, new] = &difference.when;
    Class {
        tenant,
        grant,
        when: Was { old, new },
        changes: difference.changes.iter().map(one).collect(),
        witness: difference.witness().map(Witness::kdl).unwrap_or_default(),
    }
}

fn one(change: &Change) -> One<'_> {
    One {
        property: change.property,
        direction: change.direction,
        gpu_set: change.gpu_set.as_deref(),
        old: &change.old,
        new: &change.new,
        amounts: change.amounts.map(|[at_most, default]| Amounts { at_most, default }),
        uuids: &change.uuids,
        topologies: &change.hosts,
        witness: change.witness.as_ref().map(Witness::kdl),
        witness_topology: change.witness.as_ref().and_then(|witness| witness.host.as_deref()),
    }
}
