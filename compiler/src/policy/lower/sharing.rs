//! `sharing`: how a device is shared.

use crate::policy::{Sharing, Timeslice};
use crate::source::Spanned;
use crate::syntax::Node;
use crate::syntax::cursor::{Cursor, one_of};

use super::{Context, quantities};

/// The forms of sharing, by their words.
pub(super) const FORMS: [(&str, Form); 3] =
    [("exclusive", Form::Exclusive), ("time-slicing", Form::TimeSlicing), ("mps", Form::Mps)];
/// The words of `timeslice=`.
pub(super) const TIMESLICES: [(&str, Timeslice); 4] = [
    ("default", Timeslice::Default),
    ("short", Timeslice::Short),
    ("medium", Timeslice::Medium),
    ("long", Timeslice::Long),
];

/// A form of sharing, without its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Exclusive,
    TimeSlicing,
    Mps,
}

impl Form {
    /// Its word.
    pub(super) fn word(self) -> &'static str {
        FORMS.iter().find(|(_, form)| *form == self).map_or("", |(word, _)| word)
    }
}

/// What one `sharing` node says.
pub(super) fn lower(node: &Node, context: &mut Context<'_>) -> Option<Spanned<Sharing>> {
    let mut cursor = Cursor::open(node, context.sink);
    let word = cursor.required("its form", "sharing exclusive", context.sink)?;
    let form = cursor.accept(one_of(&word, "form of sharing", &FORMS), context.sink)?;
    let sharing = match form {
        Form::Exclusive => Some(Sharing::Exclusive { memory: memory(&mut cursor, context) }),
        Form::TimeSlicing => time_slicing(&mut cursor, context),
        Form::Mps => mps(&mut cursor, context),
    };
    let sound = cursor.finish(context.sink);
    sharing.filter(|_| sound).map(|sharing| Spanned::new(sharing, node.span))
}

fn time_slicing(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Sharing> {
    let replicas = number(cursor, "replicas", "sharing time-slicing replicas=4", context);
    let timeslice = cursor.string_property("timeslice", context.sink);
    let timeslice =
        timeslice.and_then(|word| cursor.accept(one_of(&word, "timeslice", &TIMESLICES), context.sink));
    let memory = memory(cursor, context);
    Some(Sharing::TimeSlicing { replicas: replicas?, timeslice, memory })
}

fn mps(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<Sharing> {
    let clients = number(cursor, "clients", "sharing mps clients=4", context);
    let threads = cursor.property("threads", context.sink).map(|property| &property.value);
    let threads = threads.and_then(|value| cursor.accept(quantities::percent(value), context.sink));
    let memory = memory(cursor, context);
    Some(Sharing::Mps { clients: clients?, threads, memory })
}

fn memory(cursor: &mut Cursor<'_>, context: &mut Context<'_>) -> Option<u64> {
    let value = &cursor.property("memory", context.sink)?.value;
    cursor.accept(quantities::bytes(value), context.sink)
}

/// A number that must be there.
fn number(
    cursor: &mut Cursor<'_>,
    key: &'static str,
    example: &str,
    context: &mut Context<'_>,
) -> Option<u32> {
    if cursor.node().properties.iter().all(|property| property.key.value != key) {
        cursor.lacks(&format!("`{key}=`"), example);
    }
    cursor.number_property(key, 1, context.sink).map(|number| number.value)
}
