//! `gpupol topology`

use super::{Exit, Failure, args, hosts, input, print};
use crate::topology::drift;
use crate::topology::read::{self, MAX_BYTES};

mod human;
mod json;

pub(super) fn run(args: &args::Topology) -> Result<Exit, Failure> {
    match &args.look {
        args::Look::Show(args) => show(args),
        args::Look::Validate(args) => validate(args),
        args::Look::Diff(args) => diff(args),
    }
}

fn show(args: &args::Show) -> Result<Exit, Failure> {
    let topology = hosts::by_word(&args.topology)?.topology;
    print::data(&match args.format {
        args::Format::Human => human::topology(&topology),
        args::Format::Json => read::write(&topology),
    })?;
    Ok(Exit::Clean)
}

fn validate(args: &args::Validate) -> Result<Exit, Failure> {
    let mut exit = Exit::Clean;
    for file in &args.files {
        let (name, bytes) = (input::name(file), input::read_whole(file, MAX_BYTES)?);
        match read::read_bytes(&name, &bytes) {
            Ok(topology) => print::data(&human::summary(&name, &topology))?,
            Err(wrong) => {
                Failure::from(wrong).say();
                exit = Exit::Findings;
            }
        }
    }
    Ok(exit)
}

fn diff(args: &args::Diff) -> Result<Exit, Failure> {
    let (old, new) = (hosts::by_word(&args.old)?, hosts::by_word(&args.new)?);
    let drift = drift::drift(&old.topology, &new.topology);
    print::data(&match args.format {
        args::Format::Human => human::drift(&drift),
        args::Format::Json => json::drift(&drift),
    })?;
    Ok(if drift.is_empty() { Exit::Clean } else { Exit::Findings })
}
