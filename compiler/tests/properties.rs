//! What must hold for every policy and every host.
#![expect(clippy::unwrap_used, reason = "what a test cannot make fails the test")]

#[cfg(test)]
mod given;

use std::collections::BTreeSet;

use given::{devices, files, gpu, host, policy, sliced};
use gpupol::diag::{Code, Finding, Sink};
use gpupol::policy::lower;
use gpupol::source::{Source, Sources};
use gpupol::syntax;
use gpupol::topology::{Gpu, Topology};
use gpupol_plan::edit::Edit;
use gpupol_plan::identity::{facts, tenant};
use gpupol_plan::index::Index;
use gpupol_plan::lookup::{Decision, decide};
use gpupol_plan::plan::{GpuCheck, Plan};
use proptest::prelude::*;

/// A gpu-set by UUIDs, with or without MIG devices.
#[derive(Clone, Debug)]
struct Set {
    gpus: BTreeSet<u32>,
    mig: bool,
}

fn sets() -> impl Strategy<Value = Vec<Set>> {
    let set =
        (prop::collection::btree_set(0..6u32, 1..5), any::<bool>()).prop_map(|(gpus, mig)| Set { gpus, mig });
    prop::collection::vec(set, 2..5)
}

fn text(name: usize, set: &Set) -> String {
    let uuids = set.gpus.iter().map(|index| format!("\"{}\"", gpu(*index, "A").uuid));
    let mig = if set.mig { "; mig-profile \"1g.10gb\"" } else { "" };
    format!("gpu-set s{name} {{ uuid {}{mig} }}\n", uuids.collect::<Vec<_>>().join(" "))
}

/// GPUs with odd indices are in MIG mode; index 3 has none of the profile.
fn mixed() -> Topology {
    let make = |index: u32| match index {
        3 => sliced(gpu(index, "A"), &["3g.40gb"]),
        1 | 5 => sliced(gpu(index, "A"), &["1g.10gb", "3g.40gb", "1g.10gb"]),
        _ => gpu(index, "A"),
    };
    host((0..6).map(make).collect(), &[&[0, 2, 4]])
}

/// Everything by which a container could tell that a plan holds a part of this GPU.
fn traces(gpu: &Gpu) -> BTreeSet<String> {
    let own = gpu.nodes.iter().map(|node| node.path.clone());
    let caps = gpu.mig_devices.iter().flat_map(|mig| mig.nodes.iter().map(|node| node.path.clone()));
    let migs = gpu.mig_devices.iter().map(|mig| mig.uuid.clone());
    let shown = gpu.pci.known().map(|pci| format!("/proc/driver/nvidia/gpus/{pci}"));
    own.chain(caps).chain(migs).chain(shown).chain([gpu.uuid.clone()]).collect()
}

fn held(plan: &Plan) -> BTreeSet<String> {
    let of_device = |device: &gpupol_plan::plan::Device| {
        let paths = device.edits.iter().filter_map(Edit::container_path).map(str::to_owned);
        let parent = match &device.gpu {
            GpuCheck::Nvidia { uuid, .. } => uuid.clone(),
            GpuCheck::Amd { .. } => device.uuid.clone(),
        };
        paths.chain([device.uuid.clone(), parent]).collect::<Vec<_>>()
    };
    plan.lines.iter().flat_map(|line| &line.devices).flat_map(of_device).collect()
}

/// What a `when` may ask of a container.
#[derive(Clone, Debug)]
struct When {
    engines: BTreeSet<&'static str>,
    image: Option<&'static str>,
    label: Option<&'static str>,
}

const ENGINES: [&str; 3] = ["kubernetes namespace=n", "docker", "podman"];

fn word(engine: &str) -> &str {
    engine.split(' ').next().unwrap()
}

fn when() -> impl Strategy<Value = When> {
    let engines = prop::collection::btree_set(prop::sample::select(ENGINES.map(word).to_vec()), 0..3);
    let image = prop::option::of(prop::sample::select(vec!["a", "b", "*", "a b", "?c", "a/**"]));
    let label = prop::option::of(prop::sample::select(vec!["k=x", "k=y", "k=\"*\"", "k=x k=y", "l=x"]));
    (engines, image, label).prop_map(|(engines, image, label)| When { engines, image, label })
}

