//! `gpupol man`
#![expect(clippy::disallowed_methods, reason = "the command line writes the files")]

use std::fs::{self, DirBuilder};
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::args::Args;
use super::{Exit, Failure, args, input, print};

/// A manual page.
struct Page {
    /// `gpupol-check.1`
    name: String,
    /// In roff.
    text: Vec<u8>,
}

pub(super) fn run(args: &args::Man) -> Result<Exit, Failure> {
    let unwritable = |path: &Path| {
        let what = input::name(path);
        move |why| Failure::Unwritable { what, why }
    };
    let Some(directory) = &args.directory else {
        let first = page(command()).map_err(unwritable(Path::new("standard output")))?;
        print::data(&String::from_utf8_lossy(&first.text))?;
        return Ok(Exit::Clean);
    };
    DirBuilder::new().recursive(true).create(directory).map_err(unwritable(directory))?;
    let mut lines = String::new();
    for page in pages().map_err(unwritable(directory))? {
        let path = directory.join(&page.name);
        fs::write(&path, &page.text).map_err(unwritable(&path))?;
        lines.push_str(&format!("wrote {}\n", input::name(&path)));
    }
    print::data(&lines)?;
    Ok(Exit::Clean)
}

/// The program, and all that its commands say of themselves. `help` is no command that needs a page.
fn command() -> Command {
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    command
}

/// The program's page and one for each command.
fn pages() -> io::Result<Vec<Page>> {
    let command = command();
    within(&command).into_iter().cloned().map(page).collect()
}

/// A command and all within it.
fn within(command: &Command) -> Vec<&Command> {
    std::iter::once(command).chain(command.get_subcommands().flat_map(within)).collect()
}

fn page(command: Command) -> io::Result<Page> {
    // A date would change the bytes from day to day, and an empty one would let roff take the version for it.
    let man = Man::new(command).date(" ").source(concat!("gpupol ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    man.render_subcommands_section(&mut text)?;
    exit_status().to_writer(&mut text)?;
    Ok(Page { name: man.get_filename(), text })
}

fn exit_status() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["EXIT STATUS"]);
    for (exit, meaning) in Exit::ALL {
        section.control("TP", []).text([bold((exit as u8).to_string())]).text([roman(meaning)]);
    }
    section
}
