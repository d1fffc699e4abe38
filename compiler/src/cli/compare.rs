//! `gpupol diff`: two policies, compared by what containers get. How a file changes as a text is `super::diff`.

use std::path::PathBuf;

use super::args::{self, Expectation, Form, Gate};
use super::chain::{self, Files};
use super::hosts::{self, Host};
use super::input::{self, git};
use super::{Exit, Failure, print};
use crate::comparison::{Change, Comparison, Direction, Side, TooLarge, compare};
use crate::diag::{Code, Finding, Sink};
use crate::policy::Policy;
use crate::resolve::Resolution;
use crate::source::{Sources, Spanned};

mod human;
mod json;
mod markdown;
mod words;

/// What was compared, and what came of it.
struct Compared<'c> {
    args: &'c args::Compare,
    hosts: &'c [String],
    /// Those that only the old policy is for, and only the new one.
    only: [Vec<&'c str>; 2],
    comparison: &'c Comparison,
}

/// How many changes there are of each direction.
#[derive(Clone, Copy, Default)]
struct Counts {
    gains: usize,
    losses: usize,
    others: usize,
}

pub(super) fn run(args: &args::Compare) -> Result<Exit, Failure> {
    let [old, new] = [read(&args.old)?, read(&args.new)?];
    let (old, new) = match (sound(old, "old", &args.old), sound(new, "new", &args.new)) {
        (Ok((old, old_files, _)), Ok((new, new_files, _))) => ((old, old_files), (new, new_files)),
        (Err(exit), _) | (_, Err(exit)) => return Ok(exit),
    };
    let [olds, news] = [("old", &args.old, &old), ("new", &args.new, &new)]
        .map(|(which, word, read)| of_policy(args, which, word, read));
    let (olds, news) = (olds?, news?);
    let names = |hosts: &[Host]| -> Vec<String> { hosts.iter().map(|host| host.name.clone()).collect() };
    let own = [names(&olds), names(&news)];
    let hosts = united(olds, news);
    let names = names(&hosts);
    let Some(before) = resolutions(&old, &hosts) else { return Ok(Exit::Findings) };
    let Some(after) = resolutions(&new, &hosts) else { return Ok(Exit::Findings) };
    let sides = [(&old.0, &before), (&new.0, &after)].map(|(policy, hosts)| Side { policy, hosts });
    let [before, after] = sides;
    let comparison = match compare(before, after, &names) {
        Ok(comparison) => comparison,
        Err(TooLarge) => {
            chain::say(vec![undecided()], &Sources::default());
            return Ok(Exit::Undecided);
        }
    };
    let only = [0, 1].map(|side: usize| missing(&names, own.get(1 - side).map(Vec::as_slice)));
    finish(&Compared { args, hosts: &names, only, comparison: &comparison })
}

fn finish(compared: &Compared<'_>) -> Result<Exit, Failure> {
    let Compared { args, comparison, .. } = compared;
    print::data(&match args.format {
        Form::Human => human::text(compared),
        Form::Markdown => markdown::text(compared),
        Form::Json => json::text(compared),
    })?;
    let tripped = tripped(compared);
    let exit = if tripped.is_some() { Exit::Findings } else { Exit::Clean };
    chain::say(tripped.into_iter().collect(), &Sources::default());
    let counts = Counts::of(comparison);
    print::say(&format!(
        "compared {} with {} on {}: {}\n",
        super::render::escape(&args.old),
        super::render::escape(&args.new),
        super::render::escape(&compared.on()),
        counts.words()
    ));
    Ok(exit)
}

/// A policy without errors; else they are said, and of which policy they are.
fn sound(read: chain::Read, which: &str, word: &str) -> Result<(Policy, Files, Sink), Exit> {
    let sound = chain::sound(read);
    if sound.is_err() {
        let word = super::render::escape(word);
        print::say(&format!("nothing is compared: the {which} policy, {word}, has errors\n"));
    }
    sound
}

fn read(word: &str) -> Result<chain::Read, Failure> {
    let input = match git::Revision::of(word) {
        Some(revision) => git::read(&revision)?,
        None => input::read(&[PathBuf::from(word)])?,
    };
    Ok(chain::understand(input))
}

/// The hosts of a policy: those that are named, else its own. The change that is judged does not choose alone on what.
fn of_policy(
    args: &args::Compare,
    which: &str,
    word: &str,
    (policy, files): &(Policy, Files),
) -> Result<Vec<Host>, Failure> {
    let is_file = |topology: &Spanned<String>| !topology.value.starts_with("builtin:");
    let of_files = policy.settings.topologies.iter().any(is_file);
    // What it names lies beside its files, which are in no directory.
    if args.topology.is_empty() && of_files && git::Revision::of(word).is_some() {
        return Err(Failure::usage(
            format!("the {which} policy is read from git, and its topologies are not"),
            "name the hosts by `--topology`, once for each",
        ));
    }
    hosts::all(&args.topology, policy, &files.sources)
}

