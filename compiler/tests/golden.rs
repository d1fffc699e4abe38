//! Every example: what `check` says, the whole plan set, and what each workload gets.

#![expect(clippy::unwrap_used, reason = "what a test cannot make, fails the test")]
#![expect(clippy::disallowed_methods, reason = "a test reads its inputs and runs the command")]

#[cfg(test)]
mod ran;

use std::path::{Path, PathBuf};

use gpupol_plan::index::{self, Index, Slice};
use gpupol_plan::plan::Plan;
use serde_json::{Value, json};

use ran::{Ran, run};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `gpupol ARGS…`, run at the root of the repository.
fn gpupol(args: &[&str]) -> Ran {
    run(&root(), args)
}

/// Sorted names in a directory below the root, without those that are no example.
fn names(directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(directory)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn cases() -> Vec<String> {
    names("examples")
        .into_iter()
        .filter(|name| root().join("examples").join(name).join("policy.kdl").is_file())
        .collect()
}

/// The topologies that a policy names, as `--topology` takes them.
fn topologies(case: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("examples").join(case).join("policy.kdl")).unwrap();
    let (_, rest) = text.split_once("topology ").unwrap();
    let quoted = rest.lines().next().unwrap().split('"').skip(1).step_by(2);
    quoted
        .map(|name| name.strip_prefix("../").map_or(name.to_owned(), |file| format!("examples/{file}")))
        .collect()
}

fn settings(area: &str) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots").join(area));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

/// The example of a policy file, or the directory of a policy.
fn name(policy: &str) -> &str {
    let directory = policy.strip_suffix("/policy.kdl").unwrap_or(policy);
    directory.rsplit('/').next().unwrap()
}

fn host(topology: &str) -> &str {
    let name = topology.rsplit(['/', ':']).next().unwrap();
    name.strip_suffix(".json").unwrap_or(name)
}

#[test]
fn there_are_examples() {
    assert!(cases().len() >= 4, "{:?}", cases());
}

#[test]
fn checks() {
    for case in cases() {
        let ran = gpupol(&["check", &format!("examples/{case}/policy.kdl")]);
        assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{case}: {ran}");
        settings("check").bind(|| insta::assert_snapshot!(case, ran.err));
    }
}

#[test]
fn workloads() {
    for case in cases() {
        for workload in names(&format!("examples/{case}/workloads")) {
            for topology in topologies(&case) {
                let file = format!("examples/{case}/workloads/{workload}");
                let policy = format!("examples/{case}/policy.kdl");
                let args =
                    ["plan", &policy, "--topology", &topology, "--workload", &file, "--format", "json"];
                let ran = gpupol(&args);
                assert!(matches!(ran.code, 0 | 4), "{ran}");
                let plan: Value = serde_json::from_str(&ran.out).unwrap();
                let name = format!("{case}.{}.{}", workload.strip_suffix(".kdl").unwrap(), host(&topology));
                settings("workloads").bind(|| insta::assert_json_snapshot!(name, plan));
            }
        }
    }
}

#[test]
fn plan_sets() {
    let shipped = [("policies".to_owned(), vec!["builtin:campus".to_owned()])];
    let examples = cases().into_iter().map(|case| (format!("examples/{case}/policy.kdl"), topologies(&case)));
    for (policy, topologies) in shipped.into_iter().chain(examples) {
        for topology in topologies {
            let directory = tempfile::tempdir().unwrap();
            let to = directory.path().to_str().unwrap();
            let ran = gpupol(&["compile", &policy, "--topology", &topology, "-o", to]);
            assert_eq!(ran.code, 0, "{ran}");
            let file = |name| std::fs::read(directory.path().join("current").join(name)).unwrap();
            let (bytes, plans) = (file("index"), file("plans"));
            let index = Index::of(&bytes).unwrap();
            let contents = index.contents().unwrap();
            assert_eq!(index::write(&contents, &index::automaton(&contents.tenants).unwrap()), bytes);
            let case = format!("{}.{}", name(&policy), host(&topology));
            let mut listed = serde_json::to_value(&contents).unwrap();
            listed["automaton"] = json!(index::states(&index).unwrap());
            settings("plans").bind(|| {
                insta::assert_json_snapshot!(format!("{case}.index"), listed);
                for grant in &contents.grants {
                    let slice = |slice: Slice| &plans[slice.offset as usize..][..slice.length as usize];
                    let plan = Plan::join(slice(grant.plan), slice(grant.shared)).unwrap();
                    let name = format!("{case}.{}.{}", grant.tenant, grant.name);
                    insta::assert_json_snapshot!(name, serde_json::to_value(plan).unwrap());
                }
            });
        }
    }
}