impl When {
    fn kdl(&self) -> String {
        let engines = self.engines.iter().copied().collect::<Vec<_>>().join(" ");
        let engines = (!engines.is_empty()).then(|| format!("engine {engines};"));
        let image = self.image.map(|image| format!("image {};", quoted(image)));
        let label = self.label.map(|label| format!("label {label};"));
        let said: String = [engines, image, label].into_iter().flatten().collect();
        if said.is_empty() { said } else { format!("when {{ {said} }};") }
    }
}

fn quoted(words: &str) -> String {
    words.split(' ').map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" ")
}

/// Every container that could matter to conditions of [`when`], of a tenant known by all engines.
fn containers() -> String {
    let labels = ["", "label k=x", "label k=y", "label k=z", "label k=x l=x", "label k=y l=x", "label l=x"];
    let mut all = String::new();
    for engine in ENGINES {
        let images = ["", "image a", "image b", "image c", "image ac", "image \"a/x\""];
        for image in images.iter().take(if word(engine) == "kubernetes" { 6 } else { 1 }) {
            for label in labels {
                let said: Vec<&str> = [*image, label].into_iter().filter(|said| !said.is_empty()).collect();
                all.push_str(&format!("container engine={engine} {{ {} }}\n", said.join("; ")));
            }
        }
    }
    all
}

/// Whether some container is given each of two grants when it names them.
fn meet(given: &given::Given, topology: &Topology) -> bool {
    let plans = given.plan_set(topology);
    let index = Index::of(&plans.index).unwrap();
    let applies = |container: &gpupol::policy::Container, grant: &str| {
        let mut workload = gpupol::workload::describe(container, &given.policy);
        for (key, value) in [("gpupol.io/grant", grant), ("gpupol.io/gpus", "1")] {
            workload.config.annotations.insert(key.to_owned(), value.to_owned());
            let variable = key.replace("gpupol.io/", "gpupol_").to_ascii_uppercase();
            workload.config.process.env.push(format!("{variable}={value}"));
        }
        let gpupol::workload::Workload { entry, config, observed } = &workload;
        let whose = tenant(&index, &facts(entry, config, observed));
        matches!(decide(&index, &whose, entry, config, observed), Decision::Granted(_))
    };
    let containers = given.policy.tests.iter().flat_map(|test| &test.containers);
    containers.into_iter().any(|container| applies(container, "g") && applies(container, "h"))
}

/// The words of a node, or nothing.
fn node_of(name: &str, words: &BTreeSet<String>) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words.is_empty() { String::new() } else { format!("{name} {};", words.join(" ")) }
}

fn words_of(all: &[&str], least: usize) -> impl Strategy<Value = BTreeSet<String>> + use<> {
    let all: Vec<String> = all.iter().map(|word| (*word).to_owned()).collect();
    prop::collection::btree_set(prop::sample::select(all), least..4)
}

