//! `junit`: a suite for each policy file, a case for each finding in it, and one that passes where there is none.
//! Only errors are failures; what else there is stands in the output of its case.

use std::collections::BTreeMap;

use super::{Item, Report};
use crate::cli::render::xml;
use crate::diag::Severity;

/// The suite of what stands in no file.
const WHOLE: &str = "policy";

pub(super) fn text(report: &Report) -> String {
    let all: Vec<Item> = report.items().collect();
    let mut items: BTreeMap<Option<&str>, Vec<&Item>> = BTreeMap::new();
    for item in &all {
        items.entry(item.places.first().map(|place| place.file.as_str())).or_default().push(item);
    }
    let mut suites = Vec::new();
    for file in &report.files {
        suites.push(Suite::of(file, &items.remove(&Some(file.as_str())).unwrap_or_default()));
    }
    // What is left stands in no file.
    suites.extend(items.values().map(|items| Suite::of(WHOLE, items)));
    if let Some(failure) = &report.failure {
        let said = [failure.message.clone()].into_iter().chain(failure.help.clone()).collect::<Vec<_>>();
        let case = format!(
            "<testcase name=\"decided\" classname=\"{WHOLE}\"><error message=\"{}\">{}</error></testcase>",
            xml(&failure.message),
            xml(&said.join("\n"))
        );
        suites.push(Suite { name: WHOLE.to_owned(), cases: vec![case], failures: 0, errors: 1 });
    }
    document(&suites)
}

struct Suite {
    name: String,
    cases: Vec<String>,
    failures: usize,
    errors: usize,
}

impl Suite {
    fn of(name: &str, items: &[&Item]) -> Self {
        let failures = items.iter().filter(|item| item.severity == Severity::Error).count();
        let mut cases: Vec<String> = items.iter().map(|item| case(name, item)).collect();
        if cases.is_empty() {
            cases.push(format!("<testcase name=\"no findings\" classname=\"{}\"/>", xml(name)));
        }
        Self { name: name.to_owned(), cases, failures, errors: 0 }
    }
}

fn case(file: &str, item: &Item) -> String {
    let place = item.places.first();
    let place = place.map(|place| format!(" at {}:{}", place.start.line, place.start.column));
    let name = format!("{} {}{}", item.code.id(), item.code.slug(), place.unwrap_or_default());
    let said = xml(&item.words().join("\n"));
    let inside = if item.severity == Severity::Error {
        let (message, code) = (xml(&item.message), item.code.id());
        format!("<failure type=\"{code}\" message=\"{message}\">{said}</failure>")
    } else {
        format!("<system-out>{}: {said}</system-out>", item.severity.word())
    };
    format!("<testcase name=\"{}\" classname=\"{}\">{inside}</testcase>", xml(&name), xml(file))
}

fn document(suites: &[Suite]) -> String {
    let sum = |count: fn(&Suite) -> usize| suites.iter().map(count).sum::<usize>();
    let counts = |tests: usize, failures: usize, errors: usize| {
        format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"")
    };
    let all = counts(sum(|suite| suite.cases.len()), sum(|suite| suite.failures), sum(|suite| suite.errors));
    let mut text =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"gpupol check\" {all}>\n");
    for suite in suites {
        let own = counts(suite.cases.len(), suite.failures, suite.errors);
        text.push_str(&format!("  <testsuite name=\"{}\" {own}>\n", xml(&suite.name)));
        suite.cases.iter().for_each(|case| text.push_str(&format!("    {case}\n")));
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}
