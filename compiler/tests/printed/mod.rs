//! Documents that the command prints, and the schemas of `docs` that they are of.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

/// A schema of `docs`, and every word that it has for something.
pub(crate) struct Schema {
    file: &'static str,
    schema: Value,
}

impl Schema {
    /// `name` as in `docs/NAME.schema.json`.
    pub(crate) fn of(file: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
        let mut schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        close(&mut schema);
        Self { file, schema }
    }

    /// Fails if the document is not of the schema, or has a field that this does not know.
    pub(crate) fn holds(&self, document: &Value) {
        let validator = jsonschema::validator_for(&self.schema).unwrap();
        let faults: Vec<String> = validator
            .iter_errors(document)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{}: {faults:#?} in {document:#}", self.file);
    }

    /// Fails if anything of a document can be taken away, renamed or changed in kind, and the schema holds all the same;
    /// `may_lack` names the fields that need not be there.
    pub(crate) fn holds_only(&self, document: &Value, may_lack: &[&str]) {
        self.holds(document);
        let validator = jsonschema::validator_for(&self.schema).unwrap();
        let mut all = Vec::new();
        fields(document, String::new(), &mut all);
        for (object, name) in all {
            let changed = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
                let mut changed = document.clone();
                change(changed.pointer_mut(&object).unwrap().as_object_mut().unwrap());
                !validator.is_valid(&changed)
            };
            let gone = may_lack.contains(&name.as_str()) || changed(&|fields| _ = fields.remove(&name));
            let other = changed(&|fields| _ = fields.insert(name.clone(), json!({ "no": "such" })));
            let more = changed(&|fields| _ = fields.insert(format!("{name}s-too"), json!(1)));
            assert!(gone && other && more, "{}: {object}/{name}", self.file);
        }
    }

    /// The names of all properties.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        names(&self.schema, &mut found);
        found
    }

    /// The alternatives of the property of that name, wherever it stands first.
    pub(crate) fn alternatives(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        words(&self.schema, name, &mut found);
        found
    }
}

/// What readers may pass over, tests may not.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("type") == Some(&json!("object")) {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

/// The JSON pointers of all objects, each with the name of each of their fields.
fn fields(value: &Value, at: String, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(own) => {
            for (name, value) in own {
                found.push((at.clone(), name.clone()));
                fields(value, format!("{at}/{name}"), found);
            }
        }
        Value::Array(values) => {
            (0..).zip(values).for_each(|(place, value)| fields(value, format!("{at}/{place}"), found));
        }
        _ => {}
    }
}

fn words(schema: &Value, name: &str, found: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            let own = fields.get("properties").and_then(|own| own.get(name)?.get("enum")?.as_array());
            let own = own.into_iter().flatten().filter_map(Value::as_str);
            found.extend(own.map(str::to_owned));
            fields.values().for_each(|value| words(value, name, found));
        }
        Value::Array(values) => values.iter().for_each(|value| words(value, name, found)),
        _ => {}
    }
}

fn names(schema: &Value, found: &mut BTreeSet<String>) {
    let own = schema.get("properties").and_then(Value::as_object);
    found.extend(own.into_iter().flat_map(serde_json::Map::keys).cloned());
    match schema {
        Value::Object(fields) => fields.values().for_each(|value| names(value, found)),
        Value::Array(values) => values.iter().for_each(|value| names(value, found)),
        _ => {}
    }
}
