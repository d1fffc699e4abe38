//! gpu-sets that no device is in, wherever it is: selectors that contradict each other.
//!
//! Each selector is about one attribute of a device. Those of one attribute are compared exactly, alternatives of `any-of` one after the
//! other.

use std::collections::{BTreeMap, BTreeSet};

use super::dfa::TooComplex;
use super::possible::Possible;
use super::search::{Effort, Pattern, witness};
use crate::diag::Sink;
use crate::policy::{Glob, GpuSet, Selector, Version, Versions, diags};
use crate::source::Spanned;

/// So many choices among the alternatives of one gpu-set are looked at.
const MOST_CHOICES: usize = 1024;

/// So many choices take about as long to write down as a state to visit.
const CHOICES_A_STATE: usize = 16;

/// One selector of each alternative that is chosen.
type Choice<'s> = Vec<&'s Spanned<Selector>>;

/// Two selectors that nothing satisfies together.
type Pair<'s> = [&'s Spanned<Selector>; 2];

/// Reports each gpu-set that nothing can be in.
pub(in crate::policy) fn report(sets: &BTreeMap<String, GpuSet>, sink: &mut Sink) {
    let effort = Effort::default();
    for set in sets.values() {
        match never(set, &effort) {
            Ok(Some([first, last])) => sink.push(diags::selectors_never(set, first.span, last.span)),
            Ok(None) => {}
            Err(TooComplex) => sink.push(diags::selectors_unknown(set)),
        }
    }
}

/// What contradicts itself in the first of its choices, if something does in each.
fn never<'s>(set: &'s GpuSet, effort: &Effort) -> Result<Option<Pair<'s>>, TooComplex> {
    let mut first = None;
    for choice in choices(&set.selectors, effort)? {
        match contradiction(&choice, effort)? {
            Some(pair) => first = first.or(Some(pair)),
            None => return Ok(None),
        }
    }
    Ok(first)
}

/// Every way to choose one alternative of each `any-of`.
fn choices<'s>(selectors: &'s [Spanned<Selector>], effort: &Effort) -> Result<Vec<Choice<'s>>, TooComplex> {
    let mut all: Vec<Choice<'_>> = vec![Vec::new()];
    for selector in selectors {
        let ways = match &selector.value {
            Selector::AnyOf(some) => {
                let each = some.iter().map(|one| choices(std::slice::from_ref(one), effort));
                each.collect::<Result<Vec<_>, _>>()?.concat()
            }
            _ => vec![vec![selector]],
        };
        if all.len().saturating_mul(ways.len()) > MOST_CHOICES {
            return Err(TooComplex);
        }
        effort.spend(all.len() * ways.len() / CHOICES_A_STATE)?;
        all = all.iter().flat_map(|one| ways.iter().map(|way| [one.as_slice(), way].concat())).collect();
    }
    Ok(all)
}

/// The first selector that leaves nothing of what those before it chose by the same attribute, and the first of these.
fn contradiction<'s>(choice: &Choice<'s>, effort: &Effort) -> Result<Option<Pair<'s>>, TooComplex> {
    effort.spend(1)?;
    for (at, last) in choice.iter().enumerate() {
        let kind = std::mem::discriminant(&last.value);
        let same = choice.iter().take(at + 1).filter(|other| std::mem::discriminant(&other.value) == kind);
        let same: Choice<'s> = same.copied().collect();
        if same.len() > 1 && !are_possible(&same, effort)? {
            return Ok(same.first().map(|first| [*first, *last]));
        }
    }
    Ok(None)
}

/// Whether something satisfies selectors of one attribute together.
fn are_possible(same: &Choice<'_>, effort: &Effort) -> Result<bool, TooComplex> {
    let mut globs: Vec<&[Glob]> = Vec::new();
    let mut words: Vec<BTreeSet<String>> = Vec::new();
    let mut bounds: Vec<(u64, u64)> = Vec::new();
    let mut versions: Vec<&Versions> = Vec::new();
    for selector in same {
        match &selector.value {
            Selector::Model(all) | Selector::Host(all) => globs.push(all),
            Selector::Vendor(all)
            | Selector::Brand(all)
            | Selector::Architecture(all)
            | Selector::Pci(all) => {
                words.push(all.iter().map(|word| word.to_ascii_lowercase()).collect());
            }
            // A MIG device is named by its own UUID or by that of its GPU, so only two of GPUs say nothing together.
            Selector::Uuid(all) if all.iter().all(|uuid| is_of_gpu(uuid)) => {
                words.push(all.iter().map(|uuid| uuid.to_ascii_lowercase()).collect());
            }
            Selector::Memory { at_least, at_most } => {
                bounds.push((at_least.unwrap_or(0), at_most.unwrap_or(u64::MAX)));
            }
            Selector::ComputeCapability(all) | Selector::Driver(all) => versions.push(all),
            // A GPU may be near several nodes.
            Selector::Uuid(_) | Selector::Numa(_) | Selector::AnyOf(_) => {}
        }
    }
    let patterns: Vec<Pattern> = globs.into_iter().map(Pattern::new).collect();
    let common = words.into_iter().reduce(|one, other| one.intersection(&other).cloned().collect());
    let least = bounds.iter().map(|(least, _)| *least).max();
    let most = bounds.iter().map(|(_, most)| *most).min();
    Ok((patterns.is_empty()
        || witness(&patterns.iter().collect::<Vec<_>>(), Possible::Any, effort)?.is_some())
        && common.is_none_or(|common| !common.is_empty())
        && least.zip(most).is_none_or(|(least, most)| least <= most)
        && is_some_version(&versions))
}

fn is_of_gpu(uuid: &str) -> bool {
    uuid.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("GPU-"))
}

/// Whether one version fulfils all: each is of ranges, and what ranges have in common begins where one of them does.
fn is_some_version(all: &[&Versions]) -> bool {
    let zero = Version::parse("0");
    let mut begins = all.iter().flat_map(|one| one.named()).chain(zero.as_ref());
    all.is_empty() || begins.any(|version| all.iter().all(|one| one.has(version)))
}
