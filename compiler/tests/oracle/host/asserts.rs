//! Asserts: who reaches what, and which amounts can be had, said of every tenant, gpu-set, capability and grant.

use std::collections::{BTreeMap, BTreeSet};

use gpupol::outcome::assert::{Judge, Verdict};

use super::world::{CAPABILITIES, Grant, Key, TENANTS, World, rich_world};
use super::{Case, resolved};
use crate::text::quoted;
use crate::{Read, same, worlds};

/// Every claim that can be made of a world, as it is written.
fn claims(world: &World) -> Vec<String> {
    let mut claims = Vec::new();
    for tenants in ["t u", "t v", "u v", "t u v"] {
        claims.extend([format!("isolated {tenants}"), format!("isolated {tenants} level=gpu")]);
    }
    for tenants in ["t", "u", "v", "t v"] {
        claims.extend((0..world.sets.len()).map(|set| format!("only {tenants} reaches s{set}")));
        claims.push(format!("never {} for {tenants}", CAPABILITIES.join(" ")));
    }
    claims.extend((0..world.grants.len()).map(|at| format!("always-satisfiable g{at}")));
    claims
}

/// What is so of a world in which some devices are kept for somebody.
struct Truth<'w> {
    world: &'w World,
    owners: &'w BTreeMap<Key, usize>,
}

fn number(name: &str) -> usize {
    name[1..].parse().unwrap()
}

fn tenant(name: &str) -> usize {
    TENANTS.iter().position(|own| *own == name).unwrap()
}

