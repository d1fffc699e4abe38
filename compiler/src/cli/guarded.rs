//! What the guard makes of a container's own configuration, in the forms of `plan` and `why`.

use gpupol_plan::guard::{Answer, describe};
use serde::Serialize;

use crate::outcome::Guarded;

/// The same in JSON: the answer is `pass` for who is trusted, `report`, `contain` or `refuse`.
#[derive(Serialize)]
pub(super) struct Document<'g> {
    answer: &'static str,
    rows: Vec<Row<'g>>,
}

#[derive(Serialize)]
struct Row<'g> {
    row: &'static str,
    what: &'g str,
}

/// In words; nothing if it goes around nothing, or is refused, which its refusal says.
pub(super) fn words(guarded: &Guarded) -> Option<String> {
    let then = match guarded.answer {
        Answer::Refuse(_) => return None,
        _ if guarded.trips.is_empty() => return None,
        Answer::Pass => "trusted, passes",
        Answer::Report => "reported, nothing is prevented",
        Answer::Contain => "contained, every GPU number outside of its plan is denied",
    };
    Some(format!("guard: {then}: {}", describe(guarded.trips.iter())))
}

/// Nothing if it goes around nothing.
pub(super) fn document(guarded: &Guarded) -> Option<Document<'_>> {
    let rows: Vec<Row> =
        guarded.trips.iter().map(|trip| Row { row: trip.row.slug, what: &trip.what }).collect();
    (!rows.is_empty()).then(|| Document { answer: guarded.answer.word(), rows })
}
