//! Conditions on versions: values, or bounds.

use crate::policy::{Version, Versions, diags};
use crate::source::Spanned;
use crate::syntax::cursor::Cursor;

use super::Context;

/// What a node says of a version: alternatives as arguments, or `at-least=` and `at-most=`.
pub(super) fn lower(
    cursor: &mut Cursor<'_>,
    what: &str,
    example: &str,
    context: &mut Context<'_>,
) -> Option<Versions> {
    let written = if cursor.node().arguments.is_empty() {
        Vec::new()
    } else {
        cursor.strings(what, example, context.sink)
    };
    let values: Vec<_> = written.iter().filter_map(|text| version(cursor, text, what, context)).collect();
    let at_least = bound(cursor, "at-least", what, context);
    let at_most = bound(cursor, "at-most", what, context);
    let bounds = !cursor.node().properties.is_empty();
    if cursor.node().arguments.is_empty() && !bounds {
        cursor.lacks(what, example);
    }
    if let (Some(value), Some(bound)) = (values.first(), at_least.as_ref().or(at_most.as_ref())) {
        let finding =
            diags::contradiction(bound.span, "and a bound", "either values or bounds say which versions");
        cursor.blame(context.sink, finding.and(value.span, "a value").help("remove one of the two"));
    }
    if let (Some(least), Some(most)) = (&at_least, &at_most)
        && least.value.against(&most.value).is_gt()
    {
        cursor.blame(context.sink, diags::reversed(least.span, most.span));
    }
    let plain = |version: Spanned<Version>| version.value;
    let values = values.into_iter().map(plain).collect();
    Some(Versions { values, at_least: at_least.map(plain), at_most: at_most.map(plain) })
}

fn bound(
    cursor: &mut Cursor<'_>,
    key: &'static str,
    what: &str,
    context: &mut Context<'_>,
) -> Option<Spanned<Version>> {
    let text = cursor.string_property(key, context.sink)?;
    version(cursor, &text, what, context)
}

fn version(
    cursor: &mut Cursor<'_>,
    text: &Spanned<String>,
    what: &str,
    context: &mut Context<'_>,
) -> Option<Spanned<Version>> {
    let version = Version::parse(&text.value);
    if version.is_none() {
        let message = format!("`{}` is not {what}", text.value);
        let finding = diags::bad_value(text.span, "not numbers between dots", message);
        cursor.blame(context.sink, finding.help("`\"550.54\"`, up to four numbers"));
    }
    Some(Spanned::new(version?, text.span))
}
