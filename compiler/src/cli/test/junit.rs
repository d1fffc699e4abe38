//! The report as a JUnit XML document: a suite for each topology. It has no times, so that the same tests give the same
//! bytes.

use super::{Case, Report, Shown, Tried, Verdict};
use crate::cli::render::{self, escape};
use crate::diag::Finding;

pub(super) fn report(report: &Report) -> String {
    let suites: String = report.hosts.iter().map(|tried| suite(tried, report)).collect();
    let all = report.cases().count();
    let (failed, skipped) = (report.all(Verdict::Failed), report.all(Verdict::Skipped));
    let totals = format!("tests=\"{all}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\"");
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    format!("{head}<testsuites name=\"gpupol\" {totals}>\n{suites}</testsuites>\n")
}

fn suite(tried: &Tried, report: &Report) -> String {
    let count = |verdict| tried.cases.iter().filter(|case| case.verdict == verdict).count();
    let (all, failed, skipped) = (tried.cases.len(), count(Verdict::Failed), count(Verdict::Skipped));
    let totals = format!("tests=\"{all}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\"");
    let cases: String = tried.cases.iter().map(|one| case(one, report)).collect();
    format!("  <testsuite name=\"{}\" {totals}>\n{cases}  </testsuite>\n", xml(tried.host))
}

fn case(case: &Case, report: &Report) -> String {
    let (file, line) = report.place(case.span);
    let (name, file) = (xml(&case.title()), xml(file));
    let head = format!("    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{line}\"");
    let body: String = match case.verdict {
        Verdict::Passed => match &case.proof {
            None => return format!("{head}/>\n"),
            Some(shown) => proof(shown),
        },
        Verdict::Skipped => format!("      <skipped message=\"{}\"/>\n", case.why_skipped()),
        Verdict::Failed => case.failures.iter().map(|finding| failure(finding, report)).collect(),
    };
    format!("{head}>\n{body}    </testcase>\n")
}

fn proof(shown: &Shown) -> String {
    let lines: String = shown.lines().map(|line| xml(&line) + "\n").collect();
    format!("      <system-out>{lines}</system-out>\n")
}

fn failure(finding: &Finding, report: &Report) -> String {
    let (file, line) = report.place_of(finding);
    let (file, message) = (xml(file), xml(&finding.message));
    let kind = finding.code.slug();
    format!("      <failure type=\"{kind}\" message=\"{message}\">{file}:{line}: {message}</failure>\n")
}

/// Text of others for an attribute or an element.
fn xml(text: &str) -> String {
    render::xml(&escape(text))
}
