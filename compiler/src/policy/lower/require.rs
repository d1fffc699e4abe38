//! `require`: what a host must have for a grant to give anything there.

use gpupol_plan::requirement::version::{Comparator, compare};

use crate::diag::Finding;
use crate::policy::{HostFact, Require, Version, diags};
use crate::source::Spanned;
use crate::syntax::cursor::Cursor;
use crate::syntax::{Node, Value};

use super::Context;

const EXAMPLE: &str = "require cuda=\">=12.4\" driver=\">=550\"";

/// How many conditions one fact may have: all of them are compared with each other.
const MOST: usize = 8;

/// What one `require` node says.
pub(super) fn lower(node: &Node, context: &mut Context<'_>) -> Option<Spanned<Vec<Require>>> {
    let mut cursor = Cursor::open(node, context.sink);
    if node.properties.is_empty() {
        cursor.lacks("`cuda=` or `driver=`", EXAMPLE);
    }
    let mut all = Vec::new();
    for fact in HostFact::ALL {
        if let Some(number) = number(&cursor, fact) {
            let finding = diags::number_without_comparator(fact.name(), number);
            cursor.take_property(fact.name());
            cursor.blame(context.sink, finding);
            continue;
        }
        let Some(text) = cursor.string_property(fact.name(), context.sink) else { continue };
        if text.value.split(',').nth(MOST).is_some() {
            cursor.blame(context.sink, diags::too_many_conditions(fact.name(), MOST, text.span));
            continue;
        }
        let factors = text.value.split(',').map(|factor| require(fact, factor, &text));
        let read: Vec<Require> = factors.filter_map(|factor| cursor.accept(factor, context.sink)).collect();
        if let Some(these) = contradictory(fact, &read) {
            cursor.blame(context.sink, diags::never_met(fact, &these, text.span));
        }
        all.extend(read);
    }
    cursor.finish(context.sink).then_some(Spanned::new(all, node.span))
}

/// The number that stands where a comparator and a version belong.
fn number<'n>(cursor: &Cursor<'n>, fact: HostFact) -> Option<&'n Spanned<Value>> {
    let written = cursor.node().properties.iter().find(|property| property.key.value == fact.name())?;
    matches!(written.value.value, Value::Integer(_) | Value::Float(_)).then_some(&written.value)
}

/// `>=12.4`
fn require(fact: HostFact, factor: &str, text: &Spanned<String>) -> Result<Require, Finding> {
    let version = factor.trim_start_matches(Comparator::CHARACTERS);
    let comparator = factor.strip_suffix(version).and_then(Comparator::parse);
    match (comparator, Version::parse(version)) {
        (Some(comparator), Some(_)) => Ok(Require { fact, comparator, version: version.to_owned() }),
        (None, Some(_)) => Err(diags::no_comparator(fact.name(), factor, version, text.span)),
        (_, None) => Err(diags::no_requirement(fact.name(), factor, text.span)),
    }
}

/// The fewest of some conditions on one fact that no version fulfils, if there are any.
fn contradictory(fact: HostFact, all: &[Require]) -> Option<Vec<String>> {
    let unmet = |these: &Vec<&Require>| !candidates(fact, these).iter().any(|version| meets(version, these));
    let together: Vec<&Require> = all.iter().collect();
    if !unmet(&together) {
        return None;
    }
    let pairs =
        all.iter().enumerate().flat_map(|(at, one)| all.iter().skip(at + 1).map(move |two| vec![one, two]));
    let mut few = all.iter().map(|one| vec![one]).chain(pairs).chain([together]);
    let these = few.find(unmet)?;
    Some(these.iter().map(|one| format!("{}{}", one.comparator.text(), one.version)).collect())
}

/// Versions of which one fulfils the conditions if any does: each that is named, and the next one.
fn candidates(fact: HostFact, these: &[&Require]) -> Vec<String> {
    let named = these.iter().map(|one| one.version.as_str()).chain(["0"]);
    match fact {
        // A driver says it in two numbers.
        HostFact::Cuda => named
            .flat_map(|version| {
                let mut numbers = version.split('.').filter_map(|number| number.parse::<u64>().ok());
                let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
                [format!("{major}.{minor}"), format!("{major}.{}", minor + 1)]
            })
            .collect(),
        // Between two that differ there is always one with more numbers.
        HostFact::Driver => {
            named.flat_map(|version| [version.to_owned(), format!("{version}.0.0.0.0.1")]).collect()
        }
    }
}

fn meets(version: &str, these: &[&Require]) -> bool {
    these.iter().all(|one| compare(version, &one.version).is_some_and(|order| one.comparator.holds(order)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Source, Sources, Span};

    fn unmet(fact: HostFact, text: &str) -> Option<String> {
        let source = Sources::new(vec![Source::new("p.kdl", "")]).iter().next().unwrap().0;
        let text = Spanned::new(text.to_owned(), Span::new(source, 0..0));
        let all: Vec<Require> =
            text.value.split(',').map(|factor| require(fact, factor, &text).unwrap()).collect();
        contradictory(fact, &all).map(|these| these.join(","))
    }

    #[test]
    fn what_no_version_fulfils_is_found() {
        for (text, cuda, driver) in [
            (">=12.4,<12.0", Some(">=12.4,<12.0"), Some(">=12.4,<12.0")),
            (">=12,!=12.4,<13,=11.8", Some(">=12,=11.8"), Some(">=12,=11.8")),
            (">12.4,<12.4", Some(">12.4,<12.4"), Some(">12.4,<12.4")),
            (">=12.4,<=12.4", None, None),
            (">=12.4,<=12.4,!=12.4", Some(">=12.4,<=12.4,!=12.4"), Some(">=12.4,<=12.4,!=12.4")),
            ("=12.4,=12.4.0", None, None),
            ("=12.4,!=12.4.0", Some("=12.4,!=12.4.0"), Some("=12.4,!=12.4.0")),
            ("=12.4,=12.5", Some("=12.4,=12.5"), Some("=12.4,=12.5")),
            ("<0", Some("<0"), Some("<0")),
            ("<=0", None, None),
            ("!=0", None, None),
            (">12.4,<12.5", Some(">12.4,<12.5"), None),
            (">12.4,!=12.5,<12.6", Some(">12.4,!=12.5,<12.6"), None),
            (">12.4,!=12.5,<12.7", None, None),
            ("=12.4.1", Some("=12.4.1"), None),
            (">=550,<580,!=565", None, None),
            ("<550", None, None),
        ] {
            assert_eq!(unmet(HostFact::Cuda, text).as_deref(), cuda, "cuda {text}");
            assert_eq!(unmet(HostFact::Driver, text).as_deref(), driver, "driver {text}");
        }
    }
}
