//! Why a container gets what it gets: every container of a small world, and what is said of each identity, grant and clause.

use std::collections::BTreeMap;

use gpupol::diag::Sink;
use gpupol::emit::{Digests, emit};
use gpupol::outcome::why::{Case, Decided, Story, Verdict};
use gpupol::outcome::{Outcome, Reader};
use gpupol::policy::{Container, Devices, Who};
use gpupol::resolve::resolve;
use gpupol::topology::Topology;
use gpupol::workload;
use gpupol_plan::choose::Leases;
use gpupol_plan::plan::Rule;
use gpupol_plan::refusal::Reason;

use crate::container::asking;
use crate::dice::Dice;
use crate::given::{gpu, host};
use crate::text::{any, glob, globs};
use crate::{Read, worlds};

mod containers;
mod model;

use containers::{Asks, Seen, everybody, known_ones};
use model::{Clause, Policy, policy};

const TENANTS: [&str; 3] = ["t", "u", "v"];

/// What comes of a container, in the words of the model.
#[derive(Debug, PartialEq, Eq)]
enum Comes {
    Granted(usize),
    Denied(Reason),
}

/// What the policy says of one container, and what is told of it.
struct Told<'w> {
    policy: &'w Policy,
    text: &'w str,
    seen: &'w Seen,
    owner: Option<usize>,
    story: Story,
}

impl Told<'_> {
    fn line(&self, rule: &Rule) -> &str {
        // `Read` puts one line before the text.
        self.text.lines().nth(rule.line as usize - 2).unwrap().trim()
    }

    /// The grants of the container's tenant: by rank, then by name.
    fn own(&self) -> Vec<usize> {
        let Some(owner) = self.owner else { return Vec::new() };
        let grants = &self.policy.grants;
        let mut own: Vec<usize> = (0..grants.len()).filter(|at| grants[*at].to.contains(&owner)).collect();
        own.sort_by_key(|at| (std::cmp::Reverse(grants[*at].rank), *at));
        own
    }

    /// What keeps a grant from the container: which clause, or that a name is missing or another.
    fn fails(&self, at: usize) -> Option<Verdict> {
        let grant = &self.policy.grants[at];
        match self.seen.named {
            Some(name) if name != at => return Some(Verdict::AnotherIsNamed),
            None if grant.named => return Some(Verdict::OnlyByName),
            _ => {}
        }
        let position = grant.tested().iter().position(|clause| !self.seen.fulfils(clause))?;
        let clause = Rule { file: String::new(), line: 0, name: String::new() };
        Some(Verdict::Fails { clause, position, why: String::new() })
    }

    fn applied(&self) -> Option<usize> {
        self.own().into_iter().find(|at| self.fails(*at).is_none())
    }

    /// The devices that the container's tenant has by a grant.
    fn has(&self, grant: usize, device: usize) -> bool {
        self.policy.gives(self.owner.unwrap(), grant, device)
    }

    fn comes(&self) -> Comes {
        let Some(grant) = self.applied() else {
            let reason = match (self.owner, self.seen.named) {
                (None, _) => Reason::NoTenant,
                (Some(_), Some(_)) => Reason::GrantNotApplicable,
                (Some(_), None) => Reason::NoGrant,
            };
            return Comes::Denied(reason);
        };
        match self.seen.asks {
            Asks::One if (0..2).any(|device| self.has(grant, device)) => Comes::Granted(grant),
            Asks::One => Comes::Denied(Reason::NoFreeDevice),
            Asks::Device(device) if self.has(grant, device) => Comes::Granted(grant),
            Asks::Device(_) => Comes::Denied(Reason::DeviceNotGranted),
        }
    }

    fn judge(&self) -> Result<(), String> {
        let came = match &self.story.outcome {
            Outcome::Granted(gift) => Comes::Granted(gift.grant[1..].parse().unwrap()),
            Outcome::Denied { refusal, .. } => Comes::Denied(refusal.reason),
            Outcome::NotAsked => return Err("it asks".to_owned()),
        };
        let owner = self.owner.map(|tenant| TENANTS[tenant].to_owned());
        if came != self.comes() || self.story.tenant != owner {
            return Err(format!("of {owner:?} {:?} comes, not {came:?}", self.comes()));
        }
        self.identities()?;
        self.grants()?;
        self.devices()
    }

    /// The identities that know it; if none does, those of its engine, each with what is otherwise.
    fn identities(&self) -> Result<(), String> {
        let mut so = Vec::new();
        for (tenant, identities) in self.policy.tenants.iter().enumerate() {
            for identity in identities {
                let miss = self.seen.who.misses(identity);
                let told = match (self.owner, &miss) {
                    (Some(owner), None) => owner == tenant,
                    (None, Some((key, _))) => *key != "engine",
                    _ => false,
                };
                if told {
                    so.push(format!("{} `{}` {miss:?}", TENANTS[tenant], identity.line()));
                }
            }
        }
        let said = self.story.identities.iter().map(|known| {
            let miss = known.mismatch.as_ref().map(|miss| (miss.key, miss.has.clone()));
            format!("{} `{}` {miss:?}", known.tenant, self.line(&known.rule))
        });
        let said: Vec<String> = said.collect();
        if said == so { Ok(()) } else { Err(format!("{said:#?} are said, and there are {so:#?}")) }
    }

    /// Every grant of the tenant, in order, each with what is decided and the clause that is false.
    fn grants(&self) -> Result<(), String> {
        let applied = self.applied();
        let mut so = Vec::new();
        for at in self.own() {
            let verdict = match (self.fails(at), applied) {
                (None, Some(first)) if first != at => format!("outranked by g{first}"),
                (None, _) => "applies".to_owned(),
                (Some(Verdict::Fails { position, .. }), _) => {
                    let clause = self.policy.grants[at].tested()[position].line();
                    format!("fails at {position}: {clause}")
                }
                (Some(verdict), _) => format!("{verdict:?}"),
            };
            so.push(format!("g{at} {}: {verdict}", self.policy.grants[at].rank));
        }
        let said = self.story.grants.iter().map(|tried| {
            let verdict = match &tried.verdict {
                Verdict::Applies => "applies".to_owned(),
                Verdict::Outranked { by } => format!("outranked by {by}"),
                Verdict::Fails { clause, position, .. } => {
                    format!("fails at {position}: {}", self.line(clause))
                }
                other => format!("{other:?}"),
            };
            format!("{} {}: {verdict}", tried.grant, tried.rank)
        });
        let said: Vec<String> = said.collect();
        if said == so { Ok(()) } else { Err(format!("{said:#?} is said, and so is {so:#?}")) }
    }

    /// What the applying grant has, and of a device that may not be had the denies, and the grants of others.
    fn devices(&self) -> Result<(), String> {
        let refused = match (self.comes(), self.seen.asks) {
            (Comes::Denied(Reason::DeviceNotGranted), Asks::Device(device)) => Some(device),
            _ => None,
        };
        let mut so = Vec::new();
        if let (Some(at), Some(owner)) = (self.applied(), self.owner) {
            for device in (0..2).filter(|device| refused.is_none_or(|refused| refused == *device)) {
                let verdict = match self.policy.grants[at].device == device {
                    false => Decided::NotSelected,
                    true if self.policy.gives(owner, at, device) => Decided::Reached,
                    true => Decided::Denied,
                };
                so.push(format!("g{at} {device} {verdict:?}"));
            }
        }
        if let (Some(device), Some(owner)) = (refused, self.owner) {
            so.extend(self.policy.denies_of(owner, device).map(|at| format!("d{at}")));
            so.extend(self.policy.for_others(owner, device).map(|at| format!("others' g{at}")));
        }
        let reach = self.story.reach.iter().flat_map(|reach| {
            let fates = reach.lines.iter().flat_map(|line| &line.devices);
            fates.map(|fate| format!("{} {} {:?}", reach.grant, fate.device, fate.verdict))
        });
        let denies = self.story.denies.iter().map(|deny| deny.deny.clone());
        let others = self.story.not_for.iter().map(|other| format!("others' {}", other.grant));
        let said: Vec<String> = reach.chain(denies).chain(others).collect();
        if said != so {
            return Err(format!("{said:#?} is said of devices, and so is {so:#?}"));
        }
        self.decided_by()
    }

    fn decided_by(&self) -> Result<(), String> {
        let blamed: Vec<&str> = self.story.decided_by.iter().map(|rule| self.line(rule)).collect();
        let so = match self.comes() {
            Comes::Granted(grant) => vec![self.policy.grants[grant].head(grant)],
            Comes::Denied(Reason::NoFreeDevice | Reason::DeviceNotGranted) => {
                vec![self.policy.grants[self.applied().unwrap()].gpus()]
            }
            Comes::Denied(_) => Vec::new(),
        };
        if blamed == so { Ok(()) } else { Err(format!("{blamed:?} are said to decide, not {so:?}")) }
    }
}

