//! Behind every edit stands exactly one rule, and it stands in the policy.
#![expect(clippy::unwrap_used, reason = "what a test cannot make fails the test")]

#[cfg(test)]
mod given;

use std::collections::{BTreeMap, BTreeSet};

use gpupol::topology::{Fact, Topology, read};
use gpupol_plan::choose::{Leases, choose};
use gpupol_plan::edit::Edit;
use gpupol_plan::feature::Feature;
use gpupol_plan::plan::{Plan, Rule};
use gpupol_plan::request::{Capabilities, Devices, Request};
use proptest::prelude::*;

const FILES: [&str; 2] = ["a.kdl", "b.kdl"];
const CAPABILITIES: [&str; 4] = ["compute", "utility", "graphics", "display"];
const FEATURES: [&str; 3] = ["gdrcopy", "gpudirect-rdma", "gds"];

/// A grant: in which file, after how many empty lines, how many `gpus` lines of which sets, and its words.
#[derive(Clone, Debug)]
struct Granted {
    file: usize,
    empty: usize,
    sets: BTreeSet<usize>,
    capabilities: BTreeSet<&'static str>,
    features: BTreeSet<&'static str>,
}

fn grants() -> impl Strategy<Value = Vec<Granted>> {
    let words = |all: &'static [&'static str], least| {
        prop::collection::btree_set(prop::sample::select(all.to_vec()), least..3)
    };
    let sets = prop::collection::btree_set(0..3usize, 1..4);
    let one = (0..2usize, 0..3usize, sets, words(&CAPABILITIES, 1), words(&FEATURES, 0));
    let one = one.prop_map(|(file, empty, sets, capabilities, features)| Granted {
        file,
        empty,
        sets,
        capabilities,
        features,
    });
    prop::collection::vec(one, 1..4)
}

/// What stands on one line each, so that a line is a rule.
fn text(at: usize, granted: &Granted) -> String {
    let words = |words: &BTreeSet<&'static str>| words.iter().copied().collect::<Vec<_>>().join(" ");
    let gpus: String = granted.sets.iter().map(|set| format!("  gpus s{set} at-most=2\n")).collect();
    let features = match words(&granted.features) {
        none if none.is_empty() => none,
        words => format!("  features {words}\n"),
    };
    format!(
        "{}grant g{at} named=#true {{\n  to t\n{gpus}  capabilities {}\n{features}}}\n",
        "\n".repeat(granted.empty),
        words(&granted.capabilities)
    )
}

/// All that a plan gives, each edit with its rule.
fn everything(plan: &Plan) -> Vec<(Rule, Edit)> {
    let amounts = plan.lines.iter().map(|line| (line.gpu_set.clone(), line.at_most)).collect();
    let request = Request {
        devices: Devices::Lines(amounts),
        capabilities: Capabilities::All,
        features: plan.features.iter().filter(|one| one.lacking.is_none()).map(|one| one.feature).collect(),
        grant: None,
        tenant: None,
        requirements: Vec::new(),
    };
    let choice = choose(plan, &request, &Leases::new()).unwrap();
    choice.edits(plan).into_iter().map(|(rule, edit)| (rule.clone(), edit.clone())).collect()
}

fn host() -> Topology {
    let record = include_str!("../../examples/topologies/mixed-l4-mi210.json");
    let mut host = read::read("host", record).unwrap();
    host.features.insert(Feature::Gdrcopy, Fact::Known(vec![given::node("/dev/gdrdrv", 501, 0)]));
    host
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_edit_is_without_a_rule_that_stands_in_the_policy(grants in grants()) {
        let host = host();
        let mut files = BTreeMap::from([(FILES[0], String::new()), (FILES[1], String::new())]);
        *files.get_mut(FILES[0]).unwrap() = "tenant t { identity podman }\ngpu-set s0 { vendor amd; first 1 }\n\
            gpu-set s1 { vendor nvidia; first 2 }\ngpu-set s2 { vendor nvidia; except s1; first 1 }\n".to_owned();
        for (at, granted) in grants.iter().enumerate() {
            files.get_mut(FILES[granted.file]).unwrap().push_str(&text(at, granted));
        }
        let written: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let set = given::files(&written).plan_set(&host);
        for grant in given::contents(&set).grants {
            let mut plan = given::plan(&set, &grant);
            for line in &mut plan.lines {
                line.at_most = line.at_most.min(line.devices.len() as u32);
            }
            plan.lines.retain(|line| line.at_most > 0);
            if plan.lines.is_empty() {
                continue;
            }
            let edits = everything(&plan);
            prop_assert!(!edits.is_empty());
            for (rule, edit) in edits {
                let line = files[rule.file.as_str()].lines().nth(rule.line as usize - 1).unwrap().trim();
                let of_device = plan.lines.iter().find(|line| {
                    line.devices.iter().any(|device| device.edits.contains(&edit))
                });
                let expected = match of_device {
                    Some(line) => format!("gpus {} ", line.gpu_set),
                    None if plan.edits.values().flatten().any(|common| *common == edit) => "capabilities ".to_owned(),
                    None => "features ".to_owned(),
                };
                prop_assert!(line.starts_with(&expected), "{edit:?} by {line}");
                prop_assert_eq!(&rule.name, &format!("grant {}", grant.name));
            }
        }
    }
}
