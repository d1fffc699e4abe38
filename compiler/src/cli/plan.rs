//! `gpupol plan`

use std::path::{Path, PathBuf};

use gpupol_plan::choose::Leases;
use gpupol_plan::config::{Config, LIMIT_WITH_GPUS};
use gpupol_plan::entry::{Entry, Form};
use gpupol_plan::index::OnDenied;
use gpupol_plan::observed::Observed;
use gpupol_plan::refusal::{Reason, Refusal};
use gpupol_plan::request::allocation;
use gpupol_plan::spec::replaced::Replaced;

use super::args::{self, Format};
use super::chain::{self, Files};
use super::{Exit, Failure, hosts, input, print};
use crate::diag::{Code, Finding, Sink};
use crate::outcome::{Guarded, Outcome, Reader, known_by};
use crate::policy::{Container, Identity, Policy, Who, lower};
use crate::workload::{self, Workload};

mod check;
mod human;
mod identify;
mod json;
mod spec;

/// Larger than any entry.
const MAX_ENTRY: usize = 64 << 10;

pub(super) fn run(args: &args::Plan) -> Result<Exit, Failure> {
    if let Some(directory) = &args.check {
        return check::run(args, directory);
    }
    let (policy, files, _) = match chain::sound(chain::read(&args.policies)?) {
        Ok(sound) => sound,
        Err(exit) => return Ok(exit),
    };
    let host = hosts::only(&args.topology, &policy, &files.sources)?;
    let container = match container(args, &policy)? {
        Ok(container) => container,
        Err(exit) => return Ok(exit),
    };
    let mut sink = Sink::default();
    let Some(plans) = chain::plan_set(&policy, &files, &host, &mut sink) else {
        chain::say(chain::errors(sink), &files.sources);
        return Ok(Exit::Findings);
    };
    let reader = chain::reader(&plans);
    let form = if args.spec_form.is_some() { Form::Spec } else { container.entry.form };
    let outcome = reader.start_in(form, &container, &Leases::new());
    let decided = Decided {
        outcome: &outcome,
        guarded: &reader.guard(&container),
        known: known(&outcome, &policy, &files, &container),
        host: &host.name,
        on_denied: on_denied(&outcome, &reader, &container),
        allocated: allocated(&container, &reader),
    };
    if let (Some(rootfs), Some(config)) = (&args.spec_form, &args.config) {
        return spec::run(&decided, config, rootfs);
    }
    print::data(&match args.format {
        Format::Json => json::outcome(&decided),
        Format::Human => human::outcome(&decided),
    })?;
    Ok(if matches!(outcome, Outcome::Denied { .. }) { Exit::Denied } else { Exit::Clean })
}

/// What is printed.
struct Decided<'d> {
    outcome: &'d Outcome,
    guarded: &'d Guarded,
    known: Option<Known<'d>>,
    host: &'d str,
    on_denied: OnDenied,
    /// What the spec form takes out, if somebody else has allocated devices to the container.
    allocated: Option<Replaced<'d>>,
}

fn allocated<'r>(container: &Workload, reader: &'r Reader) -> Option<Replaced<'r>> {
    let asks = allocation::is_elsewhere(&container.entry) && reader.asked(container).is_some();
    asks.then(|| Replaced::of(&container.config, reader.majors()))
}

/// What becomes of a container that is denied: whom the guard refuses does not start without a GPU either, nor who has one in
/// its configuration.
fn on_denied(outcome: &Outcome, reader: &Reader, container: &Workload) -> OnDenied {
    match outcome {
        _ if allocation::keeps_devices(&container.entry, &container.config) => OnDenied::Refuse,
        Outcome::Denied { refusal, .. } if refusal.reason == Reason::Guard => OnDenied::Refuse,
        _ => reader.on_denied(),
    }
}

/// By which identity a container with devices is known.
struct Known<'p> {
    identity: &'p Identity,
    file: &'p str,
    /// From 1.
    line: usize,
}

fn known<'p>(
    outcome: &Outcome,
    policy: &'p Policy,
    files: &'p Files,
    container: &Workload,
) -> Option<Known<'p>> {
    let Outcome::Granted(gift) = outcome else { return None };
    let identity = known_by(policy, &gift.tenant, container)?;
    let source = files.sources.get(identity.span.source)?;
    let (line, _) = source.position(identity.span.start());
    Some(Known { identity: &identity.value, file: &source.place, line })
}

/// The container; an exit code after what is wrong with its file has been said.
fn container(args: &args::Plan, policy: &Policy) -> Result<Result<Workload, Exit>, Failure> {
    match (&args.workload, &args.config, &args.entry) {
        (Some(path), ..) => by_workload(path, policy),
        (None, Some(config), Some(entry)) => {
            let mut container = by_config(config, entry)?;
            for pair in &args.identity {
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

fn by_workload(path: &PathBuf, policy: &Policy) -> Result<Result<Workload, Exit>, Failure> {
    // Only a regular file is one workload; what is read below may be a directory.
    input::read_file(path, 0)?;
    let input = input::read(std::slice::from_ref(path))?;
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

fn unusable(what: String, why: &str) -> Failure {
    Failure::usage(format!("`{what}` cannot be used: {why}"), "name a file of the right kind")
}
