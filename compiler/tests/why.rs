//! `gpupol why`: what it names is what decided. Taking the blamed line out of the policy always changes the answer, and taking
//! out what comes after it never does; what it says comes out is what `gpupol plan` says.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "what a test cannot make fails the test, and it reads its inputs"
)]

#[cfg(test)]
#[path = "why/forms.rs"]
mod forms;
#[cfg(test)]
mod given;
#[cfg(test)]
mod printed;
#[cfg(test)]
mod ran;
#[cfg(test)]
#[path = "why/rules.rs"]
mod rules;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use given::{Given, gpu, host, sliced};
use gpupol::diag::{Severity, Sink};
use gpupol::outcome::why::{Case, Decided, Fate, Story, Taken, Tried, Verdict};
use gpupol::outcome::{Outcome, Reader};
use gpupol::policy::lower;
use gpupol::source::{Source, Sources};
use gpupol::syntax;
use gpupol::topology::{Fact, Gpu, Topology};
use gpupol::workload::{self, Workload};
use gpupol_plan::choose::Leases;
use gpupol_plan::entry::Engine;
use gpupol_plan::identity::{self, Facts, Who};
use gpupol_plan::index::Identity;
use gpupol_plan::plan::Rule;
use gpupol_plan::refusal::Reason;
use printed::Schema;
use proptest::prelude::*;
use serde_json::Value;

const FILE: &str = "p.kdl";

/// A grant, everything that could be blamed on a line of its own.
#[derive(Clone, Debug)]
struct Grant {
    to: BTreeSet<&'static str>,
    when: Vec<&'static str>,
    sets: BTreeSet<usize>,
    named: bool,
    require: bool,
    rank: usize,
}

#[derive(Clone, Debug)]
struct World {
    sets: Vec<Vec<&'static str>>,
    grants: Vec<Grant>,
    denies: BTreeSet<&'static str>,
    guarantee: Option<&'static str>,
}

impl World {
    fn text(&self) -> String {
        let guarantee = self.guarantee.map(|line| format!("  {line}\n")).unwrap_or_default();
        let mut text = format!(
            "tenant a {{\n  identity kubernetes namespace=a\n{guarantee}}}\ntenant b {{ identity kubernetes namespace=b }}\n"
        );
        for (at, words) in self.sets.iter().enumerate() {
            let words: String = words.iter().map(|word| format!("  {word}\n")).collect();
            text += &format!("gpu-set s{at} {{\n  vendor nvidia\n{words}}}\n");
        }
        for (at, grant) in self.grants.iter().enumerate() {
            text += &grant.text(at);
        }
        self.denies.iter().for_each(|deny| text += &format!("{deny}\n"));
        text
    }
}

impl Grant {
    fn text(&self, at: usize) -> String {
        let to: Vec<&str> = self.to.iter().copied().collect();
        let named = if self.named { " named=#true" } else { "" };
        let mut text = format!("grant g{at} rank={}{named} {{\n  to {}\n", self.rank * 10 + at, to.join(" "));
        if !self.when.is_empty() {
            let clauses: String = self.when.iter().map(|clause| format!("    {clause}\n")).collect();
            text += &format!("  when {{\n{clauses}  }}\n");
        }
        self.sets.iter().for_each(|set| text += &format!("  gpus s{set}\n"));
        if self.require {
            text += "  require driver=\">=600\"\n";
        }
        text + "  capabilities compute utility\n}\n"
    }
}

const CLAUSES: [&str; 7] = [
    "label stage=train",
    "label stage=dev",
    "label stage=\"*\"",
    "label tier=\"g*\"",
    "image \"ml/*\"",
    "engine kubernetes",
    "engine docker podman",
];

fn some_of(words: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(words, 0..=most).prop_shuffle()
}

