//! `gpupol compile`

use super::leases::{Dropped, Given, Leases};
use super::trial::{self, Proven};
use super::{Exit, Failure, args, chain, hosts, print, store, today};
use crate::policy::allow;

mod changed;

pub(super) fn run(args: &args::Compile) -> Result<Exit, Failure> {
    if !args.if_changed {
        return Ok(compile(args)?.err().unwrap_or(Exit::Clean));
    }
    if args.topology != ["live"] {
        let message = "`--if-changed` is about the host that this runs on";
        return Err(Failure::usage(message, "name it by `--topology live`, or leave `--if-changed` out"));
    }
    // What changes while it is compiled is compiled the next time.
    changed::are_there(&args.policies.paths)?;
    let host = changed::host()?;
    if changed::is_as(&args.output, &host)? {
        print::data("nothing has changed since this host was compiled for\n")?;
        return Ok(Exit::Clean);
    }
    Ok(match compile(args)? {
        Ok(set) => {
            changed::keep(&args.output, &host, &set)?;
            Exit::Clean
        }
        Err(exit) => exit,
    })
}

/// The name of the plan set that is in force then, or how it ended without one.
fn compile(args: &args::Compile) -> Result<Result<String, Exit>, Failure> {
    let (policy, files, mut sink) = match chain::sound(chain::read(&args.policies)?) {
        Ok(sound) => sound,
        Err(exit) => return Ok(Err(exit)),
    };
    let host = hosts::only_to_act_on(&args.topology, &policy, &files.sources)?;
    let proven = trial::proven(&policy, &files, &host, &mut sink);
    // Only a check sees all hosts, and can say which allowances are of no use.
    let remaining = allow::apply(&policy, sink.finish(), today::today(), false);
    chain::say(remaining.findings, &files.sources);
    let Some(Proven { resolution, plans }) = proven else { return Ok(Err(Exit::Findings)) };
    // What was never in force can drop nothing. Nobody takes a lease between this look at them and the switch.
    let leases = match !args.force && store::is_in_force(&args.output)? {
        true => Some(Leases::lock(args.state.as_deref())?),
        false => None,
    };
    let dropped = leases.as_ref().map(|leases| leases.dropped(&Given::of(&resolution))).transpose()?;
    let dropped = dropped.unwrap_or_default();
    if !dropped.is_empty() {
        dropped.iter().for_each(Dropped::say);
        return Ok(Err(Exit::Findings));
    }
    let stored = store::write(&args.output, &plans)?;
    let what = format!("{} for {}", print::count(plans.count, "plan"), host.name);
    print::data(&format!("{what}: {}\n", stored.words(&args.output)))?;
    Ok(Ok(stored.name().to_owned()))
}
