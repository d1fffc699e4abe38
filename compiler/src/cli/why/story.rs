//! The story of one container, fact by fact.

use super::reached;
use super::telling::{Line, at, said};
use crate::cli::guarded;
use crate::outcome::why::{Guard, Known, Mismatch, Numbers, Story, Taken, Tried, Verdict};
use crate::outcome::{Gift, Outcome};

/// More identities that do not know a container are not read by people.
const MOST_SHOWN: usize = 12;

pub(super) fn lines(story: &Story, host: &str) -> Vec<Line> {
    let mut lines = vec![at(0, outcome(&story.outcome, host), &story.decided_by)];
    lines.extend(story.guard.iter().filter_map(guard));
    lines.push(said(0, format!("who: {}", story.who)));
    lines.extend(identities(story));
    lines.extend(story.numbers.iter().map(numbers));
    if let (Some(tenant), false) = (&story.tenant, story.grants.is_empty()) {
        lines.push(said(0, format!("grants of tenant {tenant}, in the order in which they are tried:")));
        lines.extend(story.grants.iter().map(tried));
    } else if let (Some(tenant), Outcome::Denied { .. }) = (&story.tenant, &story.outcome) {
        lines.push(said(1, format!("no grant of tenant {tenant} was tried")));
    }
    if let Some(reach) = &story.reach {
        lines.push(said(0, format!("devices that grant {} has for tenant {}:", reach.grant, reach.tenant)));
        lines.extend(reached::devices(reach, 1));
        lines.extend(reached::beside(&story.denies, &story.not_for));
    }
    lines
}

/// What the guard makes of it, if it does not refuse it.
fn guard(guard: &Guard) -> Option<Line> {
    Some(at(0, guarded::words(&guard.guarded)?, std::slice::from_ref(&guard.rule)))
}

fn outcome(outcome: &Outcome, host: &str) -> String {
    match outcome {
        Outcome::NotAsked => format!("not asked: the container asks for no GPU and gets none on {host}"),
        Outcome::Denied { refusal, .. } => {
            format!("denied ({}) on {host}: {}", refusal.reason.slug(), refusal.message)
        }
        Outcome::Granted(gift) => {
            let Gift { tenant, grant, devices, .. } = gift.as_ref();
            let devices: Vec<&str> = devices.iter().map(|device| device.index.as_str()).collect();
            let noun = if devices.len() == 1 { "device" } else { "devices" };
            format!("granted: {noun} {} to tenant {tenant} by grant {grant} on {host}", devices.join(", "))
        }
    }
}

/// ``its `--gpus 2` is taken by index, as GPUs 0, 1``
fn numbers(numbers: &Numbers) -> Line {
    let indices: Vec<String> = (0..numbers.count).map(|index| index.to_string()).collect();
    let noun = if numbers.count == 1 { "GPU" } else { "GPUs" };
    let (count, gpus) = (numbers.count, format!("{noun} {}", indices.join(", ")));
    let taken = match numbers.taken {
        Taken::Indices => format!("is taken by index, as {gpus}"),
        Taken::Amount => format!("is taken as a number, for {gpus} cannot be had"),
        Taken::Neither if count == 1 => format!("could mean {gpus}, or any device"),
        Taken::Neither => format!("could mean {gpus}, or any {count} devices"),
    };
    at(0, format!("its `--gpus {count}` {taken}"), std::slice::from_ref(&numbers.rule))
}

fn identities(story: &Story) -> Vec<Line> {
    let Story { tenant, identities, .. } = story;
    let mut lines: Vec<Line> = identities.iter().take(MOST_SHOWN).map(known).collect();
    if tenant.is_none() {
        lines.insert(0, said(1, "no identity knows it, so it is of no tenant"));
    }
    if let Some(more) = identities.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
        lines.push(said(1, format!("and {more} more identities do not; `--format json` has them")));
    }
    lines
}

fn known(known: &Known) -> Line {
    let Known { tenant, identity, rule, mismatch } = known;
    let text = match mismatch {
        None => format!("is of tenant {tenant}: `{identity}` knows it"),
        Some(Mismatch { key, has: Some(has) }) => {
            format!("is not of tenant {tenant} by `{identity}`: its {key} is `{has}`")
        }
        Some(Mismatch { key, has: None }) => {
            format!("is not of tenant {tenant} by `{identity}`: it has no {key}")
        }
    };
    at(1, text, std::slice::from_ref(rule))
}

fn tried(tried: &Tried) -> Line {
    let Tried { grant, rule, rank, verdict } = tried;
    let (text, rule) = match verdict {
        Verdict::Applies => (format!("{grant} (rank {rank}) applies"), rule),
        Verdict::Outranked { by } => {
            (format!("{grant} (rank {rank}) would apply, and {by} is tried before it"), rule)
        }
        Verdict::OnlyByName => (format!("{grant} is only for containers that ask for it by name"), rule),
        Verdict::AnotherIsNamed => (format!("{grant} is not the one that is asked for by name"), rule),
        Verdict::Fails { clause, why, .. } => (format!("{grant} does not apply: {why}"), clause),
    };
    at(1, text, std::slice::from_ref(rule))
}