/// All of both, each once.
fn united(old: Vec<Host>, new: Vec<Host>) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    for host in old.into_iter().chain(new) {
        if !hosts.iter().any(|known| known.name == host.name) {
            hosts.push(host);
        }
    }
    hosts
}

/// Those that the other policy is not for.
fn missing<'n>(names: &'n [String], others: Option<&[String]>) -> Vec<&'n str> {
    let others = others.unwrap_or_default();
    names.iter().filter(|name| !others.contains(name)).map(String::as_str).collect()
}

/// What a policy means on each of the hosts; nothing if it has errors there, which are said.
fn resolutions<'a>((policy, files): &'a (Policy, Files), hosts: &'a [Host]) -> Option<Vec<Resolution<'a>>> {
    let mut sink = Sink::default();
    let resolutions: Option<Vec<_>> =
        hosts.iter().map(|host| chain::resolution(policy, host, &mut sink)).collect();
    if resolutions.is_none() {
        chain::say(chain::errors(sink), &files.sources);
    }
    resolutions
}

fn undecided() -> Finding {
    let help = "compare smaller steps, or on fewer hosts by `--topology`, or write patterns with fewer `*` and `?`, \
                or give containers of Docker at most 128 GPUs at once";
    Finding::general(Code::DiffUndecided, "the two policies are too complex to compare exactly").help(help)
}

/// The gate that the change does not pass.
fn tripped(compared: &Compared<'_>) -> Option<Finding> {
    let Compared { args, comparison, .. } = compared;
    let (code, wanted): (_, fn(Direction) -> bool) = match (args.fail_on, args.expect) {
        (Some(Gate::Gains), _) => (Code::DiffGains, Direction::may_gain),
        (Some(Gate::Losses), _) => (Code::DiffLosses, Direction::may_lose),
        (Some(Gate::Any), _) | (_, Some(Expectation::Equivalent)) => (Code::NotEquivalent, |_| true),
        (None, None) => return None,
    };
    let (_, change) = comparison.changes().find(|(_, change)| wanted(change.direction))?;
    let what = match code {
        Code::DiffGains => "the new policy gives what the old one does not",
        Code::DiffLosses => "the new policy does not give what the old one does",
        _ => "the two policies are not the same for every container",
    };
    let first = words::change(change, compared).plain();
    let witness = change.witness.as_ref().map_or_else(
        || "every container".to_owned(),
        |one| format!("{}{}", one.kdl(), words::place(one, compared)),
    );
    let finding = Finding::general(code, format!("{what}: {first}")).witness(witness);
    Some(finding.help(format!("if that is meant, leave out `{}`", gate(args))))
}

fn gate(args: &args::Compare) -> &'static str {
    match args.fail_on {
        Some(Gate::Gains) => "--fail-on gains",
        Some(Gate::Losses) => "--fail-on losses",
        Some(Gate::Any) => "--fail-on any",
        None => "--expect equivalent",
    }
}

impl Compared<'_> {
    /// The hosts that only one policy is for, and which one that is.
    fn only(&self) -> impl Iterator<Item = (&'static str, &[&str])> {
        let which = ["old", "new"].into_iter().zip(&self.only);
        which.filter(|(_, names)| !names.is_empty()).map(|(which, names)| (which, names.as_slice()))
    }

    /// `a.json, b.json (only the old policy is for a.json)`
    fn on(&self) -> String {
        let only: Vec<String> = self
            .only()
            .map(|(which, names)| format!("only the {which} policy is for {}", names.join(", ")))
            .collect();
        let only = if only.is_empty() { String::new() } else { format!(" ({})", only.join("; ")) };
        format!("{}{only}", self.hosts.join(", "))
    }
}

impl Counts {
    fn of(comparison: &Comparison) -> Self {
        Self::of_all(comparison.changes().map(|(_, change)| change))
    }

    fn of_all<'c>(changes: impl Iterator<Item = &'c Change>) -> Self {
        let mut counts = Self::default();
        for change in changes {
            *match change.direction {
                Direction::Gain => &mut counts.gains,
                Direction::Loss => &mut counts.losses,
                Direction::Other => &mut counts.others,
            } += 1;
        }
        counts
    }

    /// `2 gains, no losses, 1 other change`
    fn words(self) -> String {
        let plural = |count: usize, one: &str, more: &str| match count {
            0 => format!("no {more}"),
            1 => format!("1 {one}"),
            _ => format!("{count} {more}"),
        };
        [
            plural(self.gains, "gain", "gains"),
            plural(self.losses, "loss", "losses"),
            plural(self.others, "other change", "other changes"),
        ]
        .join(", ")
    }
}
