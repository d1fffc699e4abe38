//! What must hold of every plan, whatever is asked of it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what a test cannot make fails the test")]

#[cfg(test)]
mod given;

use std::collections::BTreeSet;

use given::{gpu, host, node, policy, sliced};
use gpupol::emit::cdi::{Guarding, Specification};
use gpupol::topology::{DeviceNode, Gpu, MigDevice, Topology};
use gpupol_plan::capability::Capability;
use gpupol_plan::choose::{Choice, Leases, choose};
use gpupol_plan::edit::Edit;
use gpupol_plan::plan::{Plan, Rule};
use gpupol_plan::request::{Capabilities, Devices, Request};
use proptest::prelude::*;
use serde::Serialize;
use serde_json::Value;

/// GPUs, of which those with odd indices are in MIG mode, each with nodes for graphics.
fn made() -> Topology {
    let made = |index: u32| {
        let gpu = gpu(index, "A");
        let mut gpu = if index % 2 == 1 { sliced(gpu, &PROFILES) } else { gpu };
        let drm = [("card", index), ("renderD", 128 + index)];
        gpu.nodes.extend(drm.map(|(name, minor)| node(&format!("/dev/dri/{name}{minor}"), 226, minor)));
        gpu
    };
    host((0..6).map(made).collect(), &[&[0, 2, 4]])
}

/// Everything by which a container could tell a GPU or a MIG device.
struct Traces {
    texts: BTreeSet<String>,
    numbers: BTreeSet<(u64, u64)>,
}

impl Traces {
    fn of<'n>(nodes: impl Iterator<Item = &'n DeviceNode> + Clone, others: &[String]) -> Self {
        let number = |node: &DeviceNode| (u64::from(node.major), u64::from(node.minor));
        let texts = nodes.clone().map(|node| node.path.clone()).chain(others.iter().cloned()).collect();
        Self { texts, numbers: nodes.map(number).collect() }
    }

    /// Of a GPU, which all who have MIG devices of it share.
    fn of_gpu(gpu: &Gpu) -> Self {
        Self::of(gpu.nodes.iter(), &[gpu.uuid.clone(), gpu.pci.known().unwrap().clone()])
    }

    /// Of a MIG device and nobody else's.
    fn of_mig(gpu: &Gpu, mig: &MigDevice) -> Self {
        let instance = format!("capabilities/gpu{}/mig/gi{}/", gpu.index, mig.gi);
        Self::of(mig.nodes.iter(), &[mig.uuid.clone(), instance])
    }
}

/// Every text and every pair of numbers of a document.
fn leaves(value: &Value, texts: &mut BTreeSet<String>, pairs: &mut BTreeSet<(u64, u64)>) {
    match value {
        Value::String(text) => _ = texts.insert(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, texts, pairs)),
        Value::Object(fields) => {
            let number = |key: &str| fields.get(key).and_then(Value::as_u64);
            pairs.extend(number("major").zip(number("minor")));
            fields.values().for_each(|item| leaves(item, texts, pairs));
        }
        _ => {}
    }
}

/// What of a device stands in a document.
fn found_of(traces: &Traces, document: &impl Serialize) -> Vec<String> {
    let (mut texts, mut pairs) = (BTreeSet::new(), BTreeSet::new());
    leaves(&serde_json::to_value(document).unwrap(), &mut texts, &mut pairs);
    let in_part =
        |trace: &String| !trace.starts_with("/dev/") && texts.iter().any(|text| text.contains(trace));
    let named = traces.texts.iter().filter(|trace| texts.contains(*trace) || in_part(trace)).cloned();
    let numbered = traces.numbers.intersection(&pairs).map(|(major, minor)| format!("{major}:{minor}"));
    named.chain(numbered).collect()
}

/// The profiles of each GPU in MIG mode.
const PROFILES: [&str; 2] = ["1g.10gb", "3g.40gb"];

/// Whose each device is, nobody's, `a`'s or `b`'s, GPU by GPU: one for a whole GPU, one for each MIG device. And their driver
/// capabilities. Two tenants may have one board.
fn shares() -> impl Strategy<Value = (Vec<[usize; 2]>, [BTreeSet<Capability>; 2])> {
    (prop::collection::vec([0..3usize, 0..3usize], 6), [capabilities(1), capabilities(1)])
}

