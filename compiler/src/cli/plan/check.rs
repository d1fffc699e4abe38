//! `gpupol plan --check DIR`

use std::path::Path;

use serde::Serialize;

use crate::cli::args::{self, Format};
use crate::cli::chain;
use crate::cli::render::{escape, json};
use crate::cli::store::found::{Files, InForce, in_force};
use crate::cli::{Exit, Failure, hosts, input, print, store, trial};
use crate::diag::Sink;
use crate::emit::PlanSet;
use crate::outcome::installed::{self, Differences, differences};
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
    /// How many rules stand at other places and say the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    rules_at_other_places: Option<usize>,
}

pub(super) fn run(args: &args::Plan, directory: &Path) -> Result<Exit, Failure> {
    // What policies with errors would give today is nothing that anything could be compared with.
    let Ok((policy, files, _)) = chain::sound(chain::read(&args.policies)?) else {
        return Ok(Exit::Undecided);
    };
    let host = hosts::only_to_act_on(&args.topology, &policy, &files.sources)?;
    let Some(today) = plans(&policy, &files, &host) else { return Ok(Exit::Undecided) };
    let name = store::name(&today);
    let found = in_force(directory)?;
    let mut document = Document {
        format_version: FORMAT_VERSION,
        topology: &host.name,
        installed: found.as_ref().map(|found| found.name.as_str()),
        today: &name,
        same: false,
        damaged: None,
        differences: Vec::new(),
        rules_at_other_places: None,
    };
    match found.as_ref().map(|found| compared(found, &today)) {
        Some(Ok(found)) => {
            document.same = found.is_empty();
            document.rules_at_other_places = Some(found.moved).filter(|moved| *moved > 0);
            document.differences = found.drift;
        }
        Some(Err(why)) => document.damaged = Some(why),
        None => {}
    }
    print::data(&match args.format {
        Format::Json => json(&document),
        Format::Human => human(&document, directory),
    })?;
    Ok(if document.same { Exit::Clean } else { Exit::Findings })
}

/// In what the plan set in force differs from today's, or why the hook would not take it.
fn compared(found: &InForce, today: &PlanSet) -> Result<Differences, String> {
    let Files { index, plans } = found.files.as_ref().map_err(Clone::clone)?;
    differences(installed::Files { index, plans }, today).map_err(|refusal| refusal.message)
}

fn plans(policy: &Policy, files: &chain::Files, host: &hosts::Host) -> Option<PlanSet> {
    let mut sink = Sink::default();
    let proven = trial::proven(policy, files, host, &mut sink);
    if proven.is_none() {
        chain::say(chain::errors(sink), &files.sources);
    }
    Some(proven?.plans)
}

fn human(document: &Document<'_>, directory: &Path) -> String {
    let Document { topology, installed, differences, .. } = document;
    let Some(installed) = installed else {
        return escape(&format!("no plan set is in force in `{}`", input::name(directory))) + "\n";
    };
    let set = input::name(&directory.join(installed));
    let moved = document.rules_at_other_places;
    let verdict = match (&document.damaged, differences.len() + usize::from(moved.is_some())) {
        (Some(why), _) => format!("`{set}` cannot be used: {why}"),
        (None, 0) => format!("`{set}` is what the policy gives on {topology} today"),
        (None, count) => {
            let what = print::count(count, "difference");
            format!("`{set}` is not what the policy gives on {topology} today, {what}:")
        }
    };
    let lines = differences.iter().map(|drift| format!("  {}\n", escape(&drift.to_string())));
    let moved = moved.map(|moved| match moved {
        1 => "  1 rule stands at another place\n".to_owned(),
        _ => format!("  {moved} rules stand at other places\n"),
    });
    std::iter::once(escape(&verdict) + "\n").chain(lines).chain(moved).collect()
}
