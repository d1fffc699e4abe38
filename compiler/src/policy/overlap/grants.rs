//! Grants that could both apply to one container, and conditions that nothing satisfies.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Finding, Sink};
use crate::policy::{Amount, Clause, Engine, Feature, Glob, Grant, Place, Require, Sharing, Tenant, diags};
use crate::source::Span;

use super::MOST_PAIRS;
use super::boxes;
use super::dfa::TooComplex;
use super::engines::{self, Engines};
use super::possible::Possible;
use super::search::{Effort, Pattern, witness};
use super::sieve::{Shape, Sieve};

/// A grant with its conditions ready to be compared.
struct Candidate<'g> {
    grant: &'g Grant,
    /// Under which engines its conditions can hold.
    engines: Engines,
    /// Made when they are first needed: most grants meet no other.
    conditions: OnceCell<Conditions<'g>>,
}

/// What must match each attribute, and where that is said.
type Conditions<'g> = boxes::Conditions<Attribute<'g>, Span>;

/// What a grant gives.
#[derive(Clone, Copy)]
struct Gift<'g>(&'g Grant);

/// What a workload says of itself in a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attribute<'g> {
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
    pairs(&candidates, tenants, &effort, sink);
    // What comes too late beside grants that are wrong may be in time when they are mended.
    if !sink.has_errors() {
        shadow::report(&candidates, tenants, &Effort::default(), sink);
    }
}

/// Reports pairs between which nothing decides.
fn pairs(candidates: &[Candidate<'_>], tenants: &BTreeMap<String, Tenant>, effort: &Effort, sink: &mut Sink) {
    let shapes: Vec<_> = candidates.iter().map(Candidate::shape).collect();
    let (sieve, known) = (Sieve::new(&shapes), OnceCell::new());
    let kind = |at: usize| known.get_or_init(|| kinds(candidates)).get(at);
    let mut found = 0;
    for (at, left) in candidates.iter().enumerate() {
        let differs = |other: usize| kind(other) != kind(at);
        for right in sieve.after(at, differs).into_iter().filter_map(|right| candidates.get(right)) {
            if found == MOST_PAIRS || effort.is_spent() {
                return;
            }
            if let Some(finding) = pair(left, right, tenants, effort) {
                sink.push(finding);
                found += 1;
            }
        }
    }
}

/// A number for each: the same for those that give the same, and need no choice between them.
fn kinds(candidates: &[Candidate<'_>]) -> Vec<usize> {
    let mut gifts: Vec<(Gift<'_>, usize)> =
        candidates.iter().map(|candidate| Gift(candidate.grant)).zip(0..).collect();
    gifts.sort_unstable();
    let alike = gifts.chunk_by(|(left, _), (right, _)| left == right);
    let mut kinds: Vec<(usize, usize)> =
        alike.zip(0..).flat_map(|(alike, kind)| alike.iter().map(move |(_, at)| (*at, kind))).collect();
    kinds.sort_unstable();
    kinds.into_iter().map(|(_, kind)| kind).collect()
}

/// None if its condition holds for nothing, or is too complex.
fn candidate<'g>(
    grant: &'g Grant,
    tenants: &BTreeMap<String, Tenant>,
    effort: &Effort,
    sink: &mut Sink,
) -> Option<Candidate<'g>> {
    let engines = engines::of_grant(grant, tenants, sink);
    let candidate = |engines| Candidate { grant, engines, conditions: OnceCell::new() };
    if grant.when.len() < 2 {
        return engines.map(candidate);
    }
    let mut satisfiable = true;
    let conditions = conditions(grant);
    for (attribute, several) in conditions.iter().filter(|(_, several)| several.len() > 1) {
        let patterns: Vec<&Pattern> = several.iter().map(|(pattern, _)| pattern).collect();
        match (attribute.witness(&patterns, effort), several.as_slice()) {
            (Ok(None), [(_, first), .., (_, last)]) => {
                sink.push(attribute.never(*first, *last));
                satisfiable = false;
            }
            (Err(TooComplex), [(_, first), ..]) => {
                sink.push(diags::glob_too_complex(*first));
                satisfiable = false;
            }
            _ => {}
        }
    }
    engines.filter(|_| satisfiable).map(candidate)
}

fn conditions(grant: &Grant) -> Conditions<'_> {
    let mut conditions = Conditions::new();
    for clause in &grant.when {
        if let Some((attribute, values)) = Attribute::of(&clause.value) {
            conditions.entry(attribute).or_default().push((Pattern::new(values), clause.span));
        }
    }
    conditions
}

