//! `gpupol check`

use super::args::{self, FindingFormat};
use super::chain::{self, Files};
use super::hosts::{self, Host};
use super::levels::Levels;
use super::progress::Progress;
use super::report::{Form, Found, MOST_SHOWN, Report, Tally, Used};
use super::trial::{self, Open};
use super::{Exit, Failure, input, print, today};
use crate::diag::{Code, Finding, Sink};
use crate::emit::digest;
use crate::policy::{Policy, Test, allow};
use crate::resolve::{Denials, Everywhere, Prepared};
use crate::source::{Sources, Span};

mod fix;

use fix::Fixing;

pub(super) fn run(args: &args::Check) -> Result<Exit, Failure> {
    let levels = Levels::of(args)?;
    let fixing = Fixing::of(args)?;
    let (mut checked, fixed) = match input::read(&args.policies.paths) {
        Ok(input) => fixing.run(input, |input| {
            let mut checked = check(chain::understand(input), args);
            checked.allowed += levels.apply(&mut checked.findings);
            checked
        }),
        Err(failure) => (Checked { failure: Some(failure), ..Checked::default() }, None),
    };
    let changes = fixed.as_ref().map_or(Ok(false), |fixed| fixed.finish(args))?;
    let tally = Tally::of(&checked.findings, checked.allowed, fixed.as_ref().map(|fixed| fixed.count()));
    checked.print(args, &tally)?;
    let decided = match checked.failure {
        None => true,
        // It has been said among the findings.
        Some(Failure::Located(..)) => false,
        Some(failure) => return Err(failure),
    };
    print::say(&format!("{}: {}\n", checked.scope, tally.words()));
    Ok(match tally.exit() {
        _ if !decided => Exit::Undecided,
        Exit::Clean if changes && args.diff => Exit::Findings,
        exit => exit,
    })
}

/// What a check came to.
#[derive(Default)]
struct Checked {
    findings: Vec<Finding>,
    /// How many findings the policy itself allows.
    allowed: usize,
    sources: Sources,
    /// Names of the policy files.
    files: Vec<String>,
    hosts: Vec<Used>,
    /// What was checked, in words.
    scope: String,
    /// What kept it from being decided.
    failure: Option<Failure>,
}

fn check(read: chain::Read, args: &args::Check) -> Checked {
    let chain::Read { files, policy, part, mut sink } = read;
    let mut checked = Checked { scope: format!("checked {}", words_of(&files)), ..Checked::default() };
    let whole = policy.is_some();
    let policy = policy.or(part);
    if let Some(policy) = &policy {
        match hosts::all(&args.topology, policy, &files.sources) {
            Ok(hosts) => {
                let scope = if whole {
                    let tests = on_hosts(policy, &files, &hosts, &mut sink);
                    if args.topology.is_empty() {
                        nowhere(policy, &files, &hosts).into_iter().for_each(|finding| sink.push(finding));
                    }
                    format!(", {}", words(policy, &tests, &hosts))
                } else {
                    certain_on_hosts(policy, &hosts, &mut sink);
                    format!(" on {}, without tests", names(&hosts))
                };
                checked.scope.push_str(&scope);
                checked.hosts = hosts.iter().map(used).collect();
            }
            // Findings about the text stay beside a topology that is not there: both are to be mended.
            Err(failure) => {
                if let Failure::Located(finding, _) = &failure {
                    sink.push((**finding).clone());
                }
                checked.failure = Some(failure);
            }
        }
    }
    let sound = checked.failure.is_none() && !sink.has_errors();
    checked.findings = sink.finish();
    if let Some(policy) = &policy {
        say_once(&mut checked.findings, policy);
    }
    if !sound {
        checked.findings.iter_mut().for_each(keep_definitions);
    }
    if let Some(policy) = &policy {
        let today = args.today.unwrap_or_else(today::today);
        // An allowance may be for a host that this check was told to leave out.
        let complete = sound && args.topology.is_empty();
        let remaining = allow::apply(policy, std::mem::take(&mut checked.findings), today, complete);
        (checked.findings, checked.allowed) = (remaining.findings, remaining.allowed);
    }
    checked.files = files.sources.iter().map(|(_, source)| source.name.clone()).collect();
    checked.sources = files.sources;
    checked
}

/// That a host has nothing of a gpu-set says no more where nothing can be in it, on whatever host.
fn say_once(findings: &mut Vec<Finding>, policy: &Policy) {
    let contradictions = findings.iter().filter(|finding| finding.code == Code::Contradiction);
    let places: Vec<Span> =
        contradictions.flat_map(|finding| &finding.labels).map(|label| label.span).collect();
    let impossible = |name: Span| {
        let set = policy.gpu_sets.values().find(|set| set.name.span == name);
        let mut selectors = set.into_iter().flat_map(|set| &set.selectors);
        selectors.any(|selector| places.iter().any(|place| place.is_within(selector.span)))
    };
    findings.retain(|finding| {
        let name = finding.labels.first().map(|label| label.span);
        finding.code != Code::EmptyGpuSet || !name.is_some_and(impossible)
    });
}

/// What nothing seems to use while there are errors may be what one of them is about: were it removed, the name that the
/// mended text uses would be taken for another one that is like it. So that is offered when all else is mended.
fn keep_definitions(finding: &mut Finding) {
    finding.fix.take_if(|fix| fix.is_guessed_removal());
}

