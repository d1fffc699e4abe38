//! Formatting: what changes, what never does, the command, and that every policy of this project is formatted.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]
#![expect(clippy::disallowed_methods, reason = "tests look at files and run programs")]

use gpupol::diag::Sink;
use gpupol::source::{Source, Sources};
use gpupol::syntax::{self, FormatError};

mod command;
mod generated;
mod oracle;
mod project;
#[path = "../ran/mod.rs"]
mod ran;
mod texts;

fn format(text: &str) -> Result<String, FormatError> {
    let sources = Sources::new(vec![Source::new("a.kdl", text)]);
    let (id, source) = sources.iter().next().unwrap();
    syntax::format(id, source, &mut Sink::default())
}

/// Formats and checks that this is the end of it.
fn formatted(text: &str) -> String {
    let once = format(text);
    assert!(once.is_ok(), "{text:?}: {once:?}");
    let once = once.unwrap();
    assert_eq!(format(&once).as_deref(), Ok(once.as_str()), "{text:?} is not formatted at once");
    once
}
