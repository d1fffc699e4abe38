//! `gpupol compile`

use super::leases::{Dropped, Given, Leases};
use super::trial::{self, Proven};
use super::{Exit, Failure, args, chain, hosts, print, store, today};
use crate::policy::allow;

mod changed;

pub(super) fn run(args: &args::Compile) -> Result<Exit, Failure> {
    if !args.if_changed {
        return compile(args);
    }
    if args.topology != ["live"] {
        let message = "`--if-changed` is about the host that this runs on";
        return Err(Failure::usage(message, "name it by `--topology live`, or leave `--if-changed` out"));
    }
    // What changes while it is compiled is compiled the next time.
    let host = changed::host()?;
    if changed::is_as(&args.output, &host)? {
        print::data("nothing has changed since this host was compiled for\n")?;
        return Ok(Exit::Clean);
    }
    let exit = compile(args)?;
    if exit == Exit::Clean {
        changed::keep(&args.output, &host)?;
    }
    Ok(exit)
}

fn compile(args: &args::Compile) -> Result<Exit, Failure> {
    let (policy, files, mut sink) = match chain::sound(chain::read(&args.policies)?) {
        Ok(sound) => sound,
        Err(exit) => return Ok(exit),
    };
    let host = hosts::only(&args.topology, &policy, &files.sources)?;
    let proven = trial::proven(&policy, &files, &host, &mut sink);
    // Only a check sees all hosts, and can say which allowances are of no use.
    let remaining = allow::apply(&policy, sink.finish(), today::today(), false);
    chain::say(remaining.findings, &files.sources);
    let Some(Proven { resolution, plans }) = proven else { return Ok(Exit::Findings) };
    // What was never in force can drop nothing. Nobody takes a lease between this look at them and the switch.
    let leases = match !args.force && store::is_in_force(&args.output)? {
        true => Some(Leases::lock(args.state.as_deref())?),
        false => None,
    };
    let dropped = leases.as_ref().map(|leases| leases.dropped(&Given::of(&resolution))).transpose()?;
    let dropped = dropped.unwrap_or_default();
    if !dropped.is_empty() {
        dropped.iter().for_each(Dropped::say);
        return Ok(Exit::Findings);
    }
    let stored = store::write(&args.output, &plans)?;
    let what = format!("{} for {}", print::count(plans.count, "plan"), host.name);
    print::data(&format!("{what}: {}\n", stored.words(&args.output)))?;
    Ok(Exit::Clean)
}
