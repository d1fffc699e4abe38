//! The analyses of a check against brute force, in small worlds made by chance.
//!
//! What a policy means is written here once more, from the language's page and not from the compiler: which container is of
//! whom, which grants apply, which devices a gpu-set has. Everything that there can be in a world is enumerated, and what
//! the check finds must be exactly what is so: no fault missed, and none that is not there.
//!
//! `GPUPOL_ORACLE_WORLDS` says how many worlds, `GPUPOL_ORACLE_SEED` which one is first. A disagreement prints its seed.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, look at their environment, and say what they tried"
)]

#[cfg(test)]
mod container;
#[cfg(test)]
mod denies;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod gates;
#[path = "../given/mod.rs"]
#[cfg(test)]
mod given;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod host;
#[cfg(test)]
mod identities;
#[cfg(test)]
mod placement;
#[cfg(test)]
mod selectors;
#[cfg(test)]
mod text;
#[cfg(test)]
mod why;

use std::fmt::Debug;
use std::num::NonZero;
use std::thread;

use dice::Dice;
use gpupol::diag::{Finding, Sink};
use gpupol::policy::{Policy, lower};
use gpupol::source::{Source, Sources, Span};
use gpupol::syntax;

/// Without being told, so many worlds of each kind: CI tries many more, with a faster build.
const WORLDS: u64 = 300;
/// More disagreements are not told.
const MOST: usize = 3;

/// A policy as it is read, and what is found in its text.
struct Read {
    sources: Sources,
    policy: Option<Policy>,
    findings: Vec<Finding>,
}

impl Read {
    fn of(text: &str) -> Self {
        let head = if text.starts_with("policy ") { "" } else { "policy version=1\n" };
        let sources = Sources::new(vec![Source::new("p.kdl", format!("{head}{text}"))]);
        let mut sink = Sink::default();
        let documents: Vec<_> =
            sources.iter().map(|(id, source)| syntax::parse(id, source, &mut sink)).collect();
        let policy = lower::lower(&documents, &mut sink);
        Self { sources, policy, findings: sink.finish() }
    }

    /// The text at a place.
    fn at(&self, span: Span) -> &str {
        &self.sources.get(span.source).unwrap().text[span.range()]
    }

    /// The texts at all places of a finding.
    fn places(&self, finding: &Finding) -> Vec<&str> {
        finding.labels.iter().map(|label| self.at(label.span)).collect()
    }
}

/// Compares two lists of faults, in both directions.
fn same<T: Debug + Ord>(what: &str, mut found: Vec<T>, mut so: Vec<T>) -> Result<(), String> {
    found.sort();
    so.sort();
    if found == so { Ok(()) } else { Err(format!("{what}: found {found:?}, and what is so is {so:?}")) }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// Tries worlds on every core, and prints the first few on which check and brute force disagree. `world` gives its text and what came of it.
fn worlds(kind: &str, world: impl Fn(&mut Dice) -> (String, Result<(), String>) + Sync) {
    let (count, first) = (number("GPUPOL_ORACLE_WORLDS", WORLDS), number("GPUPOL_ORACLE_SEED", 1));
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let every = |start: usize| {
        let seeds = (first..first + count).skip(start).step_by(cores);
        let wrong = |seed: u64| match world(&mut Dice::of(seed)) {
            (_, Ok(())) => None,
            (text, Err(why)) => Some((seed, format!("GPUPOL_ORACLE_SEED={seed}: {why}\n{text}"))),
        };
        seeds.filter_map(wrong).take(MOST).collect::<Vec<_>>()
    };
    let every = &every;
    let mut disagreements: Vec<(u64, String)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|start| scope.spawn(move || every(start))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    disagreements.sort();
    disagreements.truncate(MOST);
    eprintln!("{kind}: {count} worlds from seed {first}, {} disagreements", disagreements.len());
    let disagreements: Vec<String> = disagreements.into_iter().map(|(_, text)| text).collect();
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}
