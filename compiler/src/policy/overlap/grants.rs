//! Grants that could both apply to one container, and conditions that nothing satisfies.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Finding, Sink};
use crate::policy::{Clause, Engine, Grant, Tenant, diags};
use crate::source::Span;

use super::MOST_PAIRS;
use super::engines;
use super::search::{Pattern, TooComplex, witness};

/// A grant with its conditions ready to be compared.
struct Candidate<'g> {
    grant: &'g Grant,
    to: BTreeSet<&'g str>,
    /// Under which engines its conditions can hold.
    engines: BTreeSet<Engine>,
    attributes: BTreeMap<Attribute<'g>, Vec<Pattern>>,
}

/// What a workload says of itself in a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Attribute<'g> {
    Image,
    Label(&'g str),
}

/// Reports conditions that contradict themselves, and pairs of grants between which nothing decides.
pub(in crate::policy) fn report(
    tenants: &BTreeMap<String, Tenant>,
    grants: &BTreeMap<String, Grant>,
    sink: &mut Sink,
) {
    let mut candidates: Vec<Candidate<'_>> =
        grants.values().filter_map(|grant| candidate(grant, tenants, sink)).collect();
    candidates.sort_by_key(|candidate| candidate.grant.name.span);
    let pairs = candidates
        .iter()
        .enumerate()
        .flat_map(|(at, left)| candidates.iter().skip(at + 1).map(move |right| (left, right)));
    pairs
        .filter_map(|(left, right)| pair(left, right, tenants))
        .take(MOST_PAIRS)
        .for_each(|finding| sink.push(finding));
}

/// None if its condition holds for nothing, or is too complex.
fn candidate<'g>(
    grant: &'g Grant,
    tenants: &BTreeMap<String, Tenant>,
    sink: &mut Sink,
) -> Option<Candidate<'g>> {
    let engines = engines::of_grant(grant, tenants, sink);
    let mut attributes: BTreeMap<Attribute, Vec<Pattern>> = BTreeMap::new();
    let mut places: BTreeMap<Attribute, Vec<Span>> = BTreeMap::new();
    for clause in &grant.when {
        let (attribute, values) = match &clause.value {
            Clause::Label { key, values } => (Attribute::Label(key), values),
            Clause::Image(values) => (Attribute::Image, values),
            Clause::Engine(_) => continue,
        };
        attributes.entry(attribute).or_default().push(Pattern::new(values));
        places.entry(attribute).or_default().push(clause.span);
    }
    let mut satisfiable = true;
    for (attribute, patterns) in attributes.iter().filter(|(_, patterns)| patterns.len() > 1) {
        let places = places.get(attribute).map(Vec::as_slice).unwrap_or_default();
        match (attribute.witness(&patterns.iter().collect::<Vec<_>>()), places) {
            (Ok(None), [first, .., last]) => {
                sink.push(attribute.never(*first, *last));
                satisfiable = false;
            }
            (Err(TooComplex), [first, ..]) => {
                sink.push(diags::glob_too_complex(*first));
                satisfiable = false;
            }
            _ => {}
        }
    }
    let to = grant.to.iter().map(|tenant| tenant.value.as_str()).collect();
    satisfiable.then_some(Candidate { grant, to, engines: engines?, attributes })
}

impl Attribute<'_> {
    /// A value that all patterns match: a label may be empty, an image is never.
    fn witness(self, patterns: &[&Pattern]) -> Result<Option<String>, TooComplex> {
        witness(patterns, self == Self::Image)
    }

    fn never(self, first: Span, last: Span) -> Finding {
        let (message, help) = match self {
            Self::Image => ("no image satisfies all of these".to_owned(), "`image \"a\" \"b\"`"),
            Self::Label(key) => {
                (format!("no value of label `{key}` satisfies all of these"), "`label k=a k=b`")
            }
        };
        let finding = diags::contradiction(last, "and this", message);
        finding.and(first, "this").help(format!("write alternatives on one line: {help}"))
    }
}

/// What is wrong with a pair, if anything is.
fn pair(left: &Candidate<'_>, right: &Candidate<'_>, tenants: &BTreeMap<String, Tenant>) -> Option<Finding> {
    let decided = left.grant.rank != right.grant.rank || left.grant.named || right.grant.named;
    let (tenant, engine) = if decided { None } else { meeting(left, right, tenants) }?;
    let differ = difference(left.grant, right.grant);
    if differ.is_empty() {
        return None;
    }
    let names = [left, right].map(|side| (side.grant.name.value.as_str(), side.grant.name.span));
    match says(left, right) {
        Ok(Some(says)) => {
            let under = engine.map(|engine| format!(" under {}", engine.name())).unwrap_or_default();
            let witness = format!("a container of tenant `{tenant}`{under} with {says}");
            Some(diags::grants_overlap(names[0], names[1], &differ.join(" and "), witness))
        }
        Ok(None) => None,
        Err(TooComplex) => Some(diags::glob_too_complex(right.grant.name.span)),
    }
}

/// A tenant that has both, and an engine under which it is known and both apply; no engine where any does.
fn meeting<'g>(
    left: &Candidate<'g>,
    right: &Candidate<'g>,
    tenants: &BTreeMap<String, Tenant>,
) -> Option<(&'g str, Option<Engine>)> {
    left.to.intersection(&right.to).find_map(|tenant| {
        let known = engines::of_tenant(tenants.get(*tenant)?);
        let mut both = left.engines.intersection(&right.engines);
        let any = both.clone().count() == Engine::ALL.len();
        let engine = both.find(|engine| known.contains(engine))?;
        Some((*tenant, (!any).then_some(*engine)))
    })
}

/// What they give differently.
fn difference(left: &Grant, right: &Grant) -> Vec<&'static str> {
    let lines = |grant: &Grant| -> Vec<_> {
        let line = |line: &crate::policy::Line| {
            (line.gpu_set.value.clone(), line.at_most, line.default, line.place, line.sharing.value.clone())
        };
        grant.lines.iter().map(line).collect()
    };
    let mut differ = Vec::new();
    if lines(left) != lines(right) {
        differ.push("`gpus`");
    }
    let require = |grant: &Grant| grant.require.as_ref().map(|require| require.value.clone());
    if require(left) != require(right) {
        differ.push("`require`");
    }
    if left.capabilities != right.capabilities {
        differ.push("`capabilities`");
    }
    let features = |grant: &Grant| grant.features.as_ref().map(|features| features.value.clone());
    if features(left) != features(right) {
        differ.push("`features`");
    }
    differ
}

/// What a container says of itself to which both apply, in words.
fn says(left: &Candidate<'_>, right: &Candidate<'_>) -> Result<Option<String>, TooComplex> {
    let keys: BTreeSet<Attribute> = left.attributes.keys().chain(right.attributes.keys()).copied().collect();
    let (mut words, mut labels) = (Vec::new(), Vec::new());
    for attribute in keys {
        let both = [left, right].into_iter().filter_map(|side| side.attributes.get(&attribute)).flatten();
        match (attribute, attribute.witness(&both.collect::<Vec<_>>())?) {
            (_, None) => return Ok(None),
            (Attribute::Image, Some(value)) => words.push(format!("image `{value}`")),
            (Attribute::Label(key), Some(value)) => labels.push(format!("`{key}={value}`")),
        }
    }
    words.push(match labels.as_slice() {
        [] => "any labels".to_owned(),
        [one] => format!("label {one}"),
        several => format!("labels {}", several.join(" and ")),
    });
    Ok(Some(words.join(" and ")))
}
