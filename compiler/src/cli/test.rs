//! `gpupol test`

use gpupol_plan::glob;

use super::args::{self, Report as Format};
use super::chain::{self, Files};
use super::hosts::{self, Host};
use super::trial::{self, Trial};
use super::{Exit, Failure, input, print};
use crate::diag::{Finding, Sink};
use crate::outcome::coverage::{Coverage, Rule};
use crate::policy::{Policy, Test};
use crate::source::{Sources, Span};

mod human;
mod json;
mod junit;

/// What came of all tests on all hosts.
struct Report<'p> {
    sources: &'p Sources,
    hosts: Vec<Tried<'p>>,
    rules: Vec<Rule<'p>>,
}

/// What came of all tests on one host.
struct Tried<'p> {
    host: &'p str,
    trials: Vec<Trial<'p>>,
}

/// What came of one test on one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    /// It is for other topologies.
    Skipped,
}

pub(super) fn run(args: &args::Test) -> Result<Exit, Failure> {
    let (policy, files, _) = match chain::sound(chain::read(&args.policies)?) {
        Ok(sound) => sound,
        Err(exit) => return Ok(exit),
    };
    let tests = wanted(&policy, args)?;
    let hosts = hosts::all(&args.topology, &policy, &files.sources)?;
    let mut sink = Sink::default();
    let Some(report) = report(&tests, &policy, &files, &hosts, &mut sink) else {
        chain::say(chain::errors(sink), &files.sources);
        return Ok(Exit::Findings);
    };
    if report.all(Verdict::Skipped) == report.trials().count() {
        return Err(Failure::usage(
            format!("no test is for {}", report.names()),
            "name another topology by `--topology`",
        ));
    }
    print::data(&match args.format {
        Format::Human => human::report(&report),
        Format::Junit => junit::report(&report),
        Format::Json => json::report(&report),
    })?;
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

/// The tests that are asked for. Tests that are not there must not pass.
fn wanted<'p>(policy: &'p Policy, args: &args::Test) -> Result<Vec<&'p Test>, Failure> {
    if policy.tests.is_empty() {
        let paths: Vec<String> =
            args.policies.paths.iter().map(|path| format!("`{}`", input::name(path))).collect();
        return Err(Failure::usage(
            format!("there is no `test` in {}", paths.join(", ")),
            "write one: `test \"a name\" { container tenant=my-tenant { request gpus=1 }; expect gpus=1 }`",
        ));
    }
    let Some(filter) = &args.filter else { return Ok(policy.tests.iter().collect()) };
    let tests: Vec<&Test> =
        policy.tests.iter().filter(|test| glob::matches(filter, &test.name.value)).collect();
    if tests.is_empty() {
        return Err(Failure::usage(
            format!("no test is called `{filter}`"),
            "`*` stands for anything but `/`, `**` for anything; `gpupol test` lists the names",
        ));
    }
    Ok(tests)
}

/// Runs the tests; nothing if the policy has errors on a host, which are in `sink` then.
fn report<'p>(
    tests: &[&'p Test],
    policy: &'p Policy,
    files: &'p Files,
    hosts: &'p [Host],
    sink: &mut Sink,
) -> Option<Report<'p>> {
    let mut coverage = Coverage::of(policy);
    let mut tried = Vec::with_capacity(hosts.len());
    for host in hosts {
        let Some(resolution) = chain::resolution(policy, host, sink) else { continue };
        let trials = trial::all(tests.iter().copied(), policy, files, host, &resolution);
        for run in trials.iter().filter_map(|trial| trial.run.as_ref()) {
            coverage.add(run, &resolution);
        }
        tried.push(Tried { host: &host.name, trials });
    }
    let report = Report { sources: &files.sources, hosts: tried, rules: coverage.rules().collect() };
    (!sink.has_errors()).then_some(report)
}

impl<'p> Report<'p> {
    fn trials(&self) -> impl Iterator<Item = &Trial<'p>> {
        self.hosts.iter().flat_map(|tried| &tried.trials)
    }

    /// How many runs came to this.
    fn all(&self, verdict: Verdict) -> usize {
        self.trials().filter(|trial| trial.verdict() == verdict).count()
    }

    /// `builtin:campus, hosts/a.json`
    fn names(&self) -> String {
        let names: Vec<&str> = self.hosts.iter().map(|tried| tried.host).collect();
        names.join(", ")
    }

    fn findings(&self) -> Vec<Finding> {
        self.trials().flat_map(|trial| trial.failures().iter().cloned()).collect()
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
        source.map_or(("", 0), |source| (source.name.as_str(), source.position(span.start).0))
    }
}

impl Trial<'_> {
    fn verdict(&self) -> Verdict {
        match &self.run {
            None => Verdict::Skipped,
            Some(run) if run.findings.is_empty() => Verdict::Passed,
            Some(_) => Verdict::Failed,
        }
    }

    fn failures(&self) -> &[Finding] {
        self.run.as_ref().map(|run| run.findings.as_slice()).unwrap_or_default()
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
