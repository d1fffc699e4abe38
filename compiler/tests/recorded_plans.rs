//! What each recorded host gives for each set of driver capabilities: one line for each edit.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod given;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use gpupol::topology::{Topology, read};
use gpupol_plan::capability::Capability::{self, Compat32, Compute, Utility};
use gpupol_plan::edit::Edit;
use gpupol_plan::plan::{Device, Plan};
use serde_json::Value;

use given::policy;

const FEATURES: &str = "features gds gdrcopy gpudirect-rdma nvswitch imex channels=\"0\"";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn hosts() -> Vec<(String, Topology)> {
    let entries =
        fs::read_dir(root().join("examples/topologies")).unwrap().map(|entry| entry.unwrap().path());
    let recorded = entries.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut hosts: Vec<_> = recorded
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let host = read::read(&name, &fs::read_to_string(&path).unwrap()).unwrap();
            (name, host)
        })
        .collect();
    hosts.sort_by(|one, other| one.0.cmp(&other.0));
    hosts
}

/// Each capability, those that who asks for none gets, 32-bit programs beside them, and all.
fn sets() -> Vec<(String, Vec<Capability>)> {
    let alone = Capability::ALL.into_iter().filter(|capability| *capability != Compat32);
    let alone = alone.map(|capability| (capability.name().to_owned(), vec![capability]));
    let more = [
        ("default".to_owned(), vec![Compute, Utility]),
        ("default-compat32".to_owned(), vec![Compute, Utility, Compat32]),
        ("all".to_owned(), Capability::ALL.to_vec()),
    ];
    alone.chain(more).collect()
}

/// The plans of somebody who may have every GPU of a host, and every MIG device.
fn plans(host: &Topology, capabilities: &[Capability]) -> Vec<Plan> {
    let words: Vec<&str> = capabilities.iter().map(|capability| capability.name()).collect();
    let words = words.join(" ");
    let migs = host.gpus.iter().flat_map(|gpu| &gpu.mig_devices);
    let profiles: BTreeSet<String> = migs.map(|mig| format!("\"{}\"", mig.profile)).collect();
    let slices = if profiles.is_empty() {
        String::new()
    } else {
        let profiles = profiles.into_iter().collect::<Vec<_>>().join(" ");
        format!(
            "gpu-set slices {{ mig-profile {profiles} }}\ngrant slices named=#true {{ to t; gpus slices; capabilities {words} }}\n"
        )
    };
    let given = policy(&format!(
        "tenant t {{ identity podman }}\ngpu-set nvidia {{ vendor nvidia }}\ngpu-set amd {{ vendor amd }}\n\
         grant nvidia named=#true {{ to t; gpus nvidia; capabilities {words}; {FEATURES} }}\n\
         grant amd named=#true {{ to t; gpus amd; capabilities {words} }}\n{slices}"
    ));
    let mut plans = given.plans(host);
    plans.retain(|plan| plan.lines.iter().any(|line| !line.devices.is_empty()));
    plans
}

fn rendered(plans: &[Plan]) -> String {
    let mut text = String::new();
    for (at, plan) in plans.iter().enumerate() {
        writeln!(text, "grant {}", plan.grant).unwrap();
        for (vendor, edits) in &plan.edits {
            if let Some(same) = plans.iter().take(at).find(|other| other.edits.get(vendor) == Some(edits)) {
                writeln!(text, "  with any GPU of {}, as by grant {}", vendor.title(), same.grant).unwrap();
                continue;
            }
            writeln!(text, "  with any GPU of {}", vendor.title()).unwrap();
            edits.iter().for_each(|edit| writeln!(text, "    {}", line(edit)).unwrap());
        }
        for device in plan.lines.iter().flat_map(|line| &line.devices) {
            let Device { index, uuid, pci, edits, .. } = device;
            writeln!(text, "  with device {index}, {uuid} at {pci}").unwrap();
            edits.iter().for_each(|edit| writeln!(text, "    {}", line(edit)).unwrap());
        }
        for granted in plan.features.iter().filter(|granted| granted.lacking.is_none()) {
            writeln!(text, "  with feature {}", granted.feature).unwrap();
            granted.edits.iter().for_each(|edit| writeln!(text, "    {}", line(edit)).unwrap());
        }
    }
    text
}

/// The kind and every value of an edit, but for the capabilities that are in force here anyway.
fn line(edit: &Edit) -> String {
    let mut value = serde_json::to_value(edit).unwrap();
    let fields = value.as_object_mut().unwrap();
    let mut take = |key: &str| fields.remove(key).map(|value| word(&value)).unwrap_or_default();
    let (kind, path, from) = (take("kind"), take("containerPath"), take("hostPath"));
    take("capabilities");
    let said = [take("options"), take("permissions")].concat();
    let numbers = [take("major"), take("minor")].join(":");
    let mode = take("fileMode").parse().map(|mode: u32| format!(" mode={mode:o}")).unwrap_or_default();
    let number = if numbers == ":" { String::new() } else { format!(" c {numbers}{mode}") };
    let said = if said.is_empty() { said } else { format!(" {said}") };
    let from = if from == path || from.is_empty() { String::new() } else { format!(" of {from}") };
    let rest: String = fields.iter().map(|(key, value)| format!(" {key}={}", word(value))).collect();
    format!("{kind} {path}{number}{said}{rest}{from}")
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('\n', "\\n"),
        Value::Array(items) => items.iter().map(word).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[test]
fn every_host_gives_what_is_recorded() {
    let mut count = 0;
    for (name, host) in hosts() {
        for (set, capabilities) in sets() {
            let plans = plans(&host, &capabilities);
            if plans.is_empty() {
                continue;
            }
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path(root().join("snapshots/hosts"));
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            settings.bind(|| insta::assert_snapshot!(format!("{name}.{set}"), rendered(&plans)));
            count += 1;
        }
    }
    assert!(count > 200, "{count}");
}
