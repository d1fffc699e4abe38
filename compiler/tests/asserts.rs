//! Asserts, compared with a brute force that starts every container there is: it asks plan sets, and knows nothing of
//! how asserts are decided.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "what a test cannot make fails the test"
)]

#[cfg(test)]
mod given;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use given::{gpu, host, policy, sliced};
use gpupol::diag::{Code, Severity, Sink};
use gpupol::outcome::assert::{Grounds, Judge, Verdict};
use gpupol::outcome::{Gift, Outcome, Reader};
use gpupol::policy::{Policy, lower};
use gpupol::source::{Source, Sources};
use gpupol::topology::{Gpu, Topology};
use gpupol::{syntax, workload};
use gpupol_plan::choose::Leases;
use proptest::prelude::*;

const TENANTS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
struct Set {
    gpus: BTreeSet<u32>,
    mig: bool,
}

#[derive(Clone, Debug)]
struct Line {
    at_most: u32,
    place: &'static str,
}

#[derive(Clone, Debug)]
struct Grant {
    to: BTreeSet<&'static str>,
    /// By the number of the gpu-set.
    lines: BTreeMap<usize, Line>,
    capabilities: &'static str,
}

#[derive(Clone, Debug)]
struct World {
    sets: Vec<Set>,
    grants: Vec<Grant>,
    deny: Option<(&'static str, usize)>,
    guarantee: Option<(u32, usize)>,
    limit: Option<u32>,
}

fn worlds() -> impl Strategy<Value = World> {
    let set =
        (prop::collection::btree_set(0..5u32, 1..4), any::<bool>()).prop_map(|(gpus, mig)| Set { gpus, mig });
    let place = prop::sample::select(vec!["", " place=nvlink", " place=same-numa", " place=spread"]);
    let line = (1..4u32, place).prop_map(|(at_most, place)| Line { at_most, place });
    let to = prop::collection::btree_set(prop::sample::select(&TENANTS), 1..3);
    let capabilities = prop::sample::select(vec!["compute", "compute utility", "video"]);
    let grant = (to, prop::collection::btree_map(0..3usize, line, 1..3), capabilities)
        .prop_map(|(to, lines, capabilities)| Grant { to, lines, capabilities });
    (
        prop::collection::vec(set, 3),
        prop::collection::vec(grant, 1..4),
        prop::option::of((prop::sample::select(&TENANTS), 0..3usize)),
        prop::option::of((1..3u32, 0..3usize)),
        prop::option::of(1..4u32),
    )
        .prop_map(|(sets, grants, deny, guarantee, limit)| World {
            sets,
            grants,
            deny,
            guarantee,
            limit,
        })
}

impl World {
    fn text(&self) -> String {
        let mut text = String::new();
        for tenant in TENANTS {
            let own = if tenant == "a" { (self.guarantee, self.limit) } else { (None, None) };
            let guarantee = own.0.map(|(gpus, set)| format!("; guarantee gpus={gpus} from=s{set}"));
            let least = own.0.map_or(0, |(gpus, _)| gpus);
            let limit = own.1.map(|limit| format!("; limit gpus={}", limit.max(least)));
            let (guarantee, limit) = (guarantee.unwrap_or_default(), limit.unwrap_or_default());
            text +=
                &format!("tenant {tenant} {{ identity kubernetes namespace={tenant}{guarantee}{limit} }}\n");
        }
        for (at, set) in self.sets.iter().enumerate() {
            let uuids = set.gpus.iter().map(|index| format!("\"{}\"", gpu(*index, "A").uuid));
            let mig = if set.mig { "; mig-profile \"1g.10gb\"" } else { "" };
            text += &format!("gpu-set s{at} {{ uuid {}{mig} }}\n", uuids.collect::<Vec<_>>().join(" "));
        }
        for (at, grant) in self.grants.iter().enumerate() {
            let to: Vec<&str> = grant.to.iter().copied().collect();
            let lines: String = grant
                .lines
                .iter()
                .map(|(set, line)| format!(" gpus s{set} at-most={}{}\n", line.at_most, line.place))
                .collect();
            let (to, capabilities) = (to.join(" "), grant.capabilities);
            text += &format!("grant g{at} rank={at} {{\n to {to}\n{lines} capabilities {capabilities}\n}}\n");
        }
        if let Some((tenant, set)) = self.deny {
            text += &format!("deny d {{ to {tenant}; gpus s{set} }}\n");
        }
        text
    }
}

/// Odd GPUs are in MIG mode; NVLink joins 0 and 2, and 4 is on a NUMA node of its own.
fn hardware() -> Topology {
    let make = |index: u32| match index {
        1 => sliced(gpu(index, "A"), &["1g.10gb", "3g.40gb", "1g.10gb"]),
        3 => sliced(gpu(index, "A"), &["3g.40gb", "1g.10gb"]),
        4 => Gpu { numa: gpupol::topology::Fact::Known(vec![1]), ..gpu(index, "A") },
        _ => gpu(index, "A"),
    };
    host((0..5).map(make).collect(), &[&[0, 2]])
}

/// What starts containers on the host.
struct Force<'a> {
    policy: &'a Policy,
    plans: &'a Reader<'a>,
    topology: &'a Topology,
    world: &'a World,
    reached: BTreeMap<&'static str, Reached>,
}

