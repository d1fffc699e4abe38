//! Who reaches which devices, fact by fact.

use std::collections::BTreeSet;

use super::telling::{Line, at, said};
use crate::outcome::why::{Barred, Decided, Fate, LineReach, NotFor, Reach, Reached};

/// More grants that do not give a device are not read by people.
const MOST_SHOWN: usize = 20;

/// What was asked.
pub(super) struct Asked<'a> {
    /// Of one tenant only.
    pub(super) tenant: Option<&'a str>,
    /// Of what is called so only.
    pub(super) gpu: Option<&'a str>,
    /// Why nobody has that, whatever the policy says.
    pub(super) out_of_service: Option<&'a str>,
    /// On which host.
    pub(super) host: &'a str,
}

pub(super) fn lines(reached: &Reached, asked: &Asked<'_>) -> Vec<Line> {
    let Asked { tenant, gpu, host, .. } = asked;
    let what = gpu.map_or("a device".to_owned(), |gpu| format!("device {gpu}"));
    let giving: Vec<&Reach> = reached.reach.iter().filter(|reach| reach.has_any()).collect();
    let not: Vec<&Reach> = reached.reach.iter().filter(|reach| !reach.has_any()).collect();
    let whose = tenant.map(|tenant| format!(" of tenant {tenant}")).unwrap_or_default();
    let head = match (asked.out_of_service, giving.is_empty()) {
        (Some(why), _) => format!("not reached on {host}: {why}"),
        (None, true) => format!("not reached: no grant{whose} gives {what} on {host}"),
        (None, false) => format!("reached: {} on {host}", who_gives(&giving, *tenant, &what)),
    };
    let mut lines = vec![said(0, head)];
    if asked.out_of_service.is_some() {
        return lines;
    }
    lines.extend(giving.iter().flat_map(|reach| grant(reach)));
    lines.extend(not.iter().take(MOST_SHOWN).flat_map(|reach| grant(reach)));
    if let Some(more) = not.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
        lines.push(said(
            0,
            format!("and {more} more, of a grant and a tenant each, do not; name a `--tenant`, or see `--format json`"),
        ));
    }
    lines.extend(beside(&reached.denies, &reached.not_for));
    lines
}

/// How many grants give something to how many tenants.
fn who_gives(giving: &[&Reach], tenant: Option<&str>, what: &str) -> String {
    let count = |of: fn(&Reach) -> &str| giving.iter().map(|reach| of(reach)).collect::<BTreeSet<_>>().len();
    let grants = match count(|reach| &reach.grant) {
        1 => ["1 grant", "gives"],
        count => [&format!("{count} grants"), "give"],
    };
    let ([grants, give], tenants) = (grants, count(|reach| &reach.tenant));
    match (tenant, tenants) {
        (Some(tenant), _) => format!("{grants} of tenant {tenant} {give} {what}"),
        (None, 1) => format!("{grants} {give} 1 tenant {what}"),
        (None, tenants) => format!("{grants} {give} {tenants} tenants {what}"),
    }
}

/// The rules beside a tenant's own grants.
pub(super) fn beside(denies: &[Barred], not_for: &[NotFor]) -> Vec<Line> {
    let denied = denies.iter().map(|barred| {
        let (deny, whom, what) = (&barred.deny, barred.tenants.join(", "), kept(barred));
        let text = format!("deny {deny} keeps tenant {whom} from {what}, whatever grants say");
        at(0, text, std::slice::from_ref(&barred.rule))
    });
    let of_others = not_for.iter().map(|other| {
        let NotFor { grant, rule, to, devices } = other;
        let (whom, what) = (to.join(", "), devices.join(", "));
        at(0, format!("grant {grant} gives {what}, and is for {whom}"), std::slice::from_ref(rule))
    });
    denied.chain(of_others).collect()
}

/// What a deny keeps: devices, or rights.
fn kept(barred: &Barred) -> String {
    let capabilities: Vec<&str> = barred.capabilities.iter().map(|one| one.name()).collect();
    let features: Vec<String> = barred.features.iter().map(ToString::to_string).collect();
    let rights = [
        (!capabilities.is_empty()).then(|| format!("capabilities {}", capabilities.join(", "))),
        (!features.is_empty()).then(|| format!("features {}", features.join(", "))),
    ];
    let devices = (!barred.devices.is_empty()).then(|| barred.devices.join(", "));
    let all: Vec<String> = [devices].into_iter().chain(rights).flatten().collect();
    all.join(" and ")
}

fn grant(reach: &Reach) -> Vec<Line> {
    let Reach { tenant, grant, rule, rank, named, when, .. } = reach;
    let only = if *named { ", to containers that ask for it by name" } else { "" };
    let text = if reach.has_any() {
        format!("grant {grant} (rank {rank}) gives tenant {tenant} devices{only}")
    } else {
        format!("grant {grant} (rank {rank}) gives tenant {tenant} none")
    };
    let mut lines = vec![at(0, text, std::slice::from_ref(rule))];
    lines.extend(when.iter().map(|clause| {
        at(1, format!("only to containers with {}", clause.text), std::slice::from_ref(&clause.rule))
    }));
    lines.extend(devices(reach, 1));
    lines
}

/// What comes of the devices, those of which the same is decided together.
pub(super) fn devices(reach: &Reach, depth: usize) -> Vec<Line> {
    reach.lines.iter().flat_map(|line| of_line(line, depth)).collect()
}

fn of_line(line: &LineReach, depth: usize) -> Vec<Line> {
    let mut groups: Vec<(&Fate, Vec<&str>)> = Vec::new();
    for fate in &line.devices {
        let same = |group: &&mut (&Fate, Vec<&str>)| group.0.why == fate.why && group.0.rules == fate.rules;
        match groups.iter_mut().find(same) {
            Some((_, devices)) => devices.push(&fate.device),
            None => groups.push((fate, vec![&fate.device])),
        }
    }
    let has = |fate: &Fate| fate.verdict == Decided::Reached;
    groups.sort_by_key(|(fate, _)| !has(fate));
    let mut lines: Vec<Line> = Vec::new();
    if !groups.iter().any(|(fate, _)| has(fate)) {
        lines.push(at(depth, format!("none of gpu-set {}", line.gpu_set), std::slice::from_ref(&line.rule)));
    }
    lines.extend(groups.iter().map(|(fate, devices)| {
        let not = if has(fate) { "" } else { "not " };
        at(depth, format!("{not}{}: {}", devices.join(", "), fate.why), &fate.rules)
    }));
    lines
}