const CAPABILITIES: [&str; 5] = ["compute", "utility", "graphics", "video", "display"];
const FEATURES: [&str; 4] = ["gds", "gdrcopy", "gpudirect-rdma", "nvswitch"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_has_the_rights_of_its_grant_without_those_that_denies_take(
        granted in (words_of(&CAPABILITIES, 1), words_of(&FEATURES, 0)),
        first in (words_of(&CAPABILITIES, 1), words_of(&FEATURES, 0)),
        second in words_of(&FEATURES, 1),
    ) {
        let given = policy(&format!(
            "tenant t {{ identity podman }}\ntenant u {{ identity docker }}\ngpu-set s {{ model A }}\n\
             grant g {{ to t u; gpus s; {}{} }}\ndeny d {{ to t; {}{} }}\ndeny e {{ to t; {} }}",
            node_of("capabilities", &granted.0), node_of("features", &granted.1),
            node_of("capabilities", &first.0), node_of("features", &first.1), node_of("features", &second),
        ));
        let plans = given.plan_set(&host(vec![gpu(0, "A")], &[]));
        let denied: BTreeSet<String> = first.1.union(&second).cloned().collect();
        let left = [&granted.0 - &first.0, &granted.1 - &denied];
        for (tenant, [capabilities, features]) in [("t", left), ("u", [granted.0.clone(), granted.1.clone()])] {
            let index = given::contents(&plans);
            let at = index.grants.iter().find(|grant| grant.tenant == tenant).unwrap();
            let plan = given::plan(&plans, at);
            let names: BTreeSet<String> = plan.capabilities.iter().map(|one| one.name().to_owned()).collect();
            prop_assert_eq!(&names, &capabilities, "{}", tenant);
            let names: BTreeSet<String> = plan.features.iter().map(|one| one.feature.to_string()).collect();
            prop_assert_eq!(&names, &features, "{}", tenant);
            prop_assert_eq!(plan.lines.iter().all(|line| line.devices.is_empty()), capabilities.is_empty());
            let serves = |edit: &Edit| edit.capabilities().is_empty() || edit.applies(&plan.capabilities);
            prop_assert!(plan.edits.values().flatten().all(serves));
        }
    }

    #[test]
    fn no_plan_holds_what_a_deny_takes_away(sets in sets(), granted in 0..5usize, denied in 0..5usize) {
        let (granted, denied) = (granted % sets.len(), denied % sets.len());
        let mut kdl: String = sets.iter().enumerate().map(|(name, set)| text(name, set)).collect();
        kdl.push_str(&format!(
            "tenant t {{ identity podman }}\ntenant u {{ identity docker }}\n\
             grant g {{ to t u; gpus s{granted} at-most=2; capabilities compute }}\n\
             deny d {{ to t; gpus s{denied} }}\n"
        ));
        let topology = mixed();
        let plans = policy(&kdl).plan_set(&topology);
        let index = given::contents(&plans);
        for grant in index.grants.iter().filter(|grant| grant.tenant == "t") {
            let held = held(&given::plan(&plans, grant));
            for gpu in &topology.gpus {
                let set = &sets[denied];
                let has_profile = gpu.mig_devices.iter().any(|mig| mig.profile == "1g.10gb");
                if set.gpus.contains(&gpu.index) && (!set.mig || has_profile) {
                    prop_assert!(traces(gpu).is_disjoint(&held), "GPU {} of {:?}", gpu.index, set);
                }
            }
        }
    }

    #[test]
    fn grants_overlap_exactly_if_some_container_may_have_both(
        left in when(), right in when(), known in prop::collection::btree_set(0..3usize, 1..3)
    ) {
        let identities: String = known.iter().map(|at| format!("identity {};", ENGINES[*at])).collect();
        let text = |rank: &str| format!(
            "tenant t {{ {identities} }}\ngpu-set a {{ model A }}\ngpu-set b {{ model A; first 2 }}\n\
             grant g {rank} {{ to t; {} gpus a; capabilities compute }}\n\
             grant h {{ to t; {} gpus b; capabilities compute }}\n\
             test all {{ {} expect gpus=0 }}\n",
            left.kdl(), right.kdl(), containers(),
        );
        let faults = given::faults(&text(""));
        prop_assume!(!faults.contains(&Code::Contradiction));
        let overlap = faults.contains(&Code::GrantsOverlap);
        prop_assert_eq!(overlap, meet(&policy(&text("rank=1")), &mixed()), "{}", text(""));
    }

    #[test]
    fn the_first_and_the_rest_of_a_set_are_the_set(sets in sets(), count in 1..7u32) {
        for set in &sets {
            let base = text(0, set);
            let first = base.replace("s0 {", "f {").replace(" }\n", &format!("; first {count} }}\n"));
            let rest = base.replace("s0 {", "r {").replace(" }\n", "; except f }\n");
            let any = set.gpus.iter().map(|index| format!("uuid \"{}\";", gpu(*index, "A").uuid));
            let mig = if set.mig { "mig-profile \"1g.10gb\"" } else { "" };
            let any = format!("gpu-set o {{ any-of {{ {} }}; {mig} }}\n", any.collect::<String>());
            let given = policy(&format!(
                "{base}{first}{rest}{any}tenant t {{ identity podman }}\n\
                 grant g {{ to t; gpus s0; gpus f; gpus r; gpus o; capabilities compute }}\n"
            ));
            let topology = mixed();
            let (resolution, _) = given.on(&topology);
            let lines = devices(&resolution, "t", "g");
            let [whole, first, rest, any] = [0, 1, 2, 3].map(|at: usize| {
                lines[at].split_whitespace().map(str::to_owned).collect::<Vec<_>>()
            });
            prop_assert_eq!(first.len(), whole.len().min(count as usize));
            prop_assert_eq!(&[first, rest].concat(), &whole);
            prop_assert_eq!(any, whole);
        }
    }

    #[test]
    fn the_order_of_files_and_nodes_changes_nothing(order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle()) {
        let nodes = [
            "tenant t { identity podman }\n",
            "tenant u { identity docker; identity kubernetes namespace=\"u-*\" }\n",
            "gpu-set all { model A }\n",
            "gpu-set slices { mig-profile \"1g.10gb\" }\n",
            "grant g { to u t; gpus all at-most=3 place=nvlink; capabilities utility compute }\n",
            "grant h { to u; when { label a=b }; gpus slices; gpus all; capabilities compute }\n",
        ];
        // Ranks, so that the two grants may both apply.
        let nodes = nodes.map(|node| node.replace("grant h {", "grant h rank=1 {"));
        let topology = mixed();
        let one: String = order.iter().map(|at| nodes[*at].as_str()).collect();
        let (first, second) = order.split_at(3);
        let text = |part: &[usize]| part.iter().map(|at| nodes[*at].as_str()).collect::<String>();
        let plans = |texts: &[(&str, &str)]| {
            let plans = files(texts).plan_set(&topology);
            let index = given::contents(&plans);
            let slice = |grant: &gpupol_plan::index::Grant| {
                let mut plan = given::plan(&plans, grant);
                // Where a rule stands, and the bytes of the files, are all that may differ.
                plan.policy_digest = String::new();
                let lines = plan.lines.iter_mut().map(|line| &mut line.rule);
                let features = plan.features.iter_mut().map(|granted| &mut granted.rule);
                let own = [&mut plan.rule, &mut plan.capabilities_rule];
                for rule in lines.chain(features).chain(own) {
                    (rule.file, rule.line) = (String::new(), 0);
                }
                plan
            };
            let plans: Vec<Plan> = index.grants.iter().map(slice).collect();
            let grants: Vec<_> = index.grants.iter().map(|grant| (grant.tenant.clone(), grant.name.clone())).collect();
            (index.tenants, grants, plans)
        };
        let whole = plans(&[("p.kdl", &one)]);
        prop_assert_eq!(&whole, &plans(&[("x.kdl", &text(first)), ("b.kdl", &text(second))]));
        prop_assert_eq!(&whole, &plans(&[("p.kdl", &nodes.concat())]));
    }
}

