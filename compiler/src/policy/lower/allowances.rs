//! `allow-finding`: a finding that is known and accepted.

use std::collections::BTreeMap;

use crate::diag::Code;
use crate::policy::{Allowance, Date, diags};
use crate::source::Spanned;
use crate::syntax::Node;
use crate::syntax::cursor::{Cursor, suggest};

use super::Context;

/// Every allowance that could be read; one of each code.
pub(super) fn lower(nodes: &[&Node], context: &mut Context<'_>) -> BTreeMap<Code, Allowance> {
    let mut allowances: BTreeMap<Code, Allowance> = BTreeMap::new();
    for node in nodes {
        let Some(allowance) = allowance(node, context) else { continue };
        if let Some(first) = allowances.get(&allowance.code.value) {
            let again = Spanned::new(allowance.code.value.id(), allowance.code.span);
            context.sink.push(diags::twice("finding", &again, first.code.span));
        } else {
            allowances.insert(allowance.code.value, allowance);
        }
    }
    allowances
}

fn allowance(node: &Node, context: &mut Context<'_>) -> Option<Allowance> {
    let mut cursor = Cursor::open(node, context.sink);
    let written = cursor.required("its finding", "allow-finding GP4001 reason=\"…\"", context.sink);
    let code = written.and_then(|written| code(&mut cursor, &written, context));
    let reason = cursor.string_property("reason", context.sink);
    let until = cursor.string_property("until", context.sink);
    if code.as_ref().is_some_and(|code| code.value.is_security()) {
        // Blanks tell nobody why.
        if reason.as_ref().is_none_or(|reason| reason.value.trim().is_empty()) {
            cursor.lacks("a reason", "reason=\"…\"");
        }
        if until.is_none() {
            cursor.lacks("its last day", "until=\"2027-03-01\"");
        }
    }
    let until = until.and_then(|until| date(&mut cursor, &until, context));
    cursor.finish(context.sink).then_some(Allowance { span: node.span, code: code?, reason, until })
}

fn code(
    cursor: &mut Cursor<'_>,
    written: &Spanned<String>,
    context: &mut Context<'_>,
) -> Option<Spanned<Code>> {
    let Some(code) = Code::from_name(&written.value) else {
        let slugs = Code::ALL.iter().filter(|code| code.may_be_allowed()).map(|code| code.slug());
        cursor.blame(context.sink, suggest(diags::unknown_finding(written), written, slugs));
        return None;
    };
    if !code.may_be_allowed() {
        cursor.blame(context.sink, diags::not_allowable(code, written.span));
        return None;
    }
    Some(Spanned::new(code, written.span))
}

fn date(
    cursor: &mut Cursor<'_>,
    written: &Spanned<String>,
    context: &mut Context<'_>,
) -> Option<Spanned<Date>> {
    let date = Date::parse(&written.value);
    if date.is_none() {
        let message = format!("`{}` is no date", written.value);
        let finding = diags::bad_value(written.span, "not a day of the calendar", message);
        cursor.blame(context.sink, finding.help("`until=\"2027-03-01\"`"));
    }
    Some(Spanned::new(date?, written.span))
}
