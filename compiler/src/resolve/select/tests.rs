//! Gpu-sets put together from what each selector says of all devices, against each device judged by itself; and the findings of
//! a fleet, against those of hosts that know nothing of each other.

use super::*;
use crate::diag::{Finding, Severity};
use crate::policy::{Policy, lower};
use crate::resolve::{Everywhere, resolve};
use crate::source::{Source, Sources};
use crate::syntax;
use crate::topology::read::read;

const HOSTS: [&str; 3] = [
    include_str!("../../../../examples/topologies/hgx-h100-8x.json"),
    include_str!("../../../../examples/topologies/a100-mig.json"),
    include_str!("../../../../examples/topologies/mixed-l4-mi210.json"),
];
const FLEETS: u32 = 150;
const SELECTORS: [&str; 16] = [
    "host \"train-*\"",
    "host \"*-b\" \"dev-?\"",
    "model \"NVIDIA H100*\"",
    "model \"**\"",
    "memory at-least=\"80GiB\"",
    "memory at-most=\"80GiB\"",
    "vendor nvidia",
    "vendor amd",
    "numa 0",
    "driver at-least=\"550\"",
    "architecture hopper ampere",
    "compute-capability at-least=\"8.0\"",
    "mig-profile \"1g.10gb\" \"3g.40gb\" \"9g.1gb\"",
    "brand nvidia tesla",
    "any-of { uuid \"GPU-00000004-0000-4000-8000-000000000000\"; model \"*A100*\" \"*L4\"; vendor amd; any-of { numa 0; driver at-least=\"560\" } }",
    "any-of { numa 1; memory at-least=\"81GiB\"; host \"train-a\" }",
];

/// Numbers that are the same on every run.
struct Made(u64);

impl Made {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % bound
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(u32::try_from(all.len()).unwrap()) as usize]
    }
}

/// Sets of up to three selectors, each granted, some without what others have, some of the first devices alone.
fn policy(made: &mut Made) -> Policy {
    let mut text = "policy version=1\ntenant t { identity kubernetes namespace=\"t\" }\n".to_owned();
    for at in 0..10 {
        let mut words: Vec<String> = Vec::new();
        for _ in 0..1 + made.below(3) {
            let word = made.of(&SELECTORS);
            let kind = word.split(' ').next().unwrap();
            if words.iter().all(|other| !other.starts_with(kind)) {
                words.push(word.to_owned());
            }
        }
        if at > 0 && made.below(3) == 0 {
            words.push(format!("except s{}", made.below(at)));
        }
        if made.below(6) == 0 {
            words.push("first 2".to_owned());
        }
        let require = made.of(&["", "; require driver=\">=550\"", "; require cuda=\">=12.4\""]);
        text += &format!(
            "gpu-set s{at} {{ {} }}\ngrant g{at} rank={at} {{ to t; gpus s{at} at-most=2; capabilities compute{require} }}\n",
            words.join("; ")
        );
    }
    let sources = Sources::new(vec![Source::new("p.kdl", text.clone())]);
    let mut sink = Sink::default();
    let documents = syntax::parse_all(&sources, &mut sink);
    let policy = lower::lower(&documents, &mut sink);
    policy.unwrap_or_else(|| panic!("{text}\n{:?}", sink.errors().next()))
}

/// A recorded host of another name; of some GPUs some things are not known, or are otherwise.
fn host(made: &mut Made) -> Topology {
    let mut host = read("host", made.of(&HOSTS)).unwrap();
    made.of(&["train-a", "train-b", "dev-1", "lab"]).clone_into(&mut host.host);
    for driver in host.drivers.values_mut() {
        driver.version = match made.below(6) {
            0 => Fact::unknown("nobody asked"),
            1 => Fact::Known("not a version".to_owned()),
            2 => Fact::Known("535.10".to_owned()),
            _ => Fact::Known("570.10".to_owned()),
        };
    }
    let count = made.below(9);
    host.gpus.retain(|gpu| gpu.index < count);
    for gpu in &mut host.gpus {
        match made.below(12) {
            0 => gpu.memory = Fact::unknown("nobody asked"),
            1 => gpu.numa = Fact::unknown("nobody asked"),
            2 => gpu.numa = Fact::Absent,
            3 => gpu.mig = Fact::unknown("nobody asked"),
            4 => gpu.memory = Fact::Known(79 << 30),
            5 => gpu.compute_capability = Fact::unknown("nobody asked"),
            _ => {}
        }
    }
    host
}

/// The members of a set, of which each device is judged by itself.
fn each_judged(sets: &Sets, set: &prepared::Set, sink: &mut Sink) -> Positions {
    let mut members = sets.of_kind(set);
    for at in members.clone().iter() {
        let candidate = sets.judged.candidates.get(at).unwrap();
        if not_chosen(set.rule, candidate, Some(("host", &mut *sink))).is_some() {
            members.drop(at);
        }
    }
    sets.first(set.rule, members, "host", sink)
}

