//! Fixes, made.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Applicability, Fix};
use crate::diag::Finding;
use crate::source::{SourceId, Sources};

/// What came of applying fixes once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The new texts of the sources that changed.
    pub texts: BTreeMap<SourceId, String>,
    /// Which findings were mended, by their indices.
    pub mended: Vec<usize>,
}

/// Bytes that go, and what comes there.
type Edits<'f> = Vec<(Range<usize>, &'f str)>;

/// Makes the fixes of findings, the unsafe ones too if `all`. Of fixes at one place the first is made; the others have
/// to be found anew in the text that it leaves.
#[must_use]
pub fn apply(findings: &[Finding], sources: &Sources, all: bool) -> Applied {
    let mut edits: BTreeMap<SourceId, Edits<'_>> = BTreeMap::new();
    let mut mended = Vec::new();
    for (at, finding) in findings.iter().enumerate() {
        let fix = finding.fix.as_ref().filter(|fix| all || fix.applicability == Applicability::Safe);
        if fix.is_some_and(|fix| take(fix, sources, &mut edits)) {
            mended.push(at);
        }
    }
    let text = |(id, edits): (SourceId, Edits<'_>)| Some((id, rewritten(&sources.get(id)?.text, edits)));
    Applied { texts: edits.into_iter().filter_map(text).collect(), mended }
}

/// Adds the edits of a fix to those that are made, if none of them is in the way.
fn take<'f>(fix: &'f Fix, sources: &Sources, taken: &mut BTreeMap<SourceId, Edits<'f>>) -> bool {
    let mut own = Vec::new();
    for edit in &fix.edits {
        let Some(source) = sources.get(edit.span.source) else { return false };
        own.push((edit.span.source, edit.of(source)));
    }
    let free = |(id, (range, _)): &(SourceId, (Range<usize>, &str))| {
        taken.get(id).is_none_or(|edits| edits.iter().all(|(other, _)| !touch(range, other)))
    };
    if own.is_empty() || !own.iter().all(free) {
        return false;
    }
    for (id, edit) in own {
        taken.entry(id).or_default().push(edit);
    }
    true
}

/// Whether two places share a byte or a border: of two edits that meet nobody can say what stands between them.
fn touch(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start <= other.end && other.start <= one.end
}

fn rewritten(text: &str, mut edits: Edits<'_>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut new = String::with_capacity(text.len());
    let mut from = 0;
    for (range, written) in edits {
        new.push_str(text.get(from..range.start).unwrap_or_default());
        new.push_str(written);
        from = range.end.max(from);
    }
    new.push_str(text.get(from..).unwrap_or_default());
    new
}
