//! `gpupol compile`

use super::chain::Files;
use super::hosts::Host;
use super::leases::{Dropped, Given};
use super::{Exit, Failure, args, chain, hosts, leases, print, store, today, trial};
use crate::diag::Sink;
use crate::emit::PlanSet;
use crate::policy::{Policy, allow};

pub(super) fn run(args: &args::Compile) -> Result<Exit, Failure> {
    let (policy, files, mut sink) = match chain::sound(chain::read(&args.policies)?) {
        Ok(sound) => sound,
        Err(exit) => return Ok(exit),
    };
    let host = hosts::only(&args.topology, &policy, &files.sources)?;
    let plans = plans(&policy, &files, &host, &mut sink);
    // Only a check sees all hosts, and can say which allowances are of no use.
    let remaining = allow::apply(&policy, sink.finish(), today::today(), false);
    chain::say(remaining.findings, &files.sources);
    let Some((plans, given)) = plans else { return Ok(Exit::Findings) };
    // What was never in force can drop nothing.
    if !args.force && store::is_in_force(&args.output) {
        let dropped = leases::dropped(&args.state, &given)?;
        if !dropped.is_empty() {
            dropped.iter().for_each(Dropped::say);
            return Ok(Exit::Findings);
        }
    }
    let stored = store::write(&args.output, &plans)?;
    let what = format!("{} for {}", print::count(plans.count, "plan"), host.name);
    print::data(&format!("{what}: {}\n", stored.words(&args.output)))?;
    Ok(Exit::Clean)
}

/// The plan set of a host and what it gives; nothing if the policy has errors there, or gives what it asserts to give
/// nobody.
fn plans(policy: &Policy, files: &Files, host: &Host, sink: &mut Sink) -> Option<(PlanSet, Given)> {
    let resolution = chain::resolution(policy, host, sink)?;
    let plans = chain::emitted(policy, files, host, &resolution);
    let reader = chain::reader(&plans);
    for assert in &policy.asserts {
        let proof = trial::proof(assert, policy, host, &resolution, &reader);
        proof.findings().for_each(|finding| sink.push(finding));
    }
    (!sink.has_errors()).then(|| (plans, Given::of(&resolution)))
}