fn capabilities(least: usize) -> impl Strategy<Value = BTreeSet<Capability>> {
    prop::collection::btree_set(prop::sample::select(Capability::ALL.to_vec()), least..=Capability::ALL.len())
}

const TENANTS: [&str; 3] = ["nobody", "a", "b"];

/// Two tenants with GPUs of their own, and MIG devices of their own.
fn kdl(shares: &[[usize; 2]], capabilities: &[BTreeSet<Capability>; 2]) -> String {
    let mut kdl = "tenant a { identity podman }\ntenant b { identity docker }\n".to_owned();
    for (tenant, own) in [(1, &capabilities[0]), (2, &capabilities[1])] {
        let name = TENANTS[tenant];
        let words: Vec<&str> = own.iter().map(|capability| capability.name()).collect();
        let words = words.join(" ");
        let uuids = |of: &dyn Fn(u32, &[usize; 2]) -> bool| {
            let own = (0u32..).zip(shares).filter(|(index, shares)| of(*index, shares));
            own.map(|(index, _)| format!("\"{}\"", gpu(index, "A").uuid)).collect::<Vec<_>>().join(" ")
        };
        let whole = uuids(&|index, shares| index % 2 == 0 && shares[0] == tenant);
        if !whole.is_empty() {
            kdl.push_str(&format!(
                "gpu-set whole-{name} {{ uuid {whole} }}\n\
                 grant whole-{name} {{ to {name}; gpus whole-{name} at-most=3 default=2; capabilities {words} }}\n"
            ));
        }
        for (slot, profile) in PROFILES.iter().enumerate() {
            let boards = uuids(&|index, shares| index % 2 == 1 && shares[slot] == tenant);
            if !boards.is_empty() {
                kdl.push_str(&format!(
                    "gpu-set slices-{name}-{slot} {{ uuid {boards}; mig-profile \"{profile}\" }}\n\
                     grant slices-{name}-{slot} named=#true {{ to {name}; gpus slices-{name}-{slot} at-most=4; capabilities {words} }}\n"
                ));
            }
        }
    }
    kdl
}

fn request(devices: Devices, capabilities: &BTreeSet<Capability>) -> Request {
    Request {
        devices,
        capabilities: Capabilities::Named(capabilities.clone()),
        features: BTreeSet::new(),
        grant: None,
        tenant: None,
        requirements: Vec::new(),
    }
}

fn all_edits(plan: &Plan) -> Vec<&Edit> {
    let of_devices = plan.lines.iter().flat_map(|line| &line.devices).flat_map(|device| &device.edits);
    plan.edits.values().flatten().chain(of_devices).collect()
}

fn edits<'p>(choice: &Choice<'p>, plan: &'p Plan) -> Vec<&'p Edit> {
    choice.edits(plan).into_iter().map(|(_, edit): (&Rule, _)| edit).collect()
}