/// Nodes of which most have a fault; each finding says the same wherever its node stands.
const FAULTY: [&str; 12] = [
    "tenant t { identity podman }\n",
    "tenant u { identity docker }\n",
    "tenant v { identity docker }\n",
    "tenant idle { identity kubernetes namespace=idle }\n",
    "gpu-set all { model A }\n",
    "gpu-set ring { model A; except ring }\n",
    "grant g { to t; gpus al; capabilities compute }\n",
    "grant h { to t; when { label a=b }; gpus all; capabilities compute }\n",
    "grant i { to t; when { label a=b }; gpus all; capabilities video }\n",
    "grant j { to u v; gpus all at-most=0; capabilties compute }\n",
    "deny d { to t; gpus [all] }\n",
    "test x { container tenant=t { request gpus=1 }; expect devied }\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_and_the_split_of_files_change_no_finding(
        order in Just((0..FAULTY.len()).collect::<Vec<_>>()).prop_shuffle(),
        homes in prop::collection::vec(0..5usize, FAULTY.len()),
    ) {
        let whole = findings(&[FAULTY.concat()]);
        prop_assert!(whole.len() >= 8, "{whole:?}");
        let mut files = vec![String::new(); 5];
        for (at, home) in order.iter().zip(homes) {
            files[home].push_str(FAULTY[*at]);
        }
        prop_assert_eq!(findings(&files), whole);
    }
}

/// What is found in some files, without the places; of two things of which neither is first only the code.
fn findings(files: &[String]) -> Vec<(Code, String)> {
    let policy = Source::new("policy.kdl", "policy version=1");
    let named = files.iter().enumerate().map(|(at, text)| Source::new(format!("{at}.kdl"), text.as_str()));
    let sources = Sources::new(named.chain([policy]).collect());
    let mut sink = Sink::default();
    let documents: Vec<_> = sources.iter().map(|(id, source)| syntax::parse(id, source, &mut sink)).collect();
    lower::lower(&documents, &mut sink);
    let message = |finding: &Finding| match finding.code {
        Code::TenantsOverlap | Code::GrantsOverlap => String::new(),
        _ => finding.message.clone(),
    };
    let mut found: Vec<_> = sink.finish().iter().map(|finding| (finding.code, message(finding))).collect();
    found.sort();
    found
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let kdl = "tenant t { identity podman }\ngpu-set s { model A }\n\
               grant g { to t; gpus s at-most=2 place=nvlink; capabilities compute }";
    assert_eq!(policy(kdl).plan_set(&mixed()), policy(kdl).plan_set(&mixed()));
}
