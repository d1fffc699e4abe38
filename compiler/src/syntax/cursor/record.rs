//! What cursors were asked for, so that a test can compare a description of the language with its readers.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::Cursor;
use crate::source::Span;

/// What the reader of one node would take.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The node.
    pub(crate) span: Span,
    pub(crate) properties: BTreeSet<&'static str>,
    pub(crate) free_properties: bool,
    pub(crate) children: BTreeSet<&'static str>,
}

thread_local! {
    static RECORDS: RefCell<Vec<Record>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn add(cursor: &Cursor<'_>) {
    let record = Record {
        span: cursor.node.span,
        properties: cursor.properties.iter().copied().collect(),
        free_properties: cursor.free_properties,
        children: cursor.children.iter().copied().collect(),
    };
    RECORDS.with_borrow_mut(|records| records.push(record));
}

/// The records of this thread since this was asked last.
pub(crate) fn take() -> Vec<Record> {
    RECORDS.take()
}
