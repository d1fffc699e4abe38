//! What the cases say of a container's start; each failure shows all that was seen.

use std::collections::BTreeSet;

use crate::docker::Outcome;
use crate::host::{GPUS, MAJOR};
use crate::installed::Installed;
pub(crate) use crate::oracle::assert_sees;
use crate::oracle::{Seen, is_for, line_of_hook};

/// The numbers of a container with the GPUs of these indices for computing.
pub(crate) fn computing(installed: &Installed, indices: &[usize]) -> BTreeSet<(u32, u32)> {
    if indices.is_empty() {
        return BTreeSet::new();
    }
    let shared = [(MAJOR, 255), (installed.host.uvm, 0), (installed.host.uvm, 1)];
    indices.iter().map(|index| (MAJOR, GPUS[*index].minor)).chain(shared).collect()
}

/// The GPUs of a container, by index, of which nothing else may be seen.
pub(crate) fn gpus(installed: &Installed, seen: &Seen) -> Vec<usize> {
    let minor = |number: &(u32, u32)| GPUS.iter().position(|gpu| (MAJOR, gpu.minor) == *number);
    let mut indices: Vec<usize> = seen.allowed().iter().filter_map(minor).collect();
    indices.sort_unstable();
    assert_sees(seen, &computing(installed, &indices));
    indices
}

/// What a container saw that must have run.
pub(crate) fn ran(outcome: Outcome) -> Seen {
    match outcome {
        Outcome { code: Some(0), seen: Some(seen), .. } => seen,
        other => panic!("the container did not run: {other:?}"),
    }
}

/// The one line of a refusal for that reason, as the engine's user reads it.
pub(crate) fn refused(outcome: &Outcome, reason: &str) -> String {
    let line = does_not_start(outcome);
    is_for(&line, reason);
    line
}

/// The one line about a container that must not have started.
pub(crate) fn does_not_start(outcome: &Outcome) -> String {
    assert!(outcome.code != Some(0) && outcome.seen.is_none(), "the container ran: {outcome:?}");
    line_of_hook(&outcome.said)
}