impl<'g> Candidate<'g> {
    /// Only grants of one tenant and one rank can be in each other's way, and none that has to be named.
    fn shape(&self) -> Shape<'g, (&'g str, i64), Attribute<'g>> {
        let grant = self.grant;
        let open = grant.to.iter().filter(|_| !grant.named);
        let shape = Shape::new(open.map(|tenant| (tenant.value.as_str(), grant.rank)));
        let texts = grant.when.iter().filter_map(|clause| Attribute::of(&clause.value));
        texts.fold(shape, |shape, (attribute, values)| shape.with(attribute, values))
    }

    fn is_for(&self, tenant: &str) -> bool {
        self.grant.to.iter().any(|to| to.value == tenant)
    }

    fn conditions(&self) -> &Conditions<'g> {
        self.conditions.get_or_init(|| conditions(self.grant))
    }
}

impl<'g> Gift<'g> {
    fn devices(self) -> impl Iterator<Item = (&'g str, Amount, Amount, Place)> {
        self.0.lines.iter().map(|line| (line.gpu_set.value.as_str(), line.at_most, line.default, line.place))
    }

    fn sharing(self) -> impl Iterator<Item = &'g Sharing> {
        self.0.lines.iter().map(|line| &line.sharing.value)
    }

    fn require(self) -> Option<&'g Vec<Require>> {
        self.0.require.as_ref().map(|require| &require.value)
    }

    fn features(self) -> Option<&'g BTreeSet<Feature>> {
        self.0.features.as_ref().map(|features| &features.value)
    }

    /// What they give differently.
    fn difference(self, other: Self) -> Vec<&'static str> {
        let lines = self.devices().ne(other.devices());
        let sharing = (!lines && self.sharing().ne(other.sharing())).then_some("`sharing`");
        let lines = lines.then_some("`gpus`");
        let require = (self.require() != other.require()).then_some("`require`");
        let capabilities = (self.0.capabilities != other.0.capabilities).then_some("`capabilities`");
        let features = (self.features() != other.features()).then_some("`features`");
        [lines, sharing, require, capabilities, features].into_iter().flatten().collect()
    }
}

impl Ord for Gift<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let lines = self.devices().cmp(other.devices()).then_with(|| self.sharing().cmp(other.sharing()));
        let rest = |gift: &Self| (gift.require(), gift.features());
        lines
            .then_with(|| self.0.capabilities.cmp(&other.0.capabilities))
            .then_with(|| rest(self).cmp(&rest(other)))
    }
}

impl PartialOrd for Gift<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Gift<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Gift<'_> {}

impl<'g> Attribute<'g> {
    /// The attribute that a condition is about, and the texts that satisfy it.
    pub(super) fn of(clause: &'g Clause) -> Option<(Self, &'g [Glob])> {
        match clause {
            Clause::Label { key, values } => Some((Self::Label(key), values)),
            Clause::Image(values) => Some((Self::Image, values)),
            Clause::Engine(_) => None,
        }
    }

    /// A label may be empty, an image is never.
    pub(super) fn possible(self) -> Possible {
        match self {
            Self::Image => Possible::NotEmpty,
            Self::Label(_) => Possible::Any,
        }
    }

    /// A value that all patterns match.
    fn witness(self, patterns: &[&Pattern], effort: &Effort) -> Result<Option<String>, TooComplex> {
        witness(patterns, self.possible(), effort)
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
fn pair<'g>(
    left: &Candidate<'g>,
    right: &Candidate<'g>,
    tenants: &BTreeMap<String, Tenant>,
    effort: &Effort,
) -> Option<Finding> {
    let decided = left.grant.rank != right.grant.rank || left.grant.named || right.grant.named;
    let (tenant, engine) = if decided { None } else { meeting(left, right, tenants) }?;
    let differ = Gift(left.grant).difference(Gift(right.grant));
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
    let both = left.engines.and(right.engines);
    let to: BTreeSet<&str> = right.grant.to.iter().map(|tenant| tenant.value.as_str()).collect();
    let mut shared: Vec<&'g str> = left.grant.to.iter().map(|tenant| tenant.value.as_str()).collect();
    shared.retain(|tenant| to.contains(tenant));
    shared.sort_unstable();
    shared.into_iter().find_map(|tenant| {
        let engine = both.and(engines::of_tenant(tenants.get(tenant)?)).first()?;
        Some((tenant, (both != Engines::ALL).then_some(engine)))
    })
}

/// What a container says of itself to which both apply, in words.
fn says<'g>(
    left: &Candidate<'g>,
    right: &Candidate<'g>,
    effort: &Effort,
) -> Result<Option<String>, TooComplex> {
    let both = [left, right].map(Candidate::conditions);
    let keys: BTreeSet<Attribute> = both.iter().flat_map(|side| side.keys()).copied().collect();
    let (mut words, mut labels) = (Vec::new(), Vec::new());
    for attribute in keys {
        let patterns = both.iter().filter_map(|side| side.get(&attribute)).flatten();
        let patterns: Vec<&Pattern> = patterns.map(|(pattern, _)| pattern).collect();
        match (attribute, attribute.witness(&patterns, effort)?) {
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

mod shadow;
#[cfg(test)]
mod tests;