/// UUIDs of devices with their GPUs, and the names of capabilities.
type Reached = (BTreeSet<(String, u32)>, BTreeSet<&'static str>);

impl Force<'_> {
    fn start(&self, container: &str) -> Option<Box<Gift>> {
        let sources = Sources::new(vec![Source::new("w.kdl", container)]);
        let (id, source) = sources.iter().next().unwrap();
        let mut sink = Sink::default();
        let document = syntax::parse(id, source, &mut sink);
        let container = lower::container(&document, &mut sink).unwrap();
        let workload = workload::describe(&container, self.policy);
        match self.plans.start(&workload, &Leases::new()) {
            Outcome::Granted(gift) => Some(gift),
            Outcome::Denied { .. } | Outcome::NotAsked => None,
        }
    }

    /// Every device of the host with its GPU.
    fn devices(&self) -> Vec<(String, u32)> {
        let of = |gpu: &Gpu| {
            let migs = gpu.mig_devices.iter().map(|mig| mig.uuid.clone());
            migs.chain([gpu.uuid.clone()]).map(|uuid| (uuid, gpu.index)).collect::<Vec<_>>()
        };
        self.topology.gpus.iter().flat_map(of).collect()
    }

    /// What a tenant gets by naming each device under each grant.
    fn try_all(&self, tenant: &str) -> Reached {
        let (mut devices, mut capabilities) = (BTreeSet::new(), BTreeSet::new());
        for grant in 0..self.world.grants.len() {
            for (uuid, gpu) in self.devices() {
                let gift = self.start(&format!(
                    "container engine=kubernetes namespace={tenant} {{ annotation \"gpupol.io/grant\"=g{grant}; request visible-devices=\"{uuid}\" capabilities=all }}"
                ));
                if let Some(gift) = gift {
                    assert_eq!(gift.devices.len(), 1);
                    devices.insert((uuid, gpu));
                    capabilities.extend(gift.capabilities.iter().map(|capability| capability.name()));
                }
            }
        }
        (devices, capabilities)
    }

    /// UUIDs that a set has: a GPU with its MIG devices, or MIG devices of the profile.
    fn has(&self, set: usize) -> BTreeSet<String> {
        let Set { gpus, mig } = &self.world.sets[set];
        let chosen = self.topology.gpus.iter().filter(|gpu| gpus.contains(&gpu.index));
        let of = |gpu: &Gpu| {
            let migs = gpu.mig_devices.iter().filter(|one| !*mig || one.profile == "1g.10gb");
            let migs = migs.map(|one| one.uuid.clone());
            migs.chain((!*mig).then(|| gpu.uuid.clone())).collect::<Vec<_>>()
        };
        chosen.flat_map(of).collect()
    }

    /// Whether a grant could give anything of its sets: GPUs in MIG mode are not given whole, and not in parts by a set
    /// of whole GPUs.
    fn is_here(&self, grant: &Grant) -> bool {
        let in_mig_mode = |index: u32| index % 2 == 1;
        grant.lines.keys().any(|set| {
            let Set { gpus, mig } = &self.world.sets[*set];
            gpus.iter().any(|index| in_mig_mode(*index) == *mig)
        })
    }

    fn always_satisfiable(&self, at: usize) -> bool {
        let grant = &self.world.grants[at];
        if !self.is_here(grant) {
            return true;
        }
        let mut amounts: Vec<Vec<String>> = vec![Vec::new()];
        for (set, line) in &grant.lines {
            let with = |amounts: &Vec<String>| {
                let more = |amount| [amounts.clone(), vec![format!("s{set}={amount}")]].concat();
                (0..=line.at_most).map(more).collect::<Vec<_>>()
            };
            amounts = amounts.iter().flat_map(with).collect();
        }
        let something = |amounts: &&Vec<String>| !amounts.iter().all(|amount| amount.ends_with("=0"));
        let can_have = |tenant: &str, amounts: &[String]| {
            let amounts = amounts.join(",");
            let asks =
                format!("annotation \"gpupol.io/grant\"=g{at}; annotation \"gpupol.io/gpus\"=\"{amounts}\"");
            self.start(&format!(
                "container engine=kubernetes namespace={tenant} {{ {asks}; env NVIDIA_DRIVER_CAPABILITIES=all }}"
            ))
            .is_some()
        };
        grant
            .to
            .iter()
            .all(|tenant| amounts.iter().filter(something).all(|amounts| can_have(tenant, amounts)))
    }

    /// Whether a claim, as it is written, holds.
    fn holds(&self, claim: &str) -> bool {
        let (name, rest) = claim.split_once(' ').unwrap();
        let words: Vec<&str> = rest.split(' ').collect();
        match (name, words.as_slice()) {
            ("isolated", [one, other, level @ ..]) => {
                let (one, other) = (&self.reached[one].0, &self.reached[other].0);
                let same =
                    |a: &(String, u32), b: &(String, u32)| if level.is_empty() { a == b } else { a.1 == b.1 };
                !one.iter().any(|a| other.iter().any(|b| same(a, b)))
            }
            ("only", [tenant, _, set]) => {
                let set = self.has(set[1..].parse().unwrap());
                let others = TENANTS.iter().filter(|other| *other != tenant);
                others.flat_map(|other| &self.reached[other].0).all(|(uuid, _)| !set.contains(uuid))
            }
            ("never", [capability, _, tenant]) => !self.reached[tenant].1.contains(capability),
            ("always-satisfiable", [grant]) => self.always_satisfiable(grant[1..].parse().unwrap()),
            _ => panic!("{claim}"),
        }
    }
}