fn compare(
    policy: &Policy,
    text: &str,
    read: &Read,
    topology: &Topology,
    asks: &[Seen],
) -> Result<(), String> {
    let Some(lowered) = &read.policy else { return Err(format!("{:#?}", read.findings)) };
    let resolution = resolve(lowered, topology, "host", &mut Sink::default());
    let digests = Digests { policy: String::new(), topology: String::new() };
    let set = emit(lowered, &read.sources, &resolution, topology, &digests);
    let plans = Reader::open(&set).unwrap();
    let case =
        Case { policy: lowered, sources: &read.sources, resolution: &resolution, plans: &plans, topology };
    for seen in asks {
        let container = workload::describe(&seen.container(topology), lowered);
        let story = case.story(&container, plans.start(&container, &Leases::new()));
        let told = Told { policy, text, seen, owner: policy.owner(&seen.who), story };
        told.judge().map_err(|why| format!("{seen:?}: {why}"))?;
    }
    Ok(())
}

#[test]
fn what_is_said_of_a_container_is_what_decides_about_it() {
    let (topology, known) = (host(vec![gpu(0, "A"), gpu(1, "B")], &[]), known_ones());
    worlds("why of containers", |dice| {
        let (policy, text, read) = loop {
            let policy = policy(dice);
            if !policy.is_apart(&known) {
                continue;
            }
            let text = policy.text();
            let read = Read::of(&text);
            if read.policy.is_some() {
                break (policy, text, read);
            }
        };
        let asks = everybody(dice);
        let outcome = compare(&policy, &text, &read, &topology, &asks);
        (text, outcome)
    });
}
