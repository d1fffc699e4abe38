//! What the cases say of a container's start; each failure shows all that was seen.

use std::collections::BTreeSet;

use crate::container::Container;
use crate::host::MAJOR;
pub(crate) use crate::oracle::assert_sees;
use crate::oracle::{Seen, is_for, line_of_hook};
use crate::site::{Held, Outcome, Site};

/// Starts a container that must run, and gives what it saw.
pub(crate) fn runs(site: &Site, container: &Container) -> Seen {
    ran(site.run(container))
}

/// What a container saw that must have run.
pub(crate) fn ran(outcome: Outcome) -> Seen {
    match outcome {
        Outcome { started: true, seen: Some(seen), .. } => seen,
        other => panic!("the container did not run: {other:?}"),
    }
}

/// Starts a container that must run and stay.
pub(crate) fn holds(site: &Site, container: &Container) -> Held {
    site.hold(container).unwrap_or_else(|outcome| panic!("the container did not start: {outcome:?}"))
}

/// Starts a container that must be refused for that reason.
pub(crate) fn refused(site: &Site, container: &Container, reason: &str) -> String {
    is_refused(site.run(container), reason)
}

/// The one line of a refusal.
pub(crate) fn is_refused(outcome: Outcome, reason: &str) -> String {
    let line = does_not_start(outcome);
    is_for(&line, reason);
    line
}

/// The hook's one line about a container that must not have started.
pub(crate) fn does_not_start(outcome: Outcome) -> String {
    assert!(!outcome.started && outcome.seen.is_none(), "the container ran: {outcome:?}");
    line_of_hook(&outcome.said)
}

/// Starts a container that must run without any GPU.
pub(crate) fn runs_without_gpu(site: &Site, container: &Container) {
    let seen = runs(site, container);
    assert_sees(&seen, &BTreeSet::new());
    assert!(seen.files.is_empty(), "it has driver files: {seen:?}");
}

/// The numbers of a container with these GPUs for computing.
pub(crate) fn computing(site: &Site, minors: &[u32]) -> BTreeSet<(u32, u32)> {
    let shared = [(MAJOR, 255), (site.host.uvm, 0), (site.host.uvm, 1)];
    minors.iter().map(|minor| (MAJOR, *minor)).chain(shared).collect()
}
