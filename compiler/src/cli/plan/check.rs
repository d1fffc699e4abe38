//! `gpupol plan --check DIR`

use std::path::Path;

use serde::Serialize;

use crate::cli::args::{self, Format};
use crate::cli::chain::{self, Files};
use crate::cli::render::{escape, json};
use crate::cli::{Exit, Failure, hosts, input, print, store};
use crate::diag::Sink;
use crate::emit::PlanSet;
use crate::outcome::installed::{self, differences};
use crate::policy::Policy;
use crate::topology::drift::Drift;

/// The version of the JSON form; it grows by fields only.
const FORMAT_VERSION: u32 = 1;

/// What was found.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'d> {
    format_version: u32,
    topology: &'d str,
    /// The name of the plan set in force; absent: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    installed: Option<&'d str>,
    /// The name of today's.
    today: &'d str,
    same: bool,
    /// Why the one in force cannot be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<String>,
    differences: Vec<Drift>,
}

pub(super) fn run(args: &args::Plan, directory: &Path) -> Result<Exit, Failure> {
    // What policies with errors would give today is nothing that anything could be compared with.
    let Ok((policy, files, _)) = chain::sound(chain::read(&args.policies)?) else {
        return Ok(Exit::Undecided);
    };
    let host = hosts::only(&args.topology, &policy, &files.sources)?;
    let Some(today) = plans(&policy, &files, &host) else { return Ok(Exit::Undecided) };
    let name = store::name(&today);
    let found = store::in_force(directory)?;
    let mut document = Document {
        format_version: FORMAT_VERSION,
        topology: &host.name,
        installed: found.as_ref().map(|found| found.name.as_str()),
        today: &name,
        same: false,
        damaged: None,
        differences: Vec::new(),
    };
    if let Some(found) = &found {
        let files = installed::Files { index: &found.index, plans: &found.plans };
        match differences(files, &today) {
            Ok(differences) => document.differences = differences,
            Err(refusal) => document.damaged = Some(refusal.message),
        }
        document.same = document.damaged.is_none() && document.differences.is_empty();
    }
    print::data(&match args.format {
        Format::Json => json(&document),
        Format::Human => human(&document, directory),
    })?;
    Ok(if document.same { Exit::Clean } else { Exit::Findings })
}

fn plans(policy: &Policy, files: &Files, host: &hosts::Host) -> Option<PlanSet> {
    let mut sink = Sink::default();
    let plans = chain::plan_set(policy, files, host, &mut sink);
    if plans.is_none() {
        chain::say(chain::errors(sink), &files.sources);
    }
    plans
}

fn human(document: &Document<'_>, directory: &Path) -> String {
    let Document { topology, installed, differences, .. } = document;
    let Some(installed) = installed else {
        return escape(&format!("no plan set is in force in `{}`", input::name(directory))) + "\n";
    };
    let set = input::name(&directory.join(installed));
    let verdict = match (&document.damaged, differences.len()) {
        (Some(why), _) => format!("`{set}` cannot be used: {why}"),
        (None, 0) => format!("`{set}` is what the policy gives on {topology} today"),
        (None, count) => {
            let what = print::count(count, "difference");
            format!("`{set}` is not what the policy gives on {topology} today, {what}:")
        }
    };
    let lines = differences.iter().map(|drift| format!("  {}\n", escape(&drift.to_string())));
    std::iter::once(escape(&verdict) + "\n").chain(lines).collect()
}
