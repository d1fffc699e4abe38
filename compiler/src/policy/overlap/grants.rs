//! Grants that could both apply to one container, and conditions that nothing satisfies.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Finding, Sink};
use crate::policy::{
    Amount, Capability, Clause, Engine, Feature, Grant, Line, Place, Require, Sharing, Tenant, diags,
};
use crate::source::Span;

use super::MOST_PAIRS;
use super::engines;
use super::possible::Possible;
use super::search::{Effort, Pattern, TooComplex, witness};
use super::sieve::{Shape, Sieve};

/// A grant with its conditions ready to be compared.
struct Candidate<'g> {
    grant: &'g Grant,
    to: BTreeSet<&'g str>,
    /// Under which engines its conditions can hold.
    engines: BTreeSet<Engine>,
    attributes: BTreeMap<Attribute<'g>, Vec<Pattern>>,
    gift: Gift<'g>,
}

/// What a grant gives.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Gift<'g> {
    lines: Vec<(&'g str, Amount, Amount, Place, &'g Sharing)>,
    require: Option<&'g Vec<Require>>,
    capabilities: &'g BTreeSet<Capability>,
    features: Option<&'g BTreeSet<Feature>>,
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
    let effort = Effort::default();
    let mut candidates: Vec<Candidate<'_>> =
        grants.values().filter_map(|grant| candidate(grant, tenants, &effort, sink)).collect();
    candidates.sort_by_key(|candidate| candidate.grant.name.span);
    let shapes: Vec<_> = candidates.iter().map(Candidate::shape).collect();
    let (sieve, kinds) = (Sieve::new(&shapes), kinds(&candidates));
    let mut found = 0;
    for (at, left) in candidates.iter().enumerate() {
        let differs = |other: usize| kinds.get(other) != kinds.get(at);
        for right in sieve.after(at, differs).into_iter().filter_map(|right| candidates.get(right)) {
            if found == MOST_PAIRS || effort.is_spent() {
                return;
            }
            if let Some(finding) = pair(left, right, tenants, &effort) {
                sink.push(finding);
                found += 1;
            }
        }
    }
}

/// A number for each: the same for those that give the same, and need no choice between them.
fn kinds(candidates: &[Candidate<'_>]) -> Vec<usize> {
    let gifts: BTreeSet<&Gift<'_>> = candidates.iter().map(|candidate| &candidate.gift).collect();
    let kinds: BTreeMap<&Gift<'_>, usize> = gifts.into_iter().zip(0..).collect();
    candidates.iter().filter_map(|candidate| kinds.get(&candidate.gift).copied()).collect()
}

/// None if its condition holds for nothing, or is too complex.
fn candidate<'g>(
    grant: &'g Grant,
    tenants: &BTreeMap<String, Tenant>,
    effort: &Effort,
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
        match (attribute.witness(&patterns.iter().collect::<Vec<_>>(), effort), places) {
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
    let gift = Gift::of(grant);
    satisfiable.then_some(Candidate { grant, to, engines: engines?, attributes, gift })
}

impl<'g> Candidate<'g> {
    /// Only grants of one tenant and one rank can be in each other's way, and none that has to be named.
    fn shape(&self) -> Shape<(&'g str, i64), Attribute<'g>> {
        let open = self.to.iter().filter(|_| !self.grant.named);
        let shape = Shape::new(open.map(|tenant| (*tenant, self.grant.rank)));
        self.grant.when.iter().fold(shape, |shape, clause| match &clause.value {
            Clause::Label { key, values } => shape.with(Attribute::Label(key), values),
            Clause::Image(values) => shape.with(Attribute::Image, values),
            Clause::Engine(_) => shape,
        })
    }
}

impl<'g> Gift<'g> {
    fn of(grant: &'g Grant) -> Self {
        let line = |line: &'g Line| {
            (line.gpu_set.value.as_str(), line.at_most, line.default, line.place, &line.sharing.value)
        };
        Self {
            lines: grant.lines.iter().map(line).collect(),
            require: grant.require.as_ref().map(|require| &require.value),
            capabilities: &grant.capabilities,
            features: grant.features.as_ref().map(|features| &features.value),
        }
    }

    /// What they give differently.
    fn difference(&self, other: &Self) -> Vec<&'static str> {
        let devices = |gift: &Self| -> Vec<_> {
            gift.lines
                .iter()
                .map(|(set, at_most, default, place, _)| (*set, *at_most, *default, *place))
                .collect()
        };
        let lines = devices(self) != devices(other);
        let sharing = (!lines && self.lines != other.lines).then_some("`sharing`");
        let lines = lines.then_some("`gpus`");
        let require = (self.require != other.require).then_some("`require`");
        let capabilities = (self.capabilities != other.capabilities).then_some("`capabilities`");
        let features = (self.features != other.features).then_some("`features`");
        [lines, sharing, require, capabilities, features].into_iter().flatten().collect()
    }
}

impl Attribute<'_> {
    /// A value that all patterns match: a label may be empty, an image is never.
    fn witness(self, patterns: &[&Pattern], effort: &Effort) -> Result<Option<String>, TooComplex> {
        let possible = match self {
            Self::Image => Possible::NotEmpty,
            Self::Label(_) => Possible::Any,
        };
        witness(patterns, possible, effort)
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
fn pair(
    left: &Candidate<'_>,
    right: &Candidate<'_>,
    tenants: &BTreeMap<String, Tenant>,
    effort: &Effort,
) -> Option<Finding> {
    let decided = left.grant.rank != right.grant.rank || left.grant.named || right.grant.named;
    let (tenant, engine) = if decided { None } else { meeting(left, right, tenants) }?;
    let differ = left.gift.difference(&right.gift);
    if differ.is_empty() {
        return None;
    }
    let names = [left, right].map(|side| (side.grant.name.value.as_str(), side.grant.name.span));
    match says(left, right, effort) {
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

/// What a container says of itself to which both apply, in words.
fn says(left: &Candidate<'_>, right: &Candidate<'_>, effort: &Effort) -> Result<Option<String>, TooComplex> {
    let keys: BTreeSet<Attribute> = left.attributes.keys().chain(right.attributes.keys()).copied().collect();
    let (mut words, mut labels) = (Vec::new(), Vec::new());
    for attribute in keys {
        let both = [left, right].into_iter().filter_map(|side| side.attributes.get(&attribute)).flatten();
        match (attribute, attribute.witness(&both.collect::<Vec<_>>(), effort)?) {
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

#[cfg(test)]
mod tests;
