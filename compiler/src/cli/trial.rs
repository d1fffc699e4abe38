//! A policy's tests and asserts on one host.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::{self, Files};
use super::hosts::{self, Host};
use crate::diag::{Finding, Sink};
use crate::emit::PlanSet;
use crate::outcome::assert::{self, Judge, Verdict};
use crate::outcome::test::{self, Run};
use crate::policy::{Assert, Policy, Test};
use crate::resolve::Resolution;
use crate::source::{Sources, Span};

/// One test on one host.
pub(super) struct Trial<'p> {
    /// The test.
    pub(super) test: &'p Test,
    /// What came of it; absent: it is for other topologies.
    pub(super) run: Option<Run>,
}

impl Trial<'_> {
    /// The expectations that were not met, and those that perhaps were by accident.
    pub(super) fn findings(self) -> impl Iterator<Item = Finding> {
        self.run.into_iter().flat_map(|run| run.findings.into_iter().chain(run.doubts))
    }
}

/// One assert on one host.
pub(super) struct Proof<'p> {
    /// The assert.
    pub(super) assert: &'p Assert,
    /// What came of it.
    pub(super) verdict: Verdict,
}

impl Proof<'_> {
    /// The ways in which it does not hold, and whom it leaves out.
    pub(super) fn findings(self) -> impl Iterator<Item = Finding> {
        self.verdict.findings.into_iter().chain(self.verdict.notes)
    }
}

/// What a policy says of itself, on one host.
pub(super) struct Trials<'p> {
    /// Its tests.
    pub(super) tests: Vec<Trial<'p>>,
    /// Its asserts.
    pub(super) proofs: Vec<Proof<'p>>,
}

impl Trials<'_> {
    /// Everything that is not as it says.
    pub(super) fn findings(self) -> Vec<Finding> {
        let failed = self.proofs.into_iter().flat_map(Proof::findings);
        self.tests.into_iter().flat_map(Trial::findings).chain(failed).collect()
    }
}

/// Runs some tests of a policy on one host, and judges some asserts.
pub(super) fn all<'p>(
    (tests, asserts): (impl Iterator<Item = &'p Test>, impl Iterator<Item = &'p Assert>),
    policy: &'p Policy,
    files: &Files,
    host: &Host,
    resolution: &Resolution,
) -> Trials<'p> {
    let tests: Vec<(&'p Test, bool)> =
        tests.map(|test| (test, applies(test, host, &files.sources))).collect();
    let mut asserts = asserts.peekable();
    if asserts.peek().is_none() && !tests.iter().any(|(_, applies)| *applies) {
        // Plans of thousands of grants are not written for nobody.
        let tests = tests.into_iter().map(|(test, _)| Trial { test, run: None }).collect();
        return Trials { tests, proofs: Vec::new() };
    }
    let plans = chain::emitted(policy, files, host, resolution);
    let reader = chain::reader(&plans);
    let trial = |(test, applies): (&'p Test, bool)| Trial {
        test,
        run: applies.then(|| test::run(test, policy, &reader, &host.name)),
    };
    let judge = Judge::new(policy, resolution, &reader, &host.name);
    let proof = |assert| Proof { assert, verdict: judge.judge(assert) };
    Trials { tests: tests.into_iter().map(trial).collect(), proofs: asserts.map(proof).collect() }
}

/// A policy on a host, on which it has no errors and does what it asserts.
pub(super) struct Proven<'a> {
    /// What it gives there.
    pub(super) resolution: Resolution<'a>,
    /// The plan set of that.
    pub(super) plans: PlanSet,
}

/// A policy on a host, for whatever is put in force or called right. Nothing if it has errors there or gives what it asserts to give
/// nobody; what is wrong is in `sink` then.
pub(super) fn proven<'a>(
    policy: &'a Policy,
    files: &Files,
    host: &'a Host,
    sink: &mut Sink,
) -> Option<Proven<'a>> {
    let resolution = chain::resolution(policy, host, sink)?;
    let plans = chain::emitted(policy, files, host, &resolution);
    let reader = chain::reader(&plans);
    let judge = Judge::new(policy, &resolution, &reader, &host.name);
    for assert in &policy.asserts {
        let proof = Proof { assert, verdict: judge.judge(assert) };
        proof.findings().for_each(|finding| sink.push(finding));
    }
    (!sink.has_errors()).then_some(Proven { resolution, plans })
}

/// The asserts that none of the hosts could decide, by what of them has a device on none.
#[derive(Default)]
pub(super) struct Open<'p>(BTreeMap<Span, (&'p Assert, BTreeSet<String>)>);

impl<'p> Open<'p> {
    /// Takes one host into account.
    pub(super) fn narrow(&mut self, proofs: &[Proof<'p>]) {
        for Proof { assert, verdict } in proofs {
            let (_, open) = self.0.entry(assert.span).or_insert_with(|| (assert, verdict.absent.clone()));
            open.retain(|name| verdict.absent.contains(name));
        }
    }

    /// A finding for each; `hosts` is where they were judged.
    pub(super) fn findings(&self, hosts: &str) -> Vec<Finding> {
        let open = self.0.values().filter(|(_, open)| !open.is_empty());
        open.map(|(assert, open)| assert::undecided(assert, open, hosts)).collect()
    }
}

/// Whether a test is for this host.
pub(super) fn applies(test: &Test, host: &Host, sources: &Sources) -> bool {
    test.on.is_empty() || test.on.iter().any(|word| hosts::is_meant(word, host, sources))
}
