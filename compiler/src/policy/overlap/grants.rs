//! Grants that could both apply to one container, and conditions that nothing satisfies.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Finding, Sink};
use crate::policy::{Clause, Grant, Tenant, diags};
use crate::source::Span;

use super::MOST_PAIRS;
use super::search::{Pattern, TooComplex, witness};

/// A grant with its conditions ready to be compared, by label key.
struct Candidate<'g> {
    grant: &'g Grant,
    to: BTreeSet<&'g str>,
    labels: BTreeMap<&'g str, Vec<Pattern>>,
}

/// Reports conditions that contradict themselves, and pairs of grants between which nothing decides.
pub(in crate::policy) fn report(
    tenants: &BTreeMap<String, Tenant>,
    grants: &BTreeMap<String, Grant>,
    sink: &mut Sink,
) {
    let mut candidates: Vec<Candidate<'_>> =
        grants.values().filter_map(|grant| candidate(grant, sink)).collect();
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
fn candidate<'g>(grant: &'g Grant, sink: &mut Sink) -> Option<Candidate<'g>> {
    let mut labels: BTreeMap<&str, Vec<Pattern>> = BTreeMap::new();
    let mut places: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    for clause in &grant.when {
        let Clause::Label { key, values } = &clause.value;
        let pattern = Pattern::new(values);
        labels.entry(key).or_default().push(pattern);
        places.entry(key).or_default().push(clause.span);
    }
    let mut satisfiable = true;
    for (key, patterns) in labels.iter().filter(|(_, patterns)| patterns.len() > 1) {
        let places = places.get(key).map(Vec::as_slice).unwrap_or_default();
        match (witness(&patterns.iter().collect::<Vec<_>>(), false), places) {
            (Ok(None), [first, .., last]) => {
                let message = format!("no value of label `{key}` satisfies all of these");
                let finding = diags::contradiction(*last, "and this", message);
                let help = "write alternatives on one line: `label k=a k=b`";
                sink.push(finding.and(*first, "this").help(help));
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
    satisfiable.then_some(Candidate { grant, to, labels })
}

/// What is wrong with a pair, if anything is.
fn pair(left: &Candidate<'_>, right: &Candidate<'_>, tenants: &BTreeMap<String, Tenant>) -> Option<Finding> {
    let decided = left.grant.rank != right.grant.rank || left.grant.named || right.grant.named;
    let shared = left.to.intersection(&right.to).find(|tenant| tenants.contains_key(**tenant));
    let (false, Some(tenant)) = (decided, shared) else { return None };
    let differ = difference(left.grant, right.grant);
    if differ.is_empty() {
        return None;
    }
    let names = [left, right].map(|side| (side.grant.name.value.as_str(), side.grant.name.span));
    match labels(left, right) {
        Ok(Some(labels)) => {
            let witness = format!("a container of tenant `{tenant}` with {labels}");
            Some(diags::grants_overlap(names[0], names[1], &differ.join(" and "), witness))
        }
        Ok(None) => None,
        Err(TooComplex) => Some(diags::glob_too_complex(right.grant.name.span)),
    }
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
    if left.capabilities != right.capabilities {
        differ.push("`capabilities`");
    }
    differ
}

/// Labels with which both apply, in words.
fn labels(left: &Candidate<'_>, right: &Candidate<'_>) -> Result<Option<String>, TooComplex> {
    let keys: BTreeSet<&str> = left.labels.keys().chain(right.labels.keys()).copied().collect();
    let mut words = Vec::new();
    for key in keys {
        let both = [left, right].into_iter().filter_map(|side| side.labels.get(key)).flatten();
        match witness(&both.collect::<Vec<_>>(), false)? {
            Some(value) => words.push(format!("`{key}={value}`")),
            None => return Ok(None),
        }
    }
    Ok(Some(match words.as_slice() {
        [] => "any labels".to_owned(),
        [one] => format!("label {one}"),
        several => format!("labels {}", several.join(" and ")),
    }))
}