/// As clauses are tested: labels by their keys, then the image, then the engine.
fn in_order(mut when: Vec<&'static str>) -> Vec<&'static str> {
    let kinds = ["label stage", "label tier", "image", "engine"];
    when.sort_by_key(|clause| kinds.iter().position(|kind| clause.starts_with(kind)));
    when
}

fn worlds(with_when: bool) -> impl Strategy<Value = World> {
    let set = |words| some_of(words, 3);
    let sets = (
        set(&["model A", "numa 0", "except s1", "except s2", "first 1", "memory at-least=\"40GiB\""]),
        set(&["model B", "numa 0 1", "except s2", "first 2", "memory at-least=\"90GiB\""]),
        set(&["model A", "mig-profile \"1g.10gb\"", "first 1", "numa 1"]),
    );
    let clauses = if with_when { 4 } else { 0 };
    let to = prop::sample::subsequence(&["a", "b"], 1..=2);
    let lines = prop::collection::btree_set(0..3usize, 1..3);
    let grant = (to, some_of(&CLAUSES, clauses), lines, any::<[bool; 3]>(), 0..3usize).prop_map(
        |(to, when, sets, [one, two, three], rank)| Grant {
            to: to.into_iter().collect(),
            when: in_order(when),
            sets,
            named: one && two,
            require: two && three,
            rank,
        },
    );
    let denies = prop::sample::subsequence(
        &[
            "deny d0 { to a; gpus s0 }",
            "deny d1 { to a b; gpus s2 }",
            "deny c0 { to b; capabilities compute }",
            "deny c1 { to b; capabilities utility }",
        ],
        0..4,
    );
    let guarantee = prop::option::of(prop::sample::select(vec![
        "guarantee gpus=1 from=s0",
        "guarantee gpus=1 from=s1",
        "guarantee gpus=2 from=s2",
    ]));
    let all = (sets, prop::collection::vec(grant, 1..4), denies, guarantee);
    all.prop_map(|((one, two, three), grants, denies, guarantee)| World {
        sets: vec![one, two, three],
        grants,
        denies: denies.into_iter().collect(),
        guarantee,
    })
}

/// 1 and 3 are in MIG mode, 3 and 4 are another model, and 4 is on a NUMA node of its own.
fn hardware() -> Topology {
    let make = |index: u32| match index {
        1 => sliced(gpu(index, "A"), &["1g.10gb", "3g.40gb", "1g.10gb"]),
        3 => sliced(gpu(index, "B"), &["3g.40gb", "1g.10gb"]),
        4 => Gpu { numa: Fact::Known(vec![1]), ..gpu(index, "B") },
        _ => gpu(index, "A"),
    };
    host((0..5).map(make).collect(), &[])
}

/// A policy whose text may be no sound one, on the host: then nothing.
fn sound(text: &str, topology: &Topology) -> Option<Given> {
    sound_with("policy version=1", text, topology)
}

fn sound_with(policy: &str, text: &str, topology: &Topology) -> Option<Given> {
    let sources = Sources::new(vec![Source::new("a-policy.kdl", policy), Source::new(FILE, text)]);
    let mut sink = Sink::default();
    let documents: Vec<_> = sources.iter().map(|(id, source)| syntax::parse(id, source, &mut sink)).collect();
    let policy = lower::lower(&documents, &mut sink)?;
    let given = Given { sources, policy };
    let has_errors =
        sink.has_errors() || given.on(topology).1.iter().any(|one| one.severity == Severity::Error);
    (!has_errors).then_some(given)
}

/// What `ask` says of the policy on the host.
fn asked<T>(given: &Given, topology: &Topology, ask: impl FnOnce(&Case<'_>) -> T) -> T {
    let (resolution, _) = given.on(topology);
    let set = given.plan_set(topology);
    let plans = Reader::open(&set).unwrap();
    let case = Case {
        policy: &given.policy,
        sources: &given.sources,
        resolution: &resolution,
        plans: &plans,
        topology,
    };
    ask(&case)
}

fn container(text: &str, given: &Given) -> Workload {
    let sources = Sources::new(vec![Source::new("w.kdl", text)]);
    let (id, source) = sources.iter().next().unwrap();
    let mut sink = Sink::default();
    let document = syntax::parse(id, source, &mut sink);
    workload::describe(&lower::container(&document, &mut sink).unwrap(), &given.policy)
}

fn story(given: &Given, topology: &Topology, text: &str) -> Story {
    let container = container(text, given);
    asked(given, topology, |case| case.story(&container, case.plans.start(&container, &Leases::new())))
}

#[test]
fn numbers_of_docker_are_said_to_be_taken_by_index_or_not() {
    let topology = hardware();
    for (kind, indices, gpus, count, wanted) in [
        ("tenant t {", "auto", "A", 1, Some(Taken::Indices)),
        ("tenant t {", "auto", "B", 1, Some(Taken::Amount)),
        ("tenant t {", "auto", "B", 9, Some(Taken::Neither)),
        ("tenant t {", "host", "A", 1, None),
        ("tenant t {", "count", "A", 1, None),
        ("trust t reason=r {", "auto", "B", 1, None),
    ] {
        let head = format!("policy version=1 {{ request-indices {indices} }}");
        let policy = format!(
            "{kind} identity docker }}\ngpu-set s {{ model {gpus} }}\n\
             grant g {{ to t; gpus s; capabilities compute }}\n"
        );
        let given = sound_with(&head, &policy, &topology).unwrap();
        let story = story(&given, &topology, &format!("container engine=docker {{ request gpus={count} }}"));
        let numbers = story.numbers.map(|numbers| (numbers.taken, numbers.count, numbers.rule.line));
        assert_eq!(numbers, wanted.map(|taken| (taken, count, 1)), "{policy}");
    }
}

/// A text without the lines of these rules.
fn without(text: &str, rules: &[Rule]) -> String {
    let is_blamed = |line: usize| rules.iter().any(|rule| rule.file == FILE && rule.line as usize == line);
    (1..)
        .zip(text.lines())
        .filter(|(line, _)| !is_blamed(*line))
        .map(|(_, text)| format!("{text}\n"))
        .collect()
}

fn line<'t>(text: &'t str, rule: &Rule) -> &'t str {
    text.lines().nth(rule.line as usize - 1).unwrap().trim()
}

