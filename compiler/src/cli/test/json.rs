//! The report as a JSON document.

use serde::Serialize;

use super::{Case, Report, Tried, Verdict};
use crate::diag::Finding;
use crate::outcome::assert::Ground;
use crate::outcome::coverage;

/// The version of this form; it grows by fields only.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r> {
    format_version: u32,
    topologies: Vec<Topology<'r>>,
    runs: Runs,
    coverage: Coverage<'r>,
}

#[derive(Serialize)]
struct Topology<'r> {
    name: &'r str,
    tests: Vec<Test<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Test<'r> {
    kind: &'static str,
    name: &'r str,
    file: &'r str,
    line: usize,
    outcome: &'static str,
    failures: Vec<Failure<'r>>,
    /// With `--proofs`, of an assert that holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Vec<Reach<'r>>>,
    /// Whether it rests on more than that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    proof_cut: bool,
}

#[derive(Serialize)]
struct Reach<'r> {
    tenant: &'r str,
    trusted: bool,
    grant: &'r str,
    devices: &'r [String],
    capabilities: &'r [&'static str],
}

#[derive(Serialize)]
struct Failure<'r> {
    message: &'r str,
    file: &'r str,
    line: usize,
}

#[derive(Serialize)]
struct Runs {
    passed: usize,
    failed: usize,
    skipped: usize,
}

#[derive(Serialize)]
struct Coverage<'r> {
    covered: usize,
    total: usize,
    rules: Vec<Rule<'r>>,
}

#[derive(Serialize)]
struct Rule<'r> {
    kind: &'static str,
    name: &'r str,
    file: &'r str,
    line: usize,
    covered: bool,
}

/// The document.
pub(super) fn document<'r>(report: &'r Report) -> impl Serialize + use<'r> {
    Document {
        format_version: FORMAT_VERSION,
        topologies: report.hosts.iter().map(|tried| topology(tried, report)).collect(),
        runs: Runs {
            passed: report.all(Verdict::Passed),
            failed: report.all(Verdict::Failed),
            skipped: report.all(Verdict::Skipped),
        },
        coverage: Coverage {
            covered: report.covered(),
            total: report.rules.len(),
            rules: report.rules.iter().map(|found| rule(found, report)).collect(),
        },
    }
}

fn topology<'r>(tried: &'r Tried, report: &'r Report) -> Topology<'r> {
    Topology { name: tried.host, tests: tried.cases.iter().map(|case| test(case, report)).collect() }
}

fn test<'r>(case: &'r Case, report: &'r Report) -> Test<'r> {
    let (file, line) = report.place(case.span);
    Test {
        kind: case.kind,
        name: &case.name,
        file,
        line,
        outcome: case.verdict.word(),
        failures: case.failures.iter().map(|finding| failure(finding, report)).collect(),
        proof: case.proof.as_ref().map(|shown| shown.grounds.iter().map(reach).collect()),
        proof_cut: case.proof.as_ref().is_some_and(|shown| !shown.whole),
    }
}

fn reach(ground: &Ground) -> Reach<'_> {
    let Ground { tenant, trusted, grant, devices, capabilities } = ground;
    Reach { tenant, trusted: *trusted, grant, devices, capabilities }
}

fn failure<'r>(finding: &'r Finding, report: &'r Report) -> Failure<'r> {
    let (file, line) = report.place_of(finding);
    Failure { message: &finding.message, file, line }
}

fn rule<'r>(rule: &'r coverage::Rule, report: &'r Report) -> Rule<'r> {
    let (file, line) = report.place(rule.name.span);
    Rule { kind: rule.kind, name: &rule.name.value, file, line, covered: rule.covered }
}