fn uuids(choice: &Choice<'_>) -> BTreeSet<String> {
    choice.given.iter().map(|given| given.device.uuid.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_plan_and_no_cdi_device_has_a_trace_of_what_is_somebody_elses((shares, capabilities) in shares()) {
        let topology = made();
        let plans = policy(&kdl(&shares, &capabilities)).plans(&topology);
        let guarding = Guarding::Hook { path: "/usr/libexec/gpupol-hook".to_owned(), entry: "e".to_owned() };
        let specification = Specification::of(&plans, &guarding);
        for (gpu, shares) in topology.gpus.iter().zip(&shares) {
            let migs = gpu.mig_devices.iter().zip(shares).map(|(mig, share)| (Traces::of_mig(gpu, mig), vec![*share], mig.uuid.clone()));
            // A board's own nodes are of all who have a MIG device of it.
            let owners = if gpu.mig_devices.is_empty() { vec![shares[0]] } else { shares.to_vec() };
            let board = (Traces::of_gpu(gpu), owners, gpu.pci.known().unwrap().clone());
            for (traces, owners, called) in migs.chain([board]) {
                for plan in &plans {
                    let found = found_of(&traces, plan);
                    let mut devices = plan.lines.iter().flat_map(|line| &line.devices);
                    let is_in = devices.any(|device| [&device.uuid, &device.pci].contains(&&called));
                    prop_assert_eq!(found.is_empty(), !is_in, "plan of {}: {:?}", &plan.tenant, found);
                    prop_assert!(!is_in || owners.iter().any(|owner| plan.tenant == TENANTS[*owner]));
                }
                prop_assert_eq!(found_of(&traces, &specification.container_edits), Vec::<String>::new());
                for device in &specification.devices {
                    let is_its = owners.iter().any(|owner| device.name.starts_with(&format!("{}.", TENANTS[*owner])));
                    prop_assert!(is_its || found_of(&traces, device).is_empty(), "{device:?}");
                }
            }
        }
        let given = plans.iter().filter(|plan| plan.lines.iter().any(|line| !line.devices.is_empty())).count();
        let used = |(index, shares): (usize, &[usize; 2])| shares[0] > 0 || (index % 2 == 1 && shares[1] > 0);
        prop_assert!(given > 0 || !shares.iter().enumerate().any(used));
    }

    /// Neither more capabilities nor more devices give anything beyond the ceiling or of others; nothing is clamped.
    #[test]
    fn asking_for_more_gives_no_more_than_the_plan(
        (shares, ceilings) in shares(),
        few in capabilities(0),
        more in capabilities(0),
        count in 1..6u32,
    ) {
        let topology = made();
        let wide: BTreeSet<Capability> = few.union(&more).copied().collect();
        for plan in policy(&kdl(&shares, &ceilings)).plans(&topology) {
            let own: BTreeSet<String> = plan.lines.iter().flat_map(|line| &line.devices).map(|device| device.uuid.clone()).collect();
            let ask = |devices: &Devices, capabilities: &BTreeSet<Capability>| {
                choose(&plan, &request(devices.clone(), capabilities), &Leases::new())
            };
            for devices in [Devices::Default, Devices::Count(count), Devices::Named(own.iter().cloned().collect())] {
                let (narrow, broad) = (ask(&devices, &few), ask(&devices, &wide));
                for choice in [&narrow, &broad].into_iter().flatten() {
                    prop_assert!(choice.capabilities.is_subset(&plan.capabilities));
                    prop_assert!(uuids(choice).is_subset(&own));
                    let all = all_edits(&plan);
                    prop_assert!(edits(choice, &plan).iter().all(|edit| all.contains(edit)));
                    // Nodes of its own devices, and of no other of the same plan.
                    for gpu in &topology.gpus {
                        let is_given = choice.given.iter().any(|given| given.device.pci == *gpu.pci.known().unwrap());
                        prop_assert!(is_given || found_of(&Traces::of_gpu(gpu), &edits(choice, &plan)).is_empty());
                        for mig in &gpu.mig_devices {
                            let is_given = uuids(choice).contains(&mig.uuid);
                            let found = found_of(&Traces::of_mig(gpu, mig), &edits(choice, &plan));
                            prop_assert!(is_given || found.is_empty(), "{found:?}");
                        }
                    }
                }
                if let (Ok(narrow), Ok(broad)) = (&narrow, &broad) {
                    prop_assert_eq!(uuids(narrow), uuids(broad), "capabilities choose no device");
                    let wide = edits(broad, &plan);
                    prop_assert!(edits(narrow, &plan).iter().all(|edit| wide.contains(edit)));
                }
                let at_most: u32 = plan.lines.iter().map(|line| line.at_most).sum();
                let asked = match &devices {
                    Devices::Count(count) => Some(*count),
                    _ => None,
                };
                if let (Some(asked), Ok(choice)) = (asked, &broad) {
                    prop_assert!(asked <= at_most);
                    prop_assert_eq!(choice.given.len(), usize::try_from(asked).unwrap(), "never clamped");
                }
            }
        }
    }

    /// What a driver capability needs is given to who has it, whatever else is granted: a ceiling takes away and never adds.
    #[test]
    fn a_higher_ceiling_takes_nothing_away((shares, [few, more]) in shares()) {
        let topology = made();
        let wide: BTreeSet<Capability> = few.union(&more).copied().collect();
        let plans = |ceiling: &BTreeSet<Capability>| policy(&kdl(&shares, &[ceiling.clone(), ceiling.clone()])).plans(&topology);
        for (low, high) in plans(&few).iter().zip(&plans(&wide)) {
            prop_assert_eq!((&low.tenant, &low.grant), (&high.tenant, &high.grant));
            let high = all_edits(high);
            prop_assert!(all_edits(low).iter().all(|edit| high.contains(edit)));
        }
    }
}
