//! As much of JSON Schema as `schema.json` is written in.

use serde_json::Value;

/// The schema.
pub(crate) struct Schema(Value);

impl Schema {
    pub(crate) fn read() -> Self {
        Self(serde_json::from_str(include_str!("schema.json")).unwrap())
    }

    /// What is wrong with a document, each with its place; a word of the schema that is not known here is a fault too.
    pub(crate) fn faults(&self, document: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.value(&serde_json::json!({ "$ref": "log" }), document, "", &mut faults);
        faults
    }

    fn value(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        for (word, demand) in schema.as_object().unwrap() {
            let holds = match word.as_str() {
                "$ref" => {
                    let name = demand.as_str().unwrap();
                    self.value(self.0.pointer(&format!("/definitions/{name}")).unwrap(), value, at, faults);
                    true
                }
                "type" => is(demand.as_str().unwrap(), value),
                "enum" => demand.as_array().unwrap().contains(value),
                "minimum" => value.as_i64() >= demand.as_i64(),
                "minItems" => value.as_array().map(|items| items.len() as u64) >= demand.as_u64(),
                "uniqueItems" => unique(value),
                "format" => demand == "uri-reference" && value.as_str().is_some_and(uri),
                "required" => {
                    let names = demand.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                    names.into_iter().all(|name| value.get(name).is_some())
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.value(demand, item, &format!("{at}/{index}"), faults);
                    }
                    true
                }
                "properties" => {
                    for (name, inner) in value.as_object().into_iter().flatten() {
                        if let Some(schema) = demand.get(name) {
                            self.value(schema, inner, &format!("{at}/{name}"), faults);
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    let known = schema.get("properties").unwrap();
                    value.as_object().is_some_and(|all| all.keys().all(|name| known.get(name).is_some()))
                }
                _ => false,
            };
            if !holds {
                faults.push(format!("{at}: {word} {demand} does not hold of {value}"));
            }
        }
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => false,
    }
}

fn unique(value: &Value) -> bool {
    let mut items: Vec<String> = value.as_array().into_iter().flatten().map(Value::to_string).collect();
    let all = items.len();
    items.sort();
    items.dedup();
    items.len() == all
}

/// Only characters that a URI may have, and `%` before two hexadecimal digits.
fn uri(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    let escapes = text.split('%').skip(1);
    text.bytes().all(plain)
        && escapes
            .into_iter()
            .all(|rest| rest.len() > 1 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}
