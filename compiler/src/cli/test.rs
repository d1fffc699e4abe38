//! `gpupol test`

use std::cell::Cell;

use gpupol_plan::glob;

use super::args::{self, Report as Format};
use super::chain::{self, Files};
use super::hosts::{self, Host};
use super::progress::Progress;
use super::trial::{self, Proof, Trial};
use super::{Exit, Failure, input, print};
use crate::diag::{Finding, Sink};
use crate::outcome::assert::Grounds;
use crate::outcome::coverage::{Coverage, Rule};
use crate::policy::{Assert, Policy, Test};
use crate::source::{Sources, Span};

mod human;
mod json;
mod junit;
mod proof;

use proof::Shown;

/// What came of all tests on all hosts.
struct Report<'p> {
    sources: &'p Sources,
    hosts: Vec<Tried<'p>>,
    rules: Vec<Rule<'p>>,
}

/// What came of all tests on one host.
struct Tried<'p> {
    host: &'p str,
    cases: Vec<Case>,
}

/// One test or assert on one host.
struct Case {
    /// Its node: `test` or `assert`.
    kind: &'static str,
    /// The test's name, or what is claimed.
    name: String,
    /// Where it stands.
    span: Span,
    verdict: Verdict,
    /// What is not as it says.
    failures: Vec<Finding>,
    /// What is as it says, and perhaps by accident.
    doubts: Vec<Finding>,
    /// Of an assert that holds, what it rests on; nothing if nobody wants to see it.
    proof: Option<Shown>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    /// It is for other topologies, or the host has nothing that an assert is about.
    Skipped,
}

pub(super) fn run(args: &args::Test) -> Result<Exit, Failure> {
    let (policy, files, _) = match chain::sound(chain::read(&args.policies)?) {
        Ok(sound) => sound,
        Err(exit) => return Ok(exit),
    };
    let wanted = wanted(&policy, args)?;
    let hosts = hosts::all(&args.topology, &policy, &files.sources)?;
    let mut sink = Sink::default();
    let Some(report) = report(&wanted, &policy, &files, &hosts, &mut sink) else {
        chain::say(chain::errors(sink), &files.sources);
        return Ok(Exit::Findings);
    };
    if report.all(Verdict::Skipped) == report.cases().count() {
        return Err(Failure::usage(
            format!("no test or assert is for {}", report.names()),
            "name another topology by `--topology`",
        ));
    }
    match args.format {
        Format::Human => print::data(&human::report(&report)),
        Format::Junit => print::data(&junit::report(&report)),
        Format::Json => print::document(&json::document(&report)),
    }?;
    if args.format == Format::Human {
        chain::say(report.findings(), &files.sources);
    }
    let enough = args.threshold.is_none_or(|least| report.is_covered(least));
    if let (false, Some(least)) = (enough, args.threshold) {
        let (covered, all) = (report.covered(), report.rules.len());
        print::say(&format!("error: {covered} of {all} grants and denies covered, less than {least} %\n"));
    }
    Ok(if enough && report.all(Verdict::Failed) == 0 { Exit::Clean } else { Exit::Findings })
}

/// What is to be shown.
struct Wanted<'p> {
    tests: Vec<&'p Test>,
    asserts: Vec<&'p Assert>,
    /// Whether asserts show what they rest on.
    proofs: bool,
}

/// The tests and asserts that are asked for. Those that are not there must not pass.
fn wanted<'p>(policy: &'p Policy, args: &args::Test) -> Result<Wanted<'p>, Failure> {
    if policy.tests.is_empty() && policy.asserts.is_empty() {
        let paths: Vec<String> =
            args.policies.paths.iter().map(|path| format!("`{}`", input::name(path))).collect();
        return Err(Failure::usage(
            format!("there is no `test` and no `assert` in {}", paths.join(", ")),
            "write one: `test \"a name\" { container tenant=my-tenant { request gpus=1 }; expect gpus=1 }`",
        ));
    }
    let named = |name: &str| args.filter.as_ref().is_none_or(|filter| glob::matches(filter, name));
    let tests: Vec<&Test> = policy.tests.iter().filter(|test| named(&test.name.value)).collect();
    let asserts: Vec<&Assert> =
        policy.asserts.iter().filter(|assert| named(&assert.claim.to_string())).collect();
    if let (true, true, Some(filter)) = (tests.is_empty(), asserts.is_empty(), &args.filter) {
        return Err(Failure::usage(
            format!("no test or assert is called `{filter}`"),
            "`*` stands for anything but `/`, `**` for anything; `gpupol test` lists the names",
        ));
    }
    Ok(Wanted { tests, asserts, proofs: args.proofs })
}

