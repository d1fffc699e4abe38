//! What the cases say of a container's start; each failure shows all that was seen.

use std::collections::BTreeSet;

use crate::container::Container;
use crate::host::MAJOR;
use crate::oracle::{Answer, Seen};
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
    assert!(line.contains(&format!("({reason})")), "refused for another reason than {reason}: {line}");
    line
}

/// The hook's one line about a container that must not have started.
pub(crate) fn does_not_start(outcome: Outcome) -> String {
    assert!(!outcome.started && outcome.seen.is_none(), "the container ran: {outcome:?}");
    let lines: Vec<&str> = outcome.said.lines().filter(|line| line.contains("gpupol: ")).collect();
    assert_eq!(lines.len(), 1, "not one line of the hook: {}", outcome.said);
    lines.concat()
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

/// Exactly these numbers have nodes, which open, and are let through by the device rules.
pub(crate) fn assert_sees(seen: &Seen, numbers: &BTreeSet<(u32, u32)>) {
    assert_eq!(&seen.allowed(), numbers, "the device rules let other numbers through: {seen:?}");
    let others = seen.rules.values().find(|answer| matches!(answer, Answer::Other(_)));
    assert!(others.is_none(), "a node answers neither way: {seen:?}");
    let nodes: BTreeSet<(u32, u32)> = seen.nodes.values().map(|node| node.number).collect();
    assert_eq!(&nodes, numbers, "/dev has other nodes: {seen:?}");
    assert_eq!(seen.nodes.len(), numbers.len(), "/dev has a node twice: {seen:?}");
    for (path, node) in &seen.nodes {
        assert_eq!((node.mode, &node.answer), (0o666, &Answer::Allowed), "{path}: {seen:?}");
    }
    assert!(seen.others.is_empty(), "/dev has more than nodes: {seen:?}");
}
