//! How far long work has come: on a terminal alone, and gone when it is done.
#![expect(clippy::disallowed_methods, reason = "the command line reads the environment")]

use std::env;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::render::escape;

/// Progress over several hosts. Nothing is drawn for one, nor where standard error is no terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Of so many hosts none is done.
    pub(super) fn over(hosts: usize) -> Self {
        // What cannot go back in a line would be sent all of it.
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_hidden = hosts < 2 || is_dumb;
        let target = if is_hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(u64::try_from(hosts).ok(), target);
        // A template that could not be read would leave the usual one.
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// The next host is begun.
    pub(super) fn at(&self, name: &str) {
        self.0.set_message(escape(name));
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
