//! `gpupol check`

use std::collections::BTreeMap;

use super::args::{self, Deny};
use super::chain::{self, Files};
use super::hosts::{self, Host};
use super::trial::{self, Trial};
use super::{Exit, Failure, print};
use crate::diag::{Code, Finding, Severity, Sink};
use crate::policy::Policy;
use crate::source::Span;

pub(super) fn run(args: &args::Check) -> Result<Exit, Failure> {
    let read = chain::read(&args.policies)?;
    let mut sink = read.sink;
    let mut scope = format!("checked {}", files(&read.files));
    if let Some(policy) = &read.policy {
        // Findings about the text come before a topology that is not there: both are to be mended.
        let hosts = match hosts::all(&args.topology, policy, &read.files.sources) {
            Ok(hosts) => hosts,
            Err(failure) => {
                chain::say(sink.finish(), &read.files.sources);
                return Err(failure);
            }
        };
        let tests = on_hosts(policy, &read.files, &hosts, &mut sink);
        scope = format!("{scope}, {}", words(policy, &tests, &hosts));
    }
    let findings = sink.finish();
    let tally = Tally::of(&findings);
    chain::say(findings, &read.files.sources);
    print::say(&format!("{scope}: {}\n", tally.words()));
    let denied = args.deny.contains(&Deny::Warnings) && tally.warnings > 0;
    Ok(if tally.errors > 0 || denied { Exit::Findings } else { Exit::Clean })
}

/// `2 files`, `2 files and 3 workloads`
fn files(files: &Files) -> String {
    let policy = print::count(files.policy().count(), "file");
    match files.workloads.len() {
        0 => policy,
        workloads => format!("{policy} and {}", print::count(workloads, "workload")),
    }
}

/// How many tests ran at least once, and how many are for other topologies.
struct Tests {
    ran: usize,
    elsewhere: usize,
}

fn on_hosts(policy: &Policy, files: &Files, hosts: &[Host], sink: &mut Sink) -> Tests {
    let sound = !sink.has_errors();
    let mut found: Vec<Finding> = Vec::new();
    for host in hosts {
        let mut own = Sink::default();
        let resolution = chain::resolution(policy, host, &mut own);
        found.extend(own.finish());
        if let Some(resolution) = resolution.filter(|_| sound) {
            let trials = trial::all(policy.tests.iter(), policy, files, host, &resolution);
            found.extend(trials.into_iter().flat_map(Trial::findings));
        }
    }
    for finding in without_partial(found, hosts.len()) {
        sink.push(finding);
    }
    let ran = policy
        .tests
        .iter()
        .filter(|test| hosts.iter().any(|host| trial::applies(test, host, &files.sources)))
        .count();
    Tests { ran, elsewhere: policy.tests.len() - ran }
}

/// Hosts differ, so a gpu-set that is empty on some of several is how a fleet is; one that is empty on all is not.
fn without_partial(mut findings: Vec<Finding>, hosts: usize) -> Vec<Finding> {
    let place = |finding: &Finding| finding.labels.first().map(|label| label.span);
    let mut empty: BTreeMap<Option<Span>, usize> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.code == Code::EmptyGpuSet) {
        *empty.entry(place(finding)).or_default() += 1;
    }
    findings.retain(|finding| {
        finding.code != Code::EmptyGpuSet || empty.get(&place(finding)).is_some_and(|count| *count == hosts)
    });
    findings
}

/// `4 grants, 5 tests on builtin:campus`
fn words(policy: &Policy, tests: &Tests, hosts: &[Host]) -> String {
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let on = match names.as_slice() {
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
        _ => names.join(", "),
    };
    let elsewhere = if tests.elsewhere == 0 {
        String::new()
    } else {
        format!(" ({} for other topologies)", tests.elsewhere)
    };
    let grants = print::count(policy.grants.len(), "grant");
    format!("{grants}, {}{elsewhere} on {on}", print::count(tests.ran, "test"))
}

/// How many findings of each severity.
struct Tally {
    errors: usize,
    warnings: usize,
    notes: usize,
}

impl Tally {
    fn of(findings: &[Finding]) -> Self {
        let count = |severity| findings.iter().filter(|finding| finding.severity() == severity).count();
        Self {
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
        }
    }

    /// `no errors, 1 warning, 2 notes`
    fn words(&self) -> String {
        let mut words = vec![print::count(self.errors, "error")];
        let more = [(self.warnings, "warning"), (self.notes, "note")];
        words.extend(
            more.iter().filter(|(count, _)| *count > 0).map(|(count, noun)| print::count(*count, noun)),
        );
        words.join(", ")
    }
}
