//! `gpupol export mig-parted`

use crate::cli::{Exit, Failure, args, chain, hosts, input, print, replace, today, trial};
use crate::emit::mig_parted::{Configuration, document};
use crate::policy::allow;

pub(in crate::cli) fn run(args: &args::MigParted) -> Result<Exit, Failure> {
    let (policy, files, mut sink) = match chain::sound(chain::read(&args.policies)?) {
        Ok(sound) => sound,
        Err(exit) => return Ok(exit),
    };
    let hosts = hosts::all_to_act_on(&args.topology, &policy, &files.sources)?;
    let mut all: Vec<Configuration> = Vec::new();
    let mut proven = true;
    for host in &hosts {
        let Some(own) = trial::proven(&policy, &files, host, &mut sink) else {
            proven = false;
            continue;
        };
        let configuration = Configuration::of(&policy, &own.resolution, &host.topology).map_err(|why| {
            Failure::usage(
                format!("`{}`: {why}", host.name),
                "record it again on the host with `gpupol discover`",
            )
        })?;
        let same = configuration.iter().any(|one| all.iter().any(|other| other.name == one.name));
        if same {
            let message = format!("a second topology is of a host called `{}`", host.topology.host);
            return Err(Failure::usage(message, "name each host once: `--topology FILE`"));
        }
        all.extend(configuration);
    }
    let remaining = allow::apply(&policy, sink.finish(), today::today(), false);
    chain::say(remaining.findings, &files.sources);
    if !proven {
        return Ok(Exit::Findings);
    }
    if all.is_empty() {
        let message = "no `layout` of this policy is about a GPU of these hosts";
        return Err(Failure::usage(message, "`layout slices { gpus large; mig \"1g.10gb\" 7 }`"));
    }
    match &args.output {
        Some(path) => replace::whole(path, &document(&all))
            .map_err(|why| Failure::Unwritable { what: input::name(path), why })?,
        None => print::data(&document(&all))?,
    }
    Ok(Exit::Clean)
}
