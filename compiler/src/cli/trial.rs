//! A policy's tests on one host.

use super::chain::{self, Files};
use super::hosts::{self, Host};
use crate::diag::Finding;
use crate::outcome::test::{self, Run};
use crate::policy::{Policy, Test};
use crate::resolve::Resolution;
use crate::source::Sources;

/// One test on one host.
pub(super) struct Trial<'p> {
    /// The test.
    pub(super) test: &'p Test,
    /// What came of it; absent: it is for other topologies.
    pub(super) run: Option<Run>,
}

impl Trial<'_> {
    /// The expectations that were not met.
    pub(super) fn findings(self) -> Vec<Finding> {
        self.run.map(|run| run.findings).unwrap_or_default()
    }
}

/// Runs some tests of a policy on one host.
pub(super) fn all<'p>(
    tests: impl Iterator<Item = &'p Test>,
    policy: &'p Policy,
    files: &Files,
    host: &Host,
    resolution: &Resolution,
) -> Vec<Trial<'p>> {
    let tests: Vec<(&'p Test, bool)> =
        tests.map(|test| (test, applies(test, host, &files.sources))).collect();
    let nothing_to_run = tests.iter().all(|(_, applies)| !applies);
    if nothing_to_run {
        return tests.into_iter().map(|(test, _)| Trial { test, run: None }).collect();
    }
    let plans = chain::emitted(policy, files, host, resolution);
    let reader = chain::reader(&plans);
    let run = |(test, applies): (&'p Test, bool)| Trial {
        test,
        run: applies.then(|| test::run(test, policy, &reader, &host.name)),
    };
    tests.into_iter().map(run).collect()
}

/// Whether a test is for this host.
pub(super) fn applies(test: &Test, host: &Host, sources: &Sources) -> bool {
    test.on.is_empty() || test.on.iter().any(|word| hosts::is_meant(word, host, sources))
}
