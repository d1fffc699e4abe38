//! `gpupol completions`

use clap::CommandFactory;

use super::args::Args;
use super::{Exit, Failure, args, print};

pub(super) fn run(args: &args::Completions) -> Result<Exit, Failure> {
    // Into memory first: the generator takes a reader who left for a defect.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "gpupol", &mut script);
    print::data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Clean)
}
