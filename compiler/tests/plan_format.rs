//! Plans, their JSON Schema (`docs/plan.schema.json`) and their page (`docs/plan-format.md`) say the same.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test program: it reads the project's files"
)]

#[path = "../examples/plan_schema/schema.rs"]
mod schema;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gpupol_plan::plan::Plan;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

fn project(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(below)
}

fn validator() -> Validator {
    jsonschema::validator_for(&serde_json::from_str(&schema::text()).unwrap()).unwrap()
}

/// Every plan among the golden files, by its name.
fn plans() -> Vec<(String, Value)> {
    let mut plans = Vec::new();
    for entry in fs::read_dir(project("snapshots/plans")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let (_, body) = text.split_once("\n---\n").unwrap();
        let document: Option<Value> = serde_json::from_str(body).ok();
        plans.extend(document.filter(|plan| plan.get("planVersion").is_some()).map(|plan| (name, plan)));
    }
    plans.sort_by(|a, b| a.0.cmp(&b.0));
    plans
}

fn is_read(plan: &Value) -> bool {
    Plan::parse(plan.to_string().as_bytes()).is_ok()
}

#[test]
fn the_schema_is_that_of_the_types() {
    let file = fs::read_to_string(project("docs/plan.schema.json")).unwrap();
    assert!(file == schema::text(), "another schema: run `cargo run -p gpupol --example plan_schema`");
}

#[test]
fn every_golden_plan_is_of_the_schema() {
    let validator = validator();
    let plans = plans();
    assert!(plans.len() > 30, "{}", plans.len());
    for (name, plan) in plans {
        let faults: Vec<String> = validator.iter_errors(&plan).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{name}: {faults:#?}");
        assert!(is_read(&plan), "{name}");
    }
}

/// The JSON pointers of all objects in a document.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            fields.iter().for_each(|(name, value)| objects(value, &format!("{at}/{name}"), found));
        }
        Value::Array(values) => {
            (0..).zip(values).for_each(|(place, value)| objects(value, &format!("{at}/{place}"), found));
        }
        _ => {}
    }
}

#[test]
fn nothing_unknown_is_read_nor_of_the_schema() {
    let validator = validator();
    let (_, plan) = plans().into_iter().find(|(name, _)| name.starts_with("gpudirect")).unwrap();
    let mut found = Vec::new();
    objects(&plan, "", &mut found);
    let mut kinds = 0;
    for at in found {
        let changed = |change: fn(&mut Map<String, Value>)| {
            let mut changed = plan.clone();
            change(changed.pointer_mut(&at).unwrap().as_object_mut().unwrap());
            changed
        };
        let more = changed(|object| _ = object.insert("unknown".to_owned(), json!([])));
        assert!(!is_read(&more) && !validator.is_valid(&more), "a field in `{at}`");
        let other = changed(|object| {
            for tag in ["kind", "mode"] {
                object.entry(tag).and_modify(|kind| *kind = json!("unknown"));
            }
        });
        if other != plan {
            kinds += 1;
            assert!(!is_read(&other) && !validator.is_valid(&other), "a kind in `{at}`");
        }
    }
    assert!(kinds > 20, "{kinds}");
    let mut newer = plan;
    newer["planVersion"] = json!(2);
    assert!(!is_read(&newer) && !validator.is_valid(&newer));
}

/// The names of all fields and of all words that stand for a kind.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    if let Some(fields) = value.get("properties").and_then(Value::as_object) {
        found.extend(fields.keys().cloned());
        found.extend(fields.values().filter_map(|field| Some(field.get("const")?.as_str()?.to_owned())));
    }
    match value {
        Value::Object(fields) => fields.values().for_each(|value| names(value, found)),
        Value::Array(values) => values.iter().for_each(|value| names(value, found)),
        _ => {}
    }
}

#[test]
fn the_page_has_every_field() {
    let page = fs::read_to_string(project("docs/plan-format.md")).unwrap();
    let mut all = BTreeSet::new();
    names(&serde_json::from_str(&schema::text()).unwrap(), &mut all);
    let missing: Vec<&String> = all.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(all.len() > 50 && missing.is_empty(), "docs/plan-format.md lacks {missing:?}");
}