fn containers() -> impl Strategy<Value = String> {
    let who = prop::sample::select(vec!["namespace=a", "namespace=b", "namespace=c"]);
    let words = some_of(
        &["label tier=gold", "image \"ml/x\"", "label stage=train", "annotation \"gpupol.io/grant\"=g0"],
        4,
    );
    let request =
        prop::sample::select(vec!["request gpus=1", "request visible-devices=\"0\"", "request gpus=3", ""]);
    (who, words, request).prop_map(|(who, words, request)| {
        let words: String = words.into_iter().chain([request]).map(|word| format!("\n {word}")).collect();
        format!("container engine=kubernetes {who} {{{words}\n}}")
    })
}

fn verdict<'s>(story: &'s Story, grant: &str) -> Option<&'s Verdict> {
    story.grants.iter().find(|tried| tried.grant == grant).map(|tried| &tried.verdict)
}

/// The grants in whose way nothing is, in order.
fn free(story: &Story) -> Vec<String> {
    let is_free = |tried: &&Tried| matches!(tried.verdict, Verdict::Applies | Verdict::Outranked { .. });
    story.grants.iter().filter(is_free).map(|tried| tried.grant.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_named_clause_is_the_one_that_decides(world in worlds(true), text in containers()) {
        let (topology, policy) = (hardware(), world.text());
        let given = sound(&policy, &topology);
        prop_assume!(given.is_some());
        let told = story(given.as_ref().unwrap(), &topology, &text);
        let applying: Vec<&Tried> = told.grants.iter().filter(|tried| tried.verdict == Verdict::Applies).collect();
        prop_assert!(applying.len() <= 1, "{told:#?}");
        match &told.outcome {
            Outcome::Granted(gift) => prop_assert_eq!(&applying[0].grant, &gift.grant),
            Outcome::Denied { refusal, .. } => {
                let by_grants = matches!(refusal.reason, Reason::NoGrant | Reason::GrantNotApplicable | Reason::NoTenant);
                prop_assert_eq!(by_grants, applying.is_empty(), "{:#?}", told);
            }
            Outcome::NotAsked => prop_assert!(told.grants.is_empty()),
        }
        prop_assert_eq!(told.tenant.is_some(), told.identities.iter().any(|known| known.mismatch.is_none()));
        for tried in &told.grants {
            match &tried.verdict {
                Verdict::Fails { clause, position, .. } => {
                    let number: usize = tried.grant[1..].parse().unwrap();
                    prop_assert_eq!(line(&policy, clause), world.grants[number].when[*position]);
                    // What stands before it holds, what comes after it does not matter, and it alone is in the way.
                    let cut = |to: usize| {
                        let mut cut = world.clone();
                        cut.grants[number].when.truncate(to);
                        sound(&cut.text(), &topology).map(|given| story(&given, &topology, &text))
                    };
                    if let Some(after) = cut(*position + 1) {
                        let same = matches!(verdict(&after, &tried.grant), Some(Verdict::Fails { position: at, .. }) if at == position);
                        prop_assert!(same, "{after:#?}");
                    }
                    if let Some(after) = cut(*position) {
                        prop_assert!(free(&after).contains(&tried.grant), "{after:#?}");
                    }
                }
                Verdict::OnlyByName => {
                    let number: usize = tried.grant[1..].parse().unwrap();
                    let mut open = world.clone();
                    open.grants[number].named = false;
                    if let Some(given) = sound(&open.text(), &topology) {
                        let after = story(&given, &topology, &text);
                        prop_assert!(verdict(&after, &tried.grant) != Some(&Verdict::OnlyByName), "{after:#?}");
                    }
                }
                Verdict::Outranked { by } => prop_assert_eq!(by, &applying[0].grant),
                Verdict::AnotherIsNamed => prop_assert!(text.contains("gpupol.io/grant") && tried.grant != "g0"),
                Verdict::Applies => {
                    // Without it the next one in whose way nothing is applies.
                    let number: usize = tried.grant[1..].parse().unwrap();
                    let mut last = world.clone();
                    last.grants[number].when = vec!["label stage=never"];
                    if let Some(given) = sound(&last.text(), &topology) {
                        let after = story(&given, &topology, &text);
                        prop_assert_eq!(free(&after), &free(&told)[1..], "{:#?}", after);
                    }
                }
            }
        }
    }

    #[test]
    fn the_named_rule_is_what_keeps_a_device(world in worlds(false)) {
        let (topology, policy) = (hardware(), world.text());
        let given = sound(&policy, &topology);
        prop_assume!(given.is_some());
        let given = given.unwrap();
        let reached = asked(&given, &topology, |case| case.reached(None, None));
        for reach in &reached.reach {
            let mut gives: BTreeSet<&str> = BTreeSet::new();
            let mut settled = BTreeSet::new();
            for (at, of_line) in reach.lines.iter().enumerate() {
                prop_assert_eq!(of_line.devices.len(), 10);
                for fate in &of_line.devices {
                    if fate.verdict == Decided::Reached {
                        gives.insert(&fate.uuid);
                    } else if settled.insert((at, &fate.why, fate.uuid.starts_with("MIG"))) {
                        let place = Place { tenant: &reach.tenant, grant: &reach.grant, line: at, uuid: &fate.uuid };
                        settle(&policy, &topology, fate, &place)?;
                    }
                }
            }
            // A container that names the device is asked, of what the hook would be given.
            for gpu in &topology.gpus {
                for uuid in gpu.mig_devices.iter().map(|mig| &mig.uuid).chain([&gpu.uuid]) {
                    let text = format!(
                        "container engine=kubernetes namespace={} {{ annotation \"gpupol.io/grant\"={}; request visible-devices=\"{uuid}\" capabilities=all }}",
                        reach.tenant, reach.grant
                    );
                    let told = story(&given, &topology, &text);
                    let got = matches!(told.outcome, Outcome::Granted(_));
                    prop_assert_eq!(got, gives.contains(uuid.as_str()), "{:#?}", told);
                }
            }
        }
    }

    #[test]
    fn the_named_key_is_what_keeps_an_identity(
        [namespace, name] in prop::array::uniform2(prop::option::of(prop::sample::select(vec!["a", "a*", "b"]))),
        uid in prop::option::of(prop::sample::select(vec!["1", "2"])),
        [has_namespace, has_name] in prop::array::uniform2(prop::option::of(prop::sample::select(vec!["a", "ab", "c"]))),
        has_uid in prop::option::of(prop::sample::select(vec!["1", "3"])),
    ) {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let who = Who::Kubernetes { namespace: has_namespace, uid: has_uid, name: has_name };
        let facts = Facts { engine: Engine::Containerd, who, cgroup: None };
        let of = |namespace, uid, name| Identity::Kubernetes { namespace: own(namespace), uid: own(uid), name: own(name) };
        let told = identity::mismatch(&of(namespace, uid, name), &facts);
        prop_assert_eq!(told.is_none(), identity::matches(&of(namespace, uid, name), &facts));
        let Some(told) = told else { return Ok(()) };
        let order = ["namespace", "name", "uid"];
        let at = order.iter().position(|key| *key == told.key).unwrap();
        let has = [has_namespace, has_name, has_uid][at];
        prop_assert_eq!(told.has.as_deref(), has);
        // As the container has it, that key is right, and nothing before it is wrong.
        if let Some(has) = has {
            let next = match told.key {
                "namespace" => of(Some(has), uid, name),
                "name" => of(namespace, uid, Some(has)),
                _ => of(namespace, Some(has), name),
            };
            let next = identity::mismatch(&next, &facts);
            let later = next.is_none_or(|next| order.iter().position(|key| *key == next.key) > Some(at));
            prop_assert!(later);
        }
    }
}

struct Place<'p> {
    tenant: &'p str,
    grant: &'p str,
    line: usize,
    uuid: &'p str,
}

