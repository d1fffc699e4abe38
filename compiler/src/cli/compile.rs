//! `gpupol compile`

use super::{Exit, Failure, args, chain, hosts, print, store, today};
use crate::policy::allow;

pub(super) fn run(args: &args::Compile) -> Result<Exit, Failure> {
    let (policy, files, mut sink) = match chain::sound(chain::read(&args.policies)?) {
        Ok(sound) => sound,
        Err(exit) => return Ok(exit),
    };
    let host = hosts::only(&args.topology, &policy, &files.sources)?;
    let plans = chain::plan_set(&policy, &files, &host, &mut sink);
    // Only a check sees all hosts, and can say which allowances are of no use.
    let remaining = allow::apply(&policy, sink.finish(), today::today(), false);
    chain::say(remaining.findings, &files.sources);
    let Some(plans) = plans else { return Ok(Exit::Findings) };
    let stored = store::write(&args.output, &plans)?;
    let what = format!("{} for {}", print::count(plans.count, "plan"), host.name);
    print::data(&format!("{what}: {}\n", stored.words(&args.output)))?;
    Ok(Exit::Clean)
}
