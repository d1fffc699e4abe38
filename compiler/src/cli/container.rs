//! The container that a command is about, as its arguments name it.

use std::path::Path;

use gpupol_plan::config::{Config, LIMIT_WITH_GPUS};
use gpupol_plan::entry::Entry;
use gpupol_plan::observed::Observed;
use gpupol_plan::refusal::Refusal;

use super::{Exit, Failure, chain, input};
use crate::diag::{Code, Finding, Sink};
use crate::policy::{Container, Policy, Who, lower};
use crate::workload::{self, Workload};

mod identify;

/// Larger than any entry.
const MAX_ENTRY: usize = 64 << 10;

/// How the arguments name it: as a workload file, or as a `config.json` and an entry.
pub(super) struct Named<'a> {
    pub(super) workload: Option<&'a Path>,
    pub(super) config: Option<&'a Path>,
    pub(super) entry: Option<&'a Path>,
    /// `KEY=VALUE`: who it is, beside the last two.
    pub(super) identity: &'a [String],
}

/// The container; an exit code after what is wrong with its file has been said.
pub(super) fn read(named: &Named<'_>, policy: &Policy) -> Result<Result<Workload, Exit>, Failure> {
    match (named.workload, named.config, named.entry) {
        (Some(path), ..) => by_workload(path, policy),
        (None, Some(config), Some(entry)) => {
            let mut container = by_config(config, entry)?;
            for pair in named.identity {
                identify::identify(pair, &mut container)?;
            }
            Ok(Ok(container))
        }
        _ => Err(Failure::usage(
            "a container is needed",
            "name one by `--workload`, or by `--config` and `--entry`",
        )),
    }
}

fn by_workload(path: &Path, policy: &Policy) -> Result<Result<Workload, Exit>, Failure> {
    // Only a regular file is one workload; what is read below may be a directory.
    input::read_file(path, 0)?;
    let input = input::read(&[path.to_owned()])?;
    let mut sink = Sink::default();
    let documents = chain::parse(&input, &mut sink);
    let container = documents.first().and_then(|document| lower::container(document, &mut sink));
    if let Some(stranger) = container.as_ref().and_then(|container| stranger(container, policy)) {
        sink.push(stranger);
    }
    match container.filter(|_| !sink.has_errors()) {
        Some(container) => Ok(Ok(workload::describe(&container, policy))),
        None => {
            chain::say(sink.finish(), &input.sources);
            Ok(Err(Exit::Findings))
        }
    }
}

/// A container of a tenant that the policy does not have.
fn stranger(container: &Container, policy: &Policy) -> Option<Finding> {
    let Who::Tenant(name) = &container.who.value else { return None };
    if policy.tenants.contains_key(name) {
        return None;
    }
    let known: Vec<String> = policy.tenants.keys().take(5).map(|name| format!("`{name}`")).collect();
    let message = format!("no tenant is called `{name}`");
    let help = format!("the policy has {}", known.join(", "));
    Some(Finding::at(Code::UnresolvedName, container.who.span, "not defined", message).help(help))
}

fn by_config(config: &Path, entry: &Path) -> Result<Workload, Failure> {
    let because = |path: &Path| {
        let what = input::name(path);
        move |refusal: Refusal| unusable(what, &refusal.message)
    };
    Ok(Workload {
        entry: Entry::parse(&input::read_whole(entry, MAX_ENTRY)?).map_err(because(entry))?,
        config: Config::parse(&input::read_whole(config, LIMIT_WITH_GPUS)?).map_err(because(config))?,
        observed: Observed::default(),
    })
}

pub(super) fn unusable(what: String, why: &str) -> Failure {
    Failure::usage(format!("`{what}` cannot be used: {why}"), "name a file of the right kind")
}