/// Takes what is blamed out of the policy, again and again: each time something else decides, and in the end the device is
/// reached, or not of the set's kind.
fn settle(policy: &str, topology: &Topology, fate: &Fate, place: &Place<'_>) -> Result<(), TestCaseError> {
    let (mut policy, mut fate) = (policy.to_owned(), fate.clone());
    for _ in 0..12 {
        if matches!(fate.verdict, Decided::Reached | Decided::OtherKind) {
            return Ok(());
        }
        prop_assert!(!fate.rules.is_empty(), "{fate:#?}");
        let blamed: Vec<String> = fate.rules.iter().map(|rule| line(&policy, rule).to_owned()).collect();
        let begins = match fate.verdict {
            Decided::Denied => "deny d",
            Decided::NoCapability => "deny c",
            Decided::Guaranteed => "guarantee",
            Decided::Requirement => "require",
            Decided::Excepted => "except",
            Decided::BeyondFirst => "first",
            Decided::NotSelected | Decided::Reached | Decided::OtherKind => "",
        };
        prop_assert!(blamed.iter().all(|line| line.starts_with(begins)), "{blamed:?} {fate:#?}");
        policy = without(&policy, &fate.rules);
        let Some(given) = sound(&policy, topology) else { return Ok(()) };
        let reached = asked(&given, topology, |case| case.reached(Some(place.tenant), None));
        let reach = reached.reach.iter().find(|reach| reach.grant == place.grant).unwrap();
        let next = reach.lines[place.line].devices.iter().find(|next| *next.uuid == *place.uuid).unwrap();
        let now: Vec<&str> = next.rules.iter().map(|rule| line(&policy, rule)).collect();
        let same_kind = next.verdict == fate.verdict;
        // All denies of a device are blamed together.
        prop_assert!(!same_kind || fate.verdict != Decided::Denied, "{blamed:?} {next:#?}\n{policy}");
        prop_assert!(!same_kind || now != blamed, "{blamed:?} {next:#?}\n{policy}");
        fate = next.clone();
    }
    Err(TestCaseError::fail(format!("no end: {fate:#?}\n{policy}")))
}