impl Truth<'_> {
    fn reached(&self, name: &str) -> BTreeSet<Key> {
        let open = |grant: &Grant| self.world.open(tenant(name), grant, self.owners);
        self.world.grants.iter().flat_map(open).collect()
    }

    /// In which ways a claim does not hold, in the words of its findings that are checked.
    fn failures(&self, words: &[&str]) -> Vec<String> {
        match words {
            ["isolated", tenants @ .., "level=gpu"] => self.meetings(tenants, "GPU", |key| (key.0, None)),
            ["isolated", tenants @ ..] => self.meetings(tenants, "device", |key| key),
            ["only", tenants @ .., "reaches", set] => self.trespasses(tenants, number(set)),
            ["never", capabilities @ .., "for", name] => self.gifts(capabilities, &[name]),
            ["never", compute, utility, video, "for", tenants @ ..] => {
                self.gifts(&[compute, utility, video], tenants)
            }
            ["always-satisfiable", grant] => self.shortages(number(grant)),
            other => panic!("{other:?}"),
        }
    }

    fn meetings(&self, tenants: &[&str], noun: &str, place: fn(Key) -> Key) -> Vec<String> {
        let places = |name: &str| self.reached(name).into_iter().map(place).collect::<BTreeSet<Key>>();
        let mut failures = Vec::new();
        for (at, one) in tenants.iter().enumerate() {
            for other in &tenants[at + 1..] {
                let both = places(one).intersection(&places(other)).count();
                if both > 0 {
                    failures.push(format!("{one} {other} {both} {noun}"));
                }
            }
        }
        failures
    }

    fn trespasses(&self, tenants: &[&str], set: usize) -> Vec<String> {
        let widest = self.world.members(set).0;
        let others = TENANTS.iter().filter(|name| !tenants.contains(name));
        let within = others.map(|name| (name, self.reached(name).intersection(&widest).count()));
        within.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count} device")).collect()
    }

    fn gifts(&self, capabilities: &[&str], tenants: &[&str]) -> Vec<String> {
        let mut failures = Vec::new();
        for name in tenants {
            for (at, grant) in self.world.grants.iter().enumerate() {
                let rights = self.world.rights(tenant(name), grant);
                let open = self.world.open(tenant(name), grant, self.owners);
                let given = capabilities.iter().filter(|one| rights.contains(*one) && !open.is_empty());
                failures.extend(given.map(|one| format!("{name} g{at} {one}")));
            }
        }
        failures
    }

    /// Tenants that cannot have some amount which a grant allows, with the least such amount.
    fn shortages(&self, at: usize) -> Vec<String> {
        let grant = &self.world.grants[at];
        if self.world.members(grant.set).1.is_empty() {
            return Vec::new();
        }
        let short = |to: &usize| {
            let open = self.world.open(*to, grant, self.owners);
            let most = grant.at_most.unwrap_or(open.len().max(1));
            let on =
                |node: u32| open.iter().filter(|key| self.world.boards[key.0 as usize].numa == node).count();
            let together = if grant.same_numa { on(0).max(on(1)) } else { open.len() };
            let can = together.min(self.world.limits[*to].unwrap_or(usize::MAX));
            (can < most).then(|| format!("{} {}", TENANTS[*to], can + 1))
        };
        grant.to.iter().filter_map(short).collect()
    }

    /// What a claim is about that has no device on the host.
    fn absent(&self, words: &[&str]) -> BTreeSet<String> {
        let without = |tenants: &[&str]| {
            let idle = tenants.iter().filter(|name| self.reached(name).is_empty());
            idle.map(|name| format!("tenant `{name}`")).collect()
        };
        match words {
            ["isolated", tenants @ .., "level=gpu"] | ["isolated", tenants @ ..] => without(tenants),
            ["only", .., set] => {
                let empty = self.world.members(number(set)).0.is_empty();
                empty.then(|| format!("gpu-set `{set}`")).into_iter().collect()
            }
            ["never", _, _, _, "for", tenants @ ..] => without(tenants),
            [_, grant] => {
                let empty = self.world.members(self.world.grants[number(grant)].set).1.is_empty();
                empty.then(|| format!("grant `{grant}`")).into_iter().collect()
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The ways in which a verdict says that a claim does not hold, in the same words.
fn said(words: &[&str], verdict: &Verdict) -> Vec<String> {
    let way = |message: &str| {
        let names = quoted(message);
        let count = message.rsplit_once("reach").map(|(_, rest)| rest.split(' ').skip(1).take(2));
        let count = count.map(|words| words.collect::<Vec<_>>().join(" ").trim_end_matches('s').to_owned());
        match words[0] {
            "isolated" => format!("{} {} {}", names[0], names[1], count.unwrap()),
            "only" => format!("{} {}", names[0], count.unwrap()),
            "never" => format!("{} {} {}", names[1], names[0], names[2]),
            _ => format!("{} {}", names[2], names[3].split_once('=').unwrap().1),
        }
    };
    verdict.findings.iter().map(|finding| way(&finding.message)).collect()
}

fn compare(case: &Case<'_>, verdicts: &[(String, Verdict)]) -> Result<(), String> {
    let owners = case.reserved()?;
    let truth = Truth { world: case.world, owners: &owners };
    for (claim, verdict) in verdicts {
        let words: Vec<&str> = claim.split(' ').collect();
        same(claim, said(&words, verdict), truth.failures(&words))?;
        let absent = truth.absent(&words);
        if verdict.absent != absent {
            return Err(format!("{claim}: {:?} are absent, and not {absent:?}", verdict.absent));
        }
    }
    Ok(())
}

#[test]
fn what_is_asserted_is_what_everybody_reaches() {
    worlds("asserts", |dice| {
        let (world, read) = loop {
            let world = rich_world(dice);
            let asserts: String = claims(&world).iter().map(|claim| format!("assert {claim}\n")).collect();
            let read = Read::of(&(world.text() + &asserts));
            if read.policy.is_some() {
                break (world, read);
            }
        };
        let outcome = resolved(&world, &read, |case, asked| {
            let judged = asked.policy.asserts.iter().map(|assert| {
                let verdict = Judge::new(asked.policy, asked.resolution, asked.plans, "host").judge(assert);
                (assert.claim.to_string(), verdict)
            });
            compare(case, &judged.collect::<Vec<_>>())
        });
        (world.text(), outcome)
    });
}
