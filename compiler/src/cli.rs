//! The command line: the only place that reads files, knows the terminal, and prints.
//!
//! Data goes to standard output, findings and everything else for people to standard error. A reader who goes away
//! (`| head`) is no error.

use std::panic::UnwindSafe;
use std::process::ExitCode;

use clap::Parser;

mod args;
mod chain;
mod check;
mod compare;
mod compile;
mod completions;
mod container;
mod diff;
mod discover;
mod doctor;
mod exit;
mod export;
mod failure;
mod fmt;
mod guarded;
mod hosts;
mod init;
mod input;
mod install;
mod later;
mod leases;
mod levels;
mod man;
mod plan;
mod print;
mod progress;
mod render;
mod replace;
mod report;
mod rule;
mod schema;
mod search;
mod status;
mod store;
mod table;
mod test;
mod today;
mod topology;
mod trial;
mod why;

use args::{Args, Command};
use exit::Exit;
use failure::Failure;

/// Runs the program on the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    exit::say_panics_in_one_line();
    end_of(run).into()
}

/// A panic ends with a code of its own, which `panic = "abort"` in a profile would take away.
fn end_of(run: impl FnOnce() -> Exit + UnwindSafe) -> Exit {
    const { assert!(cfg!(panic = "unwind"), "a defect has its own exit code") };
    std::panic::catch_unwind(run).unwrap_or(Exit::Internal)
}

fn run() -> Exit {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            if let Some(later) = later::refusal(&error) {
                later.say();
                return Exit::Undecided;
            }
            // Nothing is left to be said to somebody who does not listen.
            _ = error.print();
            return if error.use_stderr() { Exit::Undecided } else { Exit::Clean };
        }
    };
    let done = match &args.command {
        Command::Check(args) => check::run(args),
        Command::Test(args) => test::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Why(args) => why::run(args),
        Command::Diff(args) => compare::run(args),
        Command::Compile(args) => compile::run(args),
        Command::Export(args) => export::run(args),
        Command::Discover(args) => discover::run(args),
        Command::Install(args) => install::run(args),
        Command::Uninstall(args) => install::undo(args),
        Command::Status(args) => status::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Topology(args) => topology::run(args),
        Command::Fmt(args) => fmt::run(args),
        Command::Init(args) => init::run(args),
        Command::Rule(args) => rule::run(args),
        Command::Schema => schema::run(),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    };
    done.unwrap_or_else(|failure| {
        failure.say();
        Exit::Undecided
    })
}

#[cfg(test)]
mod tests {
    use super::{Exit, end_of};

    #[test]
    fn a_defect_ends_with_3() {
        assert_eq!(end_of(|| panic!("a defect")) as u8, 3);
        assert_eq!(end_of(|| Exit::Denied) as u8, 4);
    }
}
