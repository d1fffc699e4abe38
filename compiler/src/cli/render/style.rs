//! What the terminal can show.
#![expect(clippy::disallowed_methods, reason = "the command line reads the environment")]

use std::env;
use std::io::{IsTerminal, stderr};

/// As wide as findings are drawn when the terminal does not say.
const WIDTH: usize = 100;

/// How findings are drawn.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Style {
    /// Whether there are colours.
    pub(super) colours: bool,
    /// Characters in a line.
    pub(super) width: usize,
}

impl Style {
    /// What standard error can show, and its reader wants (`NO_COLOR`, `TERM=dumb`, `COLUMNS`).
    pub(in crate::cli) fn of_stderr() -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let columns = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let width = columns.filter(|columns| (40..=400).contains(columns)).unwrap_or(WIDTH);
        Self { colours: stderr().is_terminal() && !unwanted && !dumb, width }
    }
}
