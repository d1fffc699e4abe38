//! The report as a JUnit XML document: a suite for each topology. It has no times, so that the same tests give the same
//! bytes.

use super::{Report, Tried, Verdict};
use crate::cli::render::escape;
use crate::cli::trial::Trial;
use crate::diag::Finding;

pub(super) fn report(report: &Report) -> String {
    let suites: String = report.hosts.iter().map(|tried| suite(tried, report)).collect();
    let all = report.trials().count();
    let (failed, skipped) = (report.all(Verdict::Failed), report.all(Verdict::Skipped));
    let totals = format!("tests=\"{all}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\"");
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    format!("{head}<testsuites name=\"gpupol\" {totals}>\n{suites}</testsuites>\n")
}

fn suite(tried: &Tried, report: &Report) -> String {
    let count = |verdict| tried.trials.iter().filter(|trial| trial.verdict() == verdict).count();
    let (all, failed, skipped) = (tried.trials.len(), count(Verdict::Failed), count(Verdict::Skipped));
    let totals = format!("tests=\"{all}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\"");
    let cases: String = tried.trials.iter().map(|trial| case(trial, report)).collect();
    format!("  <testsuite name=\"{}\" {totals}>\n{cases}  </testsuite>\n", xml(tried.host))
}

fn case(trial: &Trial, report: &Report) -> String {
    let (file, line) = report.place(trial.test.name.span);
    let (name, file) = (xml(&trial.test.name.value), xml(file));
    let head = format!("    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{line}\"");
    let body: String = match trial.verdict() {
        Verdict::Passed => return format!("{head}/>\n"),
        Verdict::Skipped => "      <skipped message=\"for other topologies\"/>\n".to_owned(),
        Verdict::Failed => trial.failures().iter().map(|finding| failure(finding, report)).collect(),
    };
    format!("{head}>\n{body}    </testcase>\n")
}

fn failure(finding: &Finding, report: &Report) -> String {
    let (file, line) = report.place_of(finding);
    let (file, message) = (xml(file), xml(&finding.message));
    let kind = finding.code.slug();
    format!("      <failure type=\"{kind}\" message=\"{message}\">{file}:{line}: {message}</failure>\n")
}

/// Text that XML can carry: what it reserves as entities, what it has no form for as `\u{fffe}`.
fn xml(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in escape(text).chars() {
        match character {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '"' => plain.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => plain.extend(character.escape_unicode()),
            _ => plain.push(character),
        }
    }
    plain
}