fn used(host: &Host) -> Used {
    Used { name: host.name.clone(), digest: digest::bytes(host.text.as_bytes()) }
}

impl Checked {
    /// Prints the findings: for people to standard error, for programs to standard output.
    fn print(&mut self, args: &args::Check, tally: &Tally) -> Result<(), Failure> {
        let (form, usual) = match args.format {
            FindingFormat::Human => {
                let most = args.max_diagnostics.unwrap_or(MOST_SHOWN);
                chain::say_most(&self.findings, &self.sources, most);
                return Ok(());
            }
            FindingFormat::Plain => (Form::Plain, MOST_SHOWN),
            FindingFormat::Github => (Form::Github, MOST_SHOWN),
            FindingFormat::Json => (Form::Json, usize::MAX),
            FindingFormat::Sarif => (Form::Sarif, usize::MAX),
            FindingFormat::Junit => (Form::Junit, usize::MAX),
        };
        let report = Report::of(Found {
            findings: &self.findings,
            most: args.max_diagnostics.unwrap_or(usual),
            sources: &self.sources,
            tally,
            files: std::mem::take(&mut self.files),
            hosts: std::mem::take(&mut self.hosts),
            failure: self.failure.as_ref(),
        });
        report.print(form)
    }
}

/// `2 files`, `2 files and 3 workloads`
fn words_of(files: &Files) -> String {
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
    let mut open = Open::default();
    let mut denials = Denials::default();
    let mut judged = 0;
    let (prepared, mut everywhere) = (Prepared::of(policy), Everywhere::default());
    let progress = Progress::over(hosts.len());
    for host in hosts {
        progress.at(&host.name);
        let mut own = everywhere.sink();
        let resolution = chain::resolution_of(&prepared, host, &mut own);
        let own = own.finish();
        everywhere.narrow(&own);
        found.extend(own);
        if let Some(resolution) = resolution.filter(|_| sound) {
            let mine = (policy.tests.iter(), policy.asserts.iter());
            let trials = trial::all(mine, policy, files, host, &resolution);
            open.narrow(&trials.proofs);
            denials.add(&resolution);
            judged += 1;
            found.extend(trials.findings());
        }
    }
    if judged == hosts.len() {
        found.extend(open.findings(&names(hosts)));
        found.extend(denials.findings(&names(hosts)));
    }
    everywhere.retain(&mut found);
    found.into_iter().for_each(|finding| sink.push(finding));
    let ran = policy
        .tests
        .iter()
        .filter(|test| hosts.iter().any(|host| trial::applies(test, host, &files.sources)))
        .count();
    Tests { ran, elsewhere: policy.tests.len() - ran }
}

/// Tests that none of the policy's own hosts is meant by.
fn nowhere(policy: &Policy, files: &Files, hosts: &[Host]) -> Vec<Finding> {
    let runs = |test: &Test| hosts.iter().any(|host| trial::applies(test, host, &files.sources));
    let nowhere = policy.tests.iter().filter(|test| !runs(test));
    let finding = |test: &Test| {
        let message =
            format!("test `{}` is for no topology of this policy, so it never runs", test.name.value);
        let place = test.on.first().map_or(test.name.span, |on| on.span);
        Finding::at(Code::TestNowhere, place, "none of them", message)
            .help(format!("the policy is checked against {}", names(hosts)))
    };
    nowhere.map(finding).collect()
}

/// What a definition does by itself on a host, whatever else is defined.
const CERTAIN: [Code; 11] = [
    Code::EmptyGpuSet,
    Code::TooFewDevices,
    Code::MemoryNearMiss,
    Code::TooManySlots,
    Code::UnknownFact,
    Code::RequirementUnmet,
    Code::FeatureLacking,
    Code::NoSuchProfile,
    Code::LayoutImpossible,
    Code::LayoutUnproved,
    Code::GpuOutOfService,
];

/// The findings on hosts that what could not be read cannot change.
fn certain_on_hosts(part: &Policy, hosts: &[Host], sink: &mut Sink) {
    let mut found = Vec::new();
    let (prepared, mut everywhere) = (Prepared::of(part), Everywhere::default());
    for host in hosts {
        let mut own = everywhere.sink();
        chain::resolution_of(&prepared, host, &mut own);
        let own = own.finish();
        everywhere.narrow(&own);
        found.extend(own.into_iter().filter(|finding| CERTAIN.contains(&finding.code)));
    }
    everywhere.retain(&mut found);
    found.into_iter().for_each(|finding| sink.push(finding));
}

/// `hosts/a.json, hosts/b.json, hosts/c.json and 9 more`
fn names(hosts: &[Host]) -> String {
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    match names.as_slice() {
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
        _ => names.join(", "),
    }
}

/// `4 grants, 5 tests, 1 assert on builtin:campus`
fn words(policy: &Policy, tests: &Tests, hosts: &[Host]) -> String {
    let elsewhere = if tests.elsewhere == 0 {
        String::new()
    } else {
        format!(" ({} for other topologies)", tests.elsewhere)
    };
    let grants = print::count(policy.grants.len(), "grant");
    let asserts = match policy.asserts.len() {
        0 => String::new(),
        count => format!(", {}", print::count(count, "assert")),
    };
    format!("{grants}, {}{elsewhere}{asserts} on {}", print::count(tests.ran, "test"), names(hosts))
}