/// What is said of one device for tenant `a` by its only grant, and the lines that are blamed.
fn fate_of(policy: &str, device: &str) -> (String, Vec<String>) {
    let (given, topology) = (given::policy(policy), hardware());
    let text = given.sources.iter().find(|(_, source)| source.place == FILE).unwrap().1.text.clone();
    let reached = asked(&given, &topology, |case| case.reached(Some("a"), None));
    let fate = reached.reach[0].lines[0].devices.iter().find(|fate| &*fate.device == device).unwrap();
    (fate.why.to_string(), fate.rules.iter().map(|rule| line(&text, rule).to_owned()).collect())
}

#[test]
fn every_deny_of_a_device_is_named_and_by_what_it_takes_it() {
    const SETS: &str = "tenant a { identity kubernetes namespace=a }
gpu-set s { mig-profile \"3g.40gb\" }
gpu-set small { mig-profile \"1g.10gb\" }
gpu-set b { model B }
grant g { to a; gpus s; capabilities compute }
";
    let denies = "deny d0 { to a; gpus small }\ndeny d1 { to a; gpus small b }\n";
    let lines: Vec<&str> = denies.lines().collect();
    // GPU 3 is of model B, and 1 is not.
    let (why, blamed) = fate_of(&format!("{SETS}{denies}"), "3:0");
    let all = "deny `d0` takes gpu-set `small` away, and with 3:1 all of GPU 3";
    assert_eq!(why, format!("{all}; deny `d1` takes gpu-set `b` away"));
    assert_eq!(blamed, lines);
    let (why, _) = fate_of(&format!("{SETS}{denies}"), "1:1");
    let all = |deny: &str| format!("deny `{deny}` takes gpu-set `small` away, and with 1:0 all of GPU 1");
    assert_eq!(why, format!("{}; {}", all("d0"), all("d1")));
    let many: String = (0..11).map(|at| format!("deny d{at:02} {{ to a; gpus b }}\n")).collect();
    let (why, blamed) = fate_of(&format!("{SETS}{many}"), "3:0");
    assert!(why.ends_with("; deny `d07` takes gpu-set `b` away; 3 more denies take it"), "{why}");
    assert_eq!(blamed.len(), 8);
}

#[test]
fn what_cannot_be_chosen_is_put_down_to_the_grant() {
    let given = given::policy(
        "tenant a { identity kubernetes namespace=a }\ntenant u { identity podman user=7 }
gpu-set s { model A }
grant g {
  to a u
  gpus s
  capabilities compute
}",
    );
    let topology = hardware();
    let text = given.sources.iter().find(|(_, source)| source.place == FILE).unwrap().1.text.clone();
    let decided = |container: &str| {
        let told = story(&given, &topology, container);
        let Outcome::Denied { refusal, .. } = &told.outcome else { panic!("{told:#?}") };
        let lines: Vec<&str> = told.decided_by.iter().map(|rule| line(&text, rule)).collect();
        (refusal.reason, lines.join("; "))
    };
    assert_eq!(
        decided(
            "container engine=kubernetes namespace=a { env NVIDIA_REQUIRE_CUDA=\"driver>=999\"; request gpus=1 }"
        ),
        (Reason::Requirement, "gpus s".to_owned())
    );
    assert_eq!(
        decided("container engine=podman user=7 { request gpus=1 }"),
        (Reason::NotSupported, "grant g {".to_owned())
    );
}
