//! `grant`: who gets which devices, and how.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::capability::Capability;

use crate::diag::Finding;
use crate::policy::{Amount, GpuSet, Grant, Line, Place, Sharing, diags};
use crate::source::{Span, Spanned};
use crate::syntax::cursor::{Cursor, one_of};
use crate::syntax::{Node, Value};

use super::features::{self, Imex};
use super::names::Kind;
use super::{Context, definition, labels, references, require, sharing, when};

const CAPABILITIES: &str = "capabilities compute utility";
/// The least memory that an MPS daemon can be told as a limit, bytes.
const LEAST_MEMORY: u64 = 1 << 20;
/// The words of `place=`.
pub(super) const PLACES: [(&str, Place); 4] = [
    ("nvlink", Place::Nvlink),
    ("same-numa", Place::SameNuma),
    ("packed", Place::Packed),
    ("spread", Place::Spread),
];

/// Every grant that could be read.
pub(super) fn lower(
    nodes: &[&Node],
    sets: &BTreeMap<String, GpuSet>,
    context: &mut Context<'_>,
) -> BTreeMap<String, Grant> {
    let mut grants = BTreeMap::new();
    for node in nodes {
        if let Some(grant) = grant(node, context) {
            mps(&grant, sets, context);
            grants.entry(grant.name.value.clone()).or_insert(grant);
        }
    }
    labels::collisions(&grants, context.sink);
    grants
}

fn grant(node: &Node, context: &mut Context<'_>) -> Option<Grant> {
    let mut cursor = Cursor::open(node, context.sink);
    let name = definition(Kind::Grant, &mut cursor, context);
    let rank = rank(&mut cursor, context);
    let named = cursor.bool_property("named", context.sink).unwrap_or(false);
    let to = to(&mut cursor, context);
    let when = cursor.child("when", context.sink).map(|child| when::lower(child, context));
    let require = cursor.child("require", context.sink).map(|child| require::lower(child, context));
    let shared = cursor.child("sharing", context.sink).map(|child| sharing::lower(child, context));
    let inherited = shared.clone().flatten().unwrap_or(Spanned::new(Sharing::ABSENT, node.span));
    let lines = lines(&mut cursor, &inherited, context);
    let capabilities = capabilities(&mut cursor, context);
    let features =
        cursor.child("features", context.sink).map(|child| features::lower(child, Imex::Named, context));
    let complete = shared.is_none_or(|shared| shared.is_some())
        && require.as_ref().is_none_or(Option::is_some)
        && features.as_ref().is_none_or(Option::is_some);
    let sound = cursor.finish(context.sink) && complete;
    let (capabilities, capabilities_span) = capabilities?;
    let when = when.map_or(Some(Vec::new()), |when| when);
    let (when, require, lines) = (when?, require.flatten(), lines?);
    let (name, features) = (name?, features.flatten());
    let grant =
        Grant { name, to, when, require, lines, capabilities, capabilities_span, features, rank, named };
    sound.then_some(grant)
}

