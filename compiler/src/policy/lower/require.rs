//! `require`: what a host must have for a grant to give anything there.

use gpupol_plan::requirement::version::Comparator;

use crate::diag::Finding;
use crate::policy::{HostFact, Require, Version, diags};
use crate::source::Spanned;
use crate::syntax::cursor::Cursor;
use crate::syntax::{Node, Value};

use super::Context;

const EXAMPLE: &str = "require cuda=\">=12.4\" driver=\">=550\"";

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
        for factor in text.value.split(',') {
            all.extend(cursor.accept(require(fact, factor, &text), context.sink));
        }
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
