//! `gpupol plan`

use gpupol_plan::choose::Leases;
use gpupol_plan::entry::Form;
use gpupol_plan::index::OnDenied;
use gpupol_plan::refusal::Reason;
use gpupol_plan::request::allocation;
use gpupol_plan::spec::replaced::Replaced;

use super::args::{self, Format};
use super::chain::{self, Files};
use super::{Exit, Failure, container, hosts, print};
use crate::diag::Sink;
use crate::outcome::{Guarded, Outcome, Reader, known_by};
use crate::policy::{Identity, Policy};
use crate::workload::Workload;

mod check;
mod human;
mod json;
mod spec;

pub(super) fn run(args: &args::Plan) -> Result<Exit, Failure> {
    if let Some(directory) = &args.check {
        return check::run(args, directory);
    }
    let (policy, files, _) = match chain::sound(chain::read(&args.policies)?) {
        Ok(sound) => sound,
        Err(exit) => return Ok(exit),
    };
    let host = hosts::only(&args.topology, &policy, &files.sources)?;
    let named = container::Named {
        workload: args.workload.as_deref(),
        config: args.config.as_deref(),
        entry: args.entry.as_deref(),
        identity: &args.identity,
    };
    let container = match container::read(&named, &policy)? {
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