fn claims(world: &World) -> Vec<String> {
    let mut claims: Vec<String> = Vec::new();
    for (one, other) in [("a", "b"), ("a", "c"), ("b", "c")] {
        claims.extend([format!("isolated {one} {other}"), format!("isolated {one} {other} level=gpu")]);
    }
    for tenant in TENANTS {
        claims.extend((0..3).map(|set| format!("only {tenant} reaches s{set}")));
        claims.extend(["compute", "utility", "video"].map(|name| format!("never {name} for {tenant}")));
    }
    claims.extend((0..world.grants.len()).map(|grant| format!("always-satisfiable g{grant}")));
    claims
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_failure_is_missed_and_none_is_made_up(world in worlds()) {
        let claims = claims(&world);
        let asserts: String = claims.iter().map(|claim| format!("assert {claim}\n")).collect();
        let given = policy(&(world.text() + &asserts));
        let topology = hardware();
        let (_, findings) = given.on(&topology);
        prop_assume!(findings.iter().all(|finding| finding.severity != Severity::Error));
        let set = given.plan_set(&topology);
        let plans = Reader::open(&set).unwrap();
        let mut force = Force {
            policy: &given.policy,
            plans: &plans,
            topology: &topology,
            world: &world,
            reached: BTreeMap::new(),
        };
        force.reached = TENANTS.iter().map(|tenant| (*tenant, force.try_all(tenant))).collect();
        let (resolution, _) = given.on(&topology);
        let together = Judge::new(&given.policy, &resolution, &plans, "host");
        for assert in &given.policy.asserts {
            let claim = assert.claim.to_string();
            let verdict = Judge::new(&given.policy, &resolution, &plans, "host").judge(assert);
            let said = format!("{claim}\n{}\n{verdict:?}", world.text());
            prop_assert_eq!(verdict.findings.is_empty(), force.holds(&claim), "{}", said);
            prop_assert_eq!(together.judge(assert), verdict, "others before it change nothing: {}", claim);
        }
    }
}

fn verdicts(text: &str) -> Vec<Verdict> {
    let given = policy(text);
    let topology = hardware();
    let set = given.plan_set(&topology);
    let plans = Reader::open(&set).unwrap();
    let (resolution, _) = given.on(&topology);
    let judge = |assert| Judge::new(&given.policy, &resolution, &plans, "host").judge(assert);
    given.policy.asserts.iter().map(judge).collect()
}