/// Why a set is empty, as each device is judged by itself.
fn emptied_by(sets: &Sets, set: &prepared::Set) -> Option<(Span, usize)> {
    let all = candidates(set.rule, sets.judged.topology);
    let is_whole = |candidate: &&Candidate<'_>| candidate.mig.is_none() || !set.rule.mig_profiles.is_empty();
    let mut left: Vec<&Candidate> = all.iter().filter(is_whole).collect();
    for selector in &set.rule.selectors {
        let before = left.len();
        left.retain(|candidate| !matches!(candidate.judge(selector), Verdict::No | Verdict::Near(..)));
        if left.is_empty() && before > 0 {
            return Some((selector.span, before));
        }
    }
    set.rule.except.first().filter(|_| !left.is_empty()).map(|except| (except.span, left.len()))
}

#[test]
fn what_selectors_say_together_is_what_they_say_of_each_device() {
    let (mut quiet, mut others, mut empty) = (0, 0, 0);
    for seed in 0..FLEETS {
        let mut made = Made(u64::from(seed));
        let (policy, topology) = (policy(&mut made), host(&mut made));
        let prepared = Prepared::of(&policy);
        let judged = Judged::of(&prepared, &topology);
        let left = Cell::new(usize::MAX);
        let mut sets = Sets { prepared: &prepared, judged, left, sets: Vec::new() };
        for set in &prepared.sets {
            let (mut each, mut together) = (Sink::default(), Sink::default());
            let expected = each_judged(&sets, set, &mut each);
            let Chosen { sure, hoped, .. } = sets.chosen(set);
            let (found, certain) = sets.told(set, sets.chosen(set), "host", &mut together);
            let (each, together) = (each.finish(), together.finish());
            if set.hosts.iter().any(|host| !sets.judged.is_host(*host)) {
                assert!(expected.is_empty() && each.is_empty(), "{seed}: {:?}", set.rule);
            } else {
                let keys = |of: &Positions| sets.at(of).map(|(key, _)| key).collect::<Vec<_>>();
                assert_eq!((keys(&found), &together), (keys(&expected), &each), "{seed}: {:?}", set.rule);
                let is_error = |finding: &Finding| finding.severity == Severity::Error;
                assert_eq!(certain, !each.iter().any(is_error), "{seed}: {:?}", set.rule);
                if set.rule.first.is_none() && sure == hoped {
                    assert!(keys(&sure) == keys(&expected) && each.is_empty(), "{seed}: {:?}", set.rule);
                    quiet += 1;
                } else {
                    others += 1;
                }
                if found.is_empty() {
                    assert_eq!(sets.emptied(set), emptied_by(&sets, set), "{seed}: {:?}", set.rule);
                    empty += 1;
                }
            }
            sets.sets.push(expected);
        }
    }
    let both = quiet > 200 && others > 200 && empty > 50;
    assert!(both, "a way is gone: {quiet}, {others}, {empty}");
}

#[test]
fn a_fleet_has_the_findings_of_its_hosts() {
    let (mut some, mut all) = (0, 0);
    for seed in 0..FLEETS {
        let mut made = Made(u64::from(seed) << 20);
        let policy = policy(&mut made);
        let hosts: Vec<Topology> = (0..1 + made.below(4)).map(|_| host(&mut made)).collect();
        let apart: Vec<Vec<Finding>> = hosts
            .iter()
            .map(|host| {
                let mut sink = Sink::default();
                resolve(&policy, host, &host.host, &mut sink);
                sink.finish()
            })
            .collect();
        let is_partial =
            |code| [Code::EmptyGpuSet, Code::RequirementUnmet, Code::NoSuchProfile].contains(&code);
        let place = |finding: &Finding| (finding.code, finding.labels[0].span);
        let on_all = |wanted: &Finding| {
            apart.iter().all(|own| own.iter().any(|finding| place(finding) == place(wanted)))
        };
        let expected: Vec<&Finding> =
            apart.iter().flatten().filter(|finding| !is_partial(finding.code) || on_all(finding)).collect();
        let (prepared, mut everywhere) = (Prepared::of(&policy), Everywhere::default());
        let mut together = Vec::new();
        for host in &hosts {
            let mut sink = everywhere.sink();
            let _ = prepared.on(host, &host.host, &mut sink);
            let own = sink.finish();
            everywhere.narrow(&own);
            together.extend(own);
        }
        everywhere.retain(&mut together);
        assert_eq!(together.iter().collect::<Vec<_>>(), expected, "{seed}");
        some += apart.iter().flatten().count() - expected.len();
        all += expected.iter().filter(|finding| is_partial(finding.code)).count();
    }
    assert!(some > 200 && all > 100, "one of both is never there: {some} on some hosts, {all} on all");
}