/// Runs the tests; nothing if the policy has errors on a host, which are in `sink` then.
fn report<'p>(
    wanted: &Wanted<'p>,
    policy: &'p Policy,
    files: &'p Files,
    hosts: &'p [Host],
    sink: &mut Sink,
) -> Option<Report<'p>> {
    let mut coverage = Coverage::of(policy);
    let left = Cell::new(Grounds::MOST_NAMED);
    let mut tried = Vec::with_capacity(hosts.len());
    let progress = Progress::over(hosts.len());
    for host in hosts {
        progress.at(&host.name);
        let Some(resolution) = chain::resolution(policy, host, sink) else { continue };
        let mine = (wanted.tests.iter().copied(), wanted.asserts.iter().copied());
        let trials = trial::all(mine, policy, files, host, &resolution);
        coverage.add(trials.tests.iter().filter_map(|trial| trial.run.as_ref()), &resolution);
        let cases = trials.tests.into_iter().map(Case::of_test);
        let grounds = Grounds { policy, resolution: &resolution, left: &left };
        let shown = |proof: &Proof| {
            let holds = proof.verdict.decided && proof.verdict.findings.is_empty();
            (wanted.proofs && holds).then(|| Shown::of(proof.assert, &grounds))
        };
        let proven = trials.proofs.into_iter().map(|proof| Case::of_assert(shown(&proof), proof));
        let cases = cases.chain(proven).collect();
        tried.push(Tried { host: &host.name, cases });
    }
    let report = Report { sources: &files.sources, hosts: tried, rules: coverage.rules().collect() };
    (!sink.has_errors()).then_some(report)
}

impl<'p> Report<'p> {
    fn cases(&self) -> impl Iterator<Item = &Case> {
        self.hosts.iter().flat_map(|tried| &tried.cases)
    }

    /// How many runs came to this.
    fn all(&self, verdict: Verdict) -> usize {
        self.cases().filter(|case| case.verdict == verdict).count()
    }

    /// `builtin:campus, hosts/a.json`
    fn names(&self) -> String {
        let names: Vec<&str> = self.hosts.iter().map(|tried| tried.host).collect();
        names.join(", ")
    }

    fn findings(&self) -> Vec<Finding> {
        self.cases().flat_map(|case| case.failures.iter().chain(&case.doubts).cloned()).collect()
    }

    fn covered(&self) -> usize {
        self.rules.iter().filter(|rule| rule.covered).count()
    }

    /// Whether at least so many per cent of the rules are covered.
    fn is_covered(&self, least: u8) -> bool {
        self.covered() * 100 >= self.rules.len() * usize::from(least)
    }

    /// The file and the line that a finding blames.
    fn place_of(&self, finding: &Finding) -> (&'p str, usize) {
        finding.labels.first().map_or(("", 0), |label| self.place(label.span))
    }

    /// The file and the line of a place.
    fn place(&self, span: Span) -> (&'p str, usize) {
        let source = self.sources.get(span.source);
        source.map_or(("", 0), |source| (source.name.as_str(), source.position(span.start()).0))
    }
}

impl Case {
    fn of_test(trial: Trial) -> Self {
        let (name, span) = (trial.test.name.value.clone(), trial.test.name.span);
        let skipped = trial.run.is_none();
        let (failures, doubts) = trial.run.map(|run| (run.findings, run.doubts)).unwrap_or_default();
        Self { doubts, ..Self::of("test", (name, span), skipped, failures) }
    }

    /// `shown` is what it rests on, if it holds and somebody wants to see it.
    fn of_assert(shown: Option<Shown>, proof: Proof) -> Self {
        let place = (proof.assert.claim.to_string(), proof.assert.span);
        let case = Self::of("assert", place, !proof.verdict.decided, proof.verdict.findings);
        Self { proof: shown, ..case }
    }

    fn of(kind: &'static str, (name, span): (String, Span), skipped: bool, failures: Vec<Finding>) -> Self {
        let verdict = match (skipped, failures.is_empty()) {
            (_, false) => Verdict::Failed,
            (true, true) => Verdict::Skipped,
            (false, true) => Verdict::Passed,
        };
        Self { kind, name, span, verdict, failures, doubts: Vec::new(), proof: None }
    }

    /// Why it was skipped, if it was.
    fn why_skipped(&self) -> &'static str {
        if self.kind == "test" { "for other topologies" } else { "there is nothing of what it is about" }
    }

    /// What it is called among others: an assert has no name of its own.
    fn title(&self) -> String {
        if self.kind == "test" { self.name.clone() } else { format!("{} {}", self.kind, self.name) }
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}