#[test]
fn a_failing_assert_shows_the_rules_and_the_device() {
    let text = "tenant a { identity podman }\ntenant b { identity kubernetes namespace=b }
gpu-set s { model A }\ngpu-set t { model A; mig-profile \"1g.10gb\" }
grant one { to a; gpus s; capabilities compute }\ngrant two { to b; gpus t; capabilities compute video }
assert isolated a b level=gpu\nassert only a reaches s\nassert never video for b a\nassert isolated a b";
    let verdicts = verdicts(text);
    let counts: Vec<usize> = verdicts.iter().map(|verdict| verdict.findings.len()).collect();
    // A set of whole GPUs has, as a deny reads it, their MIG devices too.
    assert_eq!(counts, [0, 1, 1, 0]);
    let finding = &verdicts[1].findings[0];
    assert_eq!(finding.code, Code::AssertFailed);
    assert_eq!(finding.message, "tenant `b` reaches 3 devices of gpu-set `s` on `host`");
    let said: Vec<&str> = finding.labels.iter().map(|label| label.text.as_str()).collect();
    assert_eq!(
        said,
        [
            "asserted to be out of reach of `b`",
            "grant `two` is for `b`",
            "it gives gpu-set `t`",
            "which has MIG device 1:0"
        ]
    );
    let witness = finding.witness.as_deref().unwrap();
    assert!(witness.starts_with("MIG device 1:0 (1g.10gb of A, MIG-"), "{witness}");
    assert!(witness.ends_with("), which `b` reaches"), "{witness}");
}

#[test]
fn what_is_claimed_again_is_told_at_its_own_place() {
    let claims = "assert isolated a b level=gpu\nassert only a reaches s\nassert never video compute for b a
assert isolated a b\nassert always-satisfiable two\nassert only b reaches t\n";
    let text = "tenant a { identity podman }\ntenant b { identity kubernetes namespace=b }
trust m reason=\"reads all\" { identity kubernetes namespace=m }
gpu-set s { model A }\ngpu-set t { model A; mig-profile \"1g.10gb\" }
grant one { to a m; gpus s; capabilities compute }\ngrant two { to b; gpus t at-most=9; capabilities compute video }\n";
    let (given, topology) = (policy(&format!("{text}{claims}{claims}")), hardware());
    let set = given.plan_set(&topology);
    let plans = Reader::open(&set).unwrap();
    let (resolution, _) = given.on(&topology);
    let judge = || Judge::new(&given.policy, &resolution, &plans, "host");
    let alone: Vec<Verdict> = given.policy.asserts.iter().map(|assert| judge().judge(assert)).collect();
    let judge = judge();
    let together: Vec<Verdict> = given.policy.asserts.iter().map(|assert| judge.judge(assert)).collect();
    assert_eq!(together, alone);
    let told = alone.iter().filter(|verdict| !verdict.findings.is_empty()).count();
    let noted = alone.iter().filter(|verdict| !verdict.notes.is_empty()).count();
    assert!(told >= 6 && noted >= 2, "{told} {noted}");
}

#[test]
fn what_asserts_rest_on_is_named_as_far_as_it_is_read() {
    let text = "tenant a { identity podman }\ntenant b { identity kubernetes namespace=b }
gpu-set s { model A }\ngrant one { to a; gpus s; capabilities compute }\ngrant two rank=1 { to a b; gpus s; capabilities compute }
assert never video for a b\nassert never graphics for b\nassert never video for b a\n";
    let (given, topology) = (policy(text), hardware());
    let (resolution, _) = given.on(&topology);
    let named = |left: usize| {
        let left = Cell::new(left);
        let all = Grounds { policy: &given.policy, resolution: &resolution, left: &left };
        let of = |assert| {
            let (grounds, whole) = all.of(assert);
            (grounds.into_iter().map(|ground| (ground.tenant, ground.grant)).collect::<Vec<_>>(), whole)
        };
        given.policy.asserts.iter().map(of).collect::<Vec<_>>()
    };
    let each = resolution.grants.first().unwrap().devices().count();
    let whole = named(Grounds::MOST_NAMED);
    assert!(whole.iter().all(|(_, whole)| *whole));
    assert_eq!(whole.iter().map(|(grounds, _)| grounds.len()).collect::<Vec<_>>(), [3, 1, 3]);
    let cut = named(5 * each + 1);
    assert_eq!(cut.iter().map(|(_, whole)| *whole).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!((&cut[..2], &cut[2].0[..]), (&whole[..2], &whole[2].0[..1]));
    assert_eq!(named(1), [(vec![], false), (vec![], false), (vec![], false)]);
}

#[test]
fn what_has_no_device_on_a_host_decides_nothing_there() {
    let verdicts = verdicts(
        "tenant a { identity podman }\ntenant b { identity kubernetes namespace=b }
gpu-set s { model A }\ngpu-set none { model B }
grant one { to a; gpus s; capabilities compute }\ngrant two { to b; gpus none; capabilities compute }
assert isolated a b\nassert only a reaches none\nassert never video for b\nassert always-satisfiable two",
    );
    let absent: Vec<Vec<&str>> =
        verdicts.iter().map(|verdict| verdict.absent.iter().map(String::as_str).collect()).collect();
    assert_eq!(absent, [["tenant `b`"], ["gpu-set `none`"], ["tenant `b`"], ["grant `two`"]]);
    assert_eq!(
        verdicts.iter().map(|verdict| verdict.decided).collect::<Vec<_>>(),
        [true, false, false, false]
    );
    assert!(verdicts.iter().all(|verdict| verdict.findings.is_empty()));
}

#[test]
fn amounts_fail_at_the_first_that_cannot_be_had() {
    let said = |lines: &str, limit: &str| {
        let text = format!(
            "tenant a {{ identity podman{limit} }}\ngpu-set s {{ model A }}\ngpu-set t {{ uuid \"{}\" }}
             grant g {{\n to a\n {lines}\n capabilities compute\n}}\nassert always-satisfiable g",
            gpu(0, "A").uuid
        );
        let verdict = verdicts(&text).remove(0);
        verdict.findings.first().map(|finding| finding.witness.clone().unwrap())
    };
    let witness =
        |asked: &str| Some(format!("a container of `a` with the annotation `gpupol.io/gpus={asked}`"));
    assert_eq!(said("gpus s at-most=3", ""), None);
    assert_eq!(said("gpus s at-most=4000000000", ""), witness("s=4"));
    assert_eq!(said("gpus s at-most=all", ""), None);
    assert_eq!(said("gpus s at-most=3 place=nvlink", ""), witness("s=3"));
    assert_eq!(said("gpus s at-most=3", "; limit gpus=2"), witness("s=3"));
    assert_eq!(said("gpus s\n gpus t", ""), witness("s=1,t=1"));
    assert_eq!(said("gpus t\n gpus s at-most=2", ""), None);
}

#[test]
fn a_limit_in_the_way_is_what_is_to_be_raised() {
    let helps = |limit: u32, at_most: u32| {
        let text = format!(
            "tenant a {{ identity podman; limit gpus={limit} }}\ngpu-set s {{ model A }}
             grant g {{ to a; gpus s at-most={at_most}; capabilities compute }}\nassert always-satisfiable g",
        );
        let finding = verdicts(&text).remove(0).findings.remove(0);
        let of_limit = finding.labels.iter().any(|label| label.text == "`a` may hold no more");
        (finding.help.unwrap(), of_limit)
    };
    let raise = "raise `limit` to what the grant's lines allow together, or lower an `at-most`";
    assert_eq!(helps(2, 3), (raise.to_owned(), true));
    // There are three: a higher limit would not do.
    let more = "lower the line's `at-most`, or grant more devices";
    assert_eq!(helps(3, 4), (more.to_owned(), false));
}

#[test]
fn who_is_trusted_is_left_out_and_named() {
    let verdicts = verdicts(
        "tenant a { identity podman }\ntenant b { identity kubernetes namespace=b }
trust m reason=\"reads all\" { identity kubernetes namespace=m }\ntrust idle reason=\"asks for none\" { identity kubernetes namespace=i }
gpu-set s { model A; numa 1 }\ngpu-set t { model A; mig-profile \"1g.10gb\" }\ngpu-set u { model A; mig-profile \"3g.40gb\" }
grant one { to a; gpus s; capabilities compute }\ngrant two { to b; gpus t; capabilities compute }
grant all { to m; gpus u; capabilities utility }
assert isolated a b\nassert isolated a b level=gpu\nassert only b reaches u\nassert only m reaches u\nassert never video for m",
    );
    let notes: Vec<Vec<&str>> = verdicts
        .iter()
        .map(|verdict| verdict.notes.iter().map(|note| note.message.as_str()).collect())
        .collect();
    let board = "`assert isolated a b level=gpu` leaves trusted `m` out, which reaches 2 GPUs of these tenants on `host`";
    let set =
        "`assert only b reaches u` leaves trusted `m` out, which reaches 2 devices of gpu-set `u` on `host`";
    assert_eq!(notes, [vec![], vec![board], vec![set], vec![], vec![]]);
    assert!(verdicts.iter().all(|verdict| verdict.findings.is_empty()), "{verdicts:?}");
}
