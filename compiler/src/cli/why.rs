//! `gpupol why`

use std::collections::BTreeSet;

use gpupol_plan::choose::Leases;

use super::args::{self, Telling};
use super::container::{self, Named};
use super::hosts::Host;
use super::{Exit, Failure, chain, hosts, print};
use crate::diag::Sink;
use crate::outcome::Outcome;
use crate::outcome::why::Case;
use crate::policy::Policy;
use crate::resolve::Key;
use crate::workload::Workload;

mod json;
mod reached;
mod story;
mod telling;

pub(super) fn run(args: &args::Why) -> Result<Exit, Failure> {
    let (policy, files, _) = match chain::sound(chain::read(&args.policies)?) {
        Ok(sound) => sound,
        Err(exit) => return Ok(exit),
    };
    let host = hosts::only(&args.topology, &policy, &files.sources)?;
    let about = match about(args, &policy, &host)? {
        Ok(about) => about,
        Err(exit) => return Ok(exit),
    };
    let mut sink = Sink::default();
    let Some(resolution) = chain::resolution(&policy, &host, &mut sink) else {
        chain::say(chain::errors(sink), &files.sources);
        return Ok(Exit::Findings);
    };
    let plans = chain::emitted(&policy, &files, &host, &resolution);
    let reader = chain::reader(&plans);
    let case = Case {
        policy: &policy,
        sources: &files.sources,
        resolution: &resolution,
        plans: &reader,
        topology: &host.topology,
    };
    let denied = match about {
        About::Container(container) => of_container(&case, &container, &host, args.format),
        About::Devices(gpu) => of_devices(&case, args.tenant.as_deref(), gpu.as_ref(), &host, args.format),
    }?;
    Ok(if denied && args.exit_status { Exit::Denied } else { Exit::Clean })
}

/// What is asked about.
enum About {
    Container(Box<Workload>),
    /// Who reaches what: all devices, or what is called so.
    Devices(Option<Gpu>),
}

/// A device by the name that the user gave it.
struct Gpu {
    name: String,
    /// Why nobody has it, whatever the policy says.
    out_of_service: Option<String>,
}

fn about(args: &args::Why, policy: &Policy, host: &Host) -> Result<Result<About, Exit>, Failure> {
    if args.tenant.is_none() && args.gpu.is_none() {
        let named = Named {
            workload: args.workload.as_deref(),
            config: args.config.as_deref(),
            entry: args.entry.as_deref(),
            identity: &args.identity,
        };
        return Ok(container::read(&named, policy)?.map(|container| About::Container(Box::new(container))));
    }
    if let Some(tenant) = args.tenant.as_ref().filter(|tenant| !policy.tenants.contains_key(*tenant)) {
        let known: Vec<String> = policy.tenants.keys().take(5).map(|name| format!("`{name}`")).collect();
        let help = format!("the policy has {}", known.join(", "));
        return Err(Failure::usage(format!("no tenant is called `{tenant}`"), help));
    }
    let gpu =
        args.gpu.as_ref().map(|name| Gpu { name: name.clone(), out_of_service: out_of_service(name, host) });
    Ok(Ok(About::Devices(gpu)))
}

/// Why nobody has a GPU of that name, if it is out of service.
fn out_of_service(name: &str, host: &Host) -> Option<String> {
    let is = |own: Option<&String>| own.is_some_and(|own| own.eq_ignore_ascii_case(name));
    let gpu = host.topology.out_of_service.iter().find(|gpu| {
        let index = gpu.index.known().map(u32::to_string);
        is(gpu.uuid.known()) || is(gpu.pci.known()) || is(index.as_ref())
    })?;
    Some(format!("{gpu} is out of service: {}", gpu.reason))
}

/// Tells it, and whether the container is denied.
fn of_container(
    case: &Case<'_>,
    container: &Workload,
    host: &Host,
    format: Telling,
) -> Result<bool, Failure> {
    let outcome = case.plans.start(container, &Leases::new());
    let denied = matches!(outcome, Outcome::Denied { .. });
    let story = case.story(container, outcome);
    match format {
        Telling::Json => json::story(&story, &host.name),
        Telling::Human => print::data(&telling::human(&story::lines(&story, &host.name))),
        Telling::Plain => print::data(&telling::plain(&story::lines(&story, &host.name))),
    }?;
    Ok(denied)
}

/// Tells it, and whether nobody reaches anything.
fn of_devices(
    case: &Case<'_>,
    tenant: Option<&str>,
    gpu: Option<&Gpu>,
    host: &Host,
    format: Telling,
) -> Result<bool, Failure> {
    let keys = gpu.map(|gpu| keys(case, gpu, host)).transpose()?;
    let reached = case.reached(tenant, keys.as_ref());
    let asked = reached::Asked {
        tenant,
        gpu: gpu.map(|gpu| gpu.name.as_str()),
        out_of_service: gpu.and_then(|gpu| gpu.out_of_service.as_deref()),
        host: &host.name,
    };
    match format {
        Telling::Json => json::reached(&reached, &asked),
        Telling::Human => print::data(&telling::human(&reached::lines(&reached, &asked))),
        Telling::Plain => print::data(&telling::plain(&reached::lines(&reached, &asked))),
    }?;
    Ok(!reached.any())
}

/// The devices that a name means: of a GPU its MIG devices too.
fn keys(case: &Case<'_>, gpu: &Gpu, host: &Host) -> Result<BTreeSet<Key>, Failure> {
    let mut keys = case.named(&gpu.name);
    if keys.is_empty() && gpu.out_of_service.is_none() {
        let message = format!("`{}` has no device `{}`", host.name, gpu.name);
        return Err(Failure::usage(message, "`gpupol topology show` lists indices and UUIDs"));
    }
    let whole: BTreeSet<u32> = keys.iter().filter(|key| key.1.is_none()).map(|key| key.0).collect();
    let gpus = host.topology.gpus.iter().filter(|gpu| whole.contains(&gpu.index));
    keys.extend(gpus.flat_map(|gpu| gpu.mig_devices.iter().map(|mig| (gpu.index, Some(mig.index)))));
    Ok(keys)
}
