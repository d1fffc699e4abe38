//! The report as text.

use super::{Report, Shown, Verdict};
use crate::cli::print;
use crate::cli::render::escape;

pub(super) fn report(report: &Report) -> String {
    let mut text = String::new();
    for tried in &report.hosts {
        text.push_str(&format!("on {}\n", escape(tried.host)));
        for case in &tried.cases {
            text.push_str(&format!("  {:7}  {}\n", case.verdict.word(), escape(&case.title())));
            for line in case.proof.iter().flat_map(Shown::lines) {
                text.push_str(&format!("             {}\n", escape(&line)));
            }
        }
    }
    text.push_str(&totals(report));
    text.push_str(&coverage(report));
    text
}

/// `4 runs passed, 1 run failed`
fn totals(report: &Report) -> String {
    let verdicts = [Verdict::Passed, Verdict::Failed, Verdict::Skipped];
    let counts = verdicts.map(|verdict| (report.all(verdict), verdict.word()));
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> =
        counts.map(|(count, word)| format!("{} {word}", print::count(*count, "run"))).collect();
    format!("{}\n", words.join(", "))
}

fn coverage(report: &Report) -> String {
    let total = report.rules.len();
    if total == 0 {
        return "no grants and denies to cover\n".to_owned();
    }
    let covered = report.covered();
    let mut text = format!("{covered} of {total} grants and denies covered ({} %)\n", covered * 100 / total);
    for rule in report.rules.iter().filter(|rule| !rule.covered) {
        let (file, line) = report.place(rule.name.span);
        let name = &rule.name.value;
        text.push_str(&format!("  not covered: {} {name} ({}:{line})\n", rule.kind, escape(file)));
    }
    text
}
