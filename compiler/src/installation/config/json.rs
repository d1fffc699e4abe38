//! JSON files.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstObjectProp, CstRootNode};
use serde_json::Value;

use super::{Done, Edit, Fault, name};

/// As the standard has it.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

pub(super) fn read(text: &str) -> Result<Value, Fault> {
    if text.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_str(text).map_err(|error| {
        let is_relaxed = CstRootNode::parse(text, &ParseOptions::default()).is_ok();
        if is_relaxed { Fault::Relaxed } else { Fault::Syntax { language: "JSON", why: error.to_string() } }
    })
}

/// The file's object, which an empty file is taken to have.
fn object(text: &str) -> Result<(CstRootNode, CstObject), Fault> {
    read(text)?;
    let syntax = |why: String| Fault::Syntax { language: "JSON", why };
    let root = CstRootNode::parse(text, &STRICT).map_err(|error| syntax(error.to_string()))?;
    let object = root.object_value_or_create().ok_or_else(|| Fault::NoTable("the whole file".to_owned()))?;
    Ok((root, object))
}

pub(super) fn put(text: &str, edits: &[Edit]) -> Result<(String, Vec<Done>), Fault> {
    let (root, object) = object(text)?;
    let mut all = Vec::new();
    for edit in edits {
        all.extend(put_one(&object, edit)?);
    }
    Ok((root.to_string(), all))
}

fn put_one(root: &CstObject, edit: &Edit) -> Result<Option<Done>, Fault> {
    let Some((last, above)) = edit.key.split_last() else { return Ok(None) };
    let (mut object, mut made) = (root.clone(), 0);
    for (depth, word) in above.iter().enumerate() {
        let upto = || name(edit.key.get(..=depth).unwrap_or_default());
        let found = only(&object, word, upto)?;
        made += usize::from(found.is_none());
        object = match found {
            Some(property) => property.object_value().ok_or_else(|| Fault::NoTable(upto()))?,
            None => object.append(word, CstInputValue::Object(Vec::new())).object_value_or_set(),
        };
    }
    let before = only(&object, last, || name(&edit.key))?;
    let raw = before.as_ref().and_then(CstObjectProp::value).map(|value| value.to_string());
    match before {
        Some(property) if property.to_serde_value().as_ref() == Some(&edit.value) => return Ok(None),
        Some(property) => property.set_value(input(&edit.value)),
        None => _ = object.append(last, input(&edit.value)),
    }
    Ok(Some(Done { key: edit.key.clone(), value: edit.value.clone(), before: raw, made }))
}

/// The property of that name; Go takes the last of several, or all of them together, and nobody means to have several.
fn only(object: &CstObject, word: &str, name: impl Fn() -> String) -> Result<Option<CstObjectProp>, Fault> {
    let is_it = |property: &CstObjectProp| property.decoded_name().as_deref() == Some(word);
    let mut found = object.properties().into_iter().filter(is_it);
    let first = found.next();
    if found.next().is_some() { Err(Fault::Twice(name())) } else { Ok(first) }
}

pub(super) fn take_out(text: &str, done: &[Done]) -> Result<(String, Vec<String>), Fault> {
    let (root, object) = object(text)?;
    let mut kept = Vec::new();
    for done in done.iter().rev() {
        if !take_one(&object, done) {
            kept.push(name(&done.key));
        }
    }
    Ok((root.to_string(), kept))
}

/// Whether that is no longer there.
fn take_one(root: &CstObject, done: &Done) -> bool {
    let Some((last, above)) = done.key.split_last() else { return true };
    let mut way = vec![root.clone()];
    for word in above {
        let Some(next) = way.last().and_then(|object| object.object_value(word)) else { return true };
        way.push(next);
    }
    let Some(property) = way.last().and_then(|object| object.get(last)) else { return true };
    if property.to_serde_value().as_ref() != Some(&done.value) {
        return false;
    }
    let before = done.before.as_deref().and_then(|raw| serde_json::from_str(raw).ok());
    match before {
        Some(before) => property.set_value(input(&before)),
        None => property.remove(),
    }
    for (word, pair) in above.iter().zip(way.windows(2)).rev().take(done.made) {
        if let [outer, inner] = pair
            && inner.properties().is_empty()
            && let Some(property) = outer.get(word)
        {
            property.remove();
        }
    }
    true
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(is) => CstInputValue::Bool(*is),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(values) => CstInputValue::Array(values.iter().map(input).collect()),
        Value::Object(fields) => {
            CstInputValue::Object(fields.iter().map(|(name, value)| (name.clone(), input(value))).collect())
        }
    }
}