fn rank(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> i64 {
    let Some(property) = cursor.property("rank", context.sink) else { return 0 };
    let rank = match property.value.value {
        Value::Integer(number) => i64::try_from(number).ok(),
        _ => None,
    };
    if rank.is_none() {
        let finding =
            diags::bad_value(property.value.span, "not a rank", "a rank is an integer, higher wins");
        cursor.blame(context.sink, finding.help("`rank=1`"));
    }
    rank.unwrap_or(0)
}

/// Tenants of a grant or a deny.
pub(super) fn to(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Vec<Spanned<String>> {
    let Some(child) = cursor.child("to", context.sink) else {
        cursor.lacks("a tenant", "to my-tenant");
        context.names.unsaid(Kind::Tenant);
        return Vec::new();
    };
    let mut inner = Cursor::open(child, context.sink);
    let tenants = references(Kind::Tenant, &mut inner, "to my-tenant", context);
    inner.finish(context.sink);
    tenants
}

/// The `gpus` lines of a grant; none if one of them could not be read.
fn lines(
    cursor: &mut Cursor<'_>,
    inherited: &Spanned<Sharing>,
    context: &mut Context<'_>,
) -> Option<Vec<Line>> {
    let nodes: Vec<&Node> = cursor.children("gpus").collect();
    if nodes.is_empty() {
        cursor.lacks("a `gpus` line", "gpus my-gpu-set");
        context.names.unsaid(Kind::GpuSet);
    }
    let mut lines: Vec<Line> = Vec::with_capacity(nodes.len());
    let mut complete = true;
    for node in nodes {
        let Some(line) = line(node, inherited, context) else {
            complete = false;
            continue;
        };
        if let Some(first) = lines.iter().find(|other| other.gpu_set.value == line.gpu_set.value) {
            let finding = diags::twice("gpu-set", &line.gpu_set, first.gpu_set.span);
            cursor.blame(context.sink, finding.help("merge the two lines"));
        }
        lines.push(line);
    }
    complete.then_some(lines)
}

fn line(node: &Node, inherited: &Spanned<Sharing>, context: &mut Context<'_>) -> Option<Line> {
    let mut cursor = Cursor::open(node, context.sink);
    let set = cursor.required("the name of a gpu-set", "gpus my-gpu-set", context.sink);
    if set.is_none() {
        context.names.unsaid(Kind::GpuSet);
    }
    let at_most = amount(&mut cursor, "at-most", 1, context);
    let default = amount(&mut cursor, "default", 0, context);
    let place = place(&mut cursor, context);
    let own = cursor.child("sharing", context.sink).map(|child| sharing::lower(child, context));
    let most = at_most.as_ref().map_or(Amount::Count(1), |amount| amount.value);
    if let Some(default) = default
        .as_ref()
        .filter(|default| default.value.exceeds(most) && !refused(&cursor, "at-most", &at_most))
    {
        cursor.blame(context.sink, over_the_limit(default, at_most.as_ref()));
    }
    let sound = cursor.finish(context.sink);
    let set = set.filter(|set| context.names.resolve(Kind::GpuSet, set, context.sink));
    let sharing = match own {
        None => Some(inherited.clone()),
        Some(own) => own,
    };
    let default = default.map_or(Amount::Count(1), |amount| amount.value);
    let line = Line { gpu_set: set?, span: node.span, at_most: most, default, place, sharing: sharing? };
    sound.then_some(line)
}

/// Whether a property is written but could not be read, so that nothing can be concluded from its absence.
fn refused(cursor: &Cursor<'_>, key: &str, read: &Option<Spanned<Amount>>) -> bool {
    read.is_none() && cursor.node().properties.iter().any(|property| property.key.value == key)
}

fn over_the_limit(default: &Spanned<Amount>, at_most: Option<&Spanned<Amount>>) -> Finding {
    let message = "a grant cannot give more by default than at most";
    let finding = diags::contradiction(default.span, "more than that", message);
    match at_most {
        Some(most) => finding.and(most.span, "at most this").help(format!("`at-most={}`", default.value)),
        None => finding.help(format!("`at-most={}`, which is 1 when absent", default.value)),
    }
}

fn amount(
    cursor: &mut Cursor<'_>,
    key: &'static str,
    least: u32,
    context: &mut Context<'_>,
) -> Option<Spanned<Amount>> {
    let mut written = cursor.node().properties.iter().filter(|property| property.key.value == key);
    if written.next().is_some_and(|first| first.value.value == Value::String("all".into())) {
        let span = cursor.property(key, context.sink)?.value.span;
        return Some(Spanned::new(Amount::All, span));
    }
    let number = cursor.number_property(key, least, context.sink)?;
    Some(Spanned::new(Amount::Count(number.value), number.span))
}

fn place(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Place {
    let Some(word) = cursor.string_property("place", context.sink) else { return Place::Any };
    cursor.accept(one_of(&word, "place", &PLACES), context.sink).unwrap_or_default()
}

fn capabilities(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<(BTreeSet<Capability>, Span)> {
    let Some(child) = cursor.child("capabilities", context.sink) else {
        cursor.lacks("its capabilities", CAPABILITIES);
        return None;
    };
    capability_words(child, context).map(|capabilities| (capabilities, child.span))
}

/// The driver capabilities that a node lists; at least one, none twice.
pub(super) fn capability_words(node: &Node, context: &mut Context<'_>) -> Option<BTreeSet<Capability>> {
    let mut inner = Cursor::open(node, context.sink);
    let mut capabilities: BTreeMap<Capability, Span> = BTreeMap::new();
    let known = Capability::ALL.map(|capability| (capability.name(), capability));
    for word in inner.strings("a capability", CAPABILITIES, context.sink) {
        let capability = inner.accept(one_of(&word, "driver capability", &known), context.sink);
        if let Some(first) = capability.and_then(|capability| capabilities.insert(capability, word.span)) {
            inner.blame(context.sink, diags::twice_in_list("capability", &word, first));
        }
    }
    let sound = inner.finish(context.sink);
    sound.then(|| capabilities.into_keys().collect())
}

/// What MPS cannot be combined with: other lines, several devices, MIG devices, several tenants, trust.
fn mps(grant: &Grant, sets: &BTreeMap<String, GpuSet>, context: &mut Context<'_>) {
    for line in grant.lines.iter().filter(|line| line.sharing.value.is_mps()) {
        let sharing = line.sharing.span;
        if line.sharing.value.memory().is_some_and(|bytes| bytes < LEAST_MEMORY) {
            context.sink.push(diags::too_little_memory(sharing));
        }
        if let Some(second) = grant.to.get(1) {
            context.sink.push(diags::mps_of_several(sharing, second));
        }
        if let Some(trusted) = grant.to.iter().find(|to| context.names.is_trusted(&to.value)) {
            context.sink.push(diags::mps_of_trusted(sharing, trusted));
        }
        if let Some(other) = grant.lines.iter().find(|other| other.span != line.span) {
            let finding =
                diags::contradiction(sharing, "mps here", "a grant with `sharing mps` has one `gpus` line");
            context
                .sink
                .push(finding.and(other.span, "another line").help("make a grant of its own of each line"));
        }
        if line.at_most != Amount::Count(1) {
            let finding =
                diags::contradiction(sharing, "mps here", "`sharing mps` gives one GPU to each container");
            context.sink.push(finding.and(line.span, "more than one here").help("`at-most=1`"));
        }
        let set = sets.get(&line.gpu_set.value);
        if let Some(profile) = set.and_then(|set| set.mig_profiles.first()) {
            context.sink.push(diags::mps_over_mig(sharing, &line.gpu_set.value, profile.span));
        }
    }
}
