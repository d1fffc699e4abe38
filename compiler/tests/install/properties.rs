//! What holds for every file, settings and changes of others to them.

use gpupol::installation::config::{Edit, Language, put, read, take_out};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Names that stand in files already, those of gpupol's settings among them.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["runtimes", "default-runtime", "gpupol", "a", "b", "c d", "é\"\\"])
        .prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z \"\\\\#=é]{0,6}".prop_map(Value::from),
        prop::collection::vec("[a-z]{0,3}".prop_map(Value::from), 0..3).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop::collection::btree_map(name(), inner, 0..4)
            .prop_map(|fields| Value::Object(fields.into_iter().collect()))
    })
}

fn object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(name(), value(), 0..4)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

/// A file in one of the languages, laid out in one of some ways.
fn file() -> impl Strategy<Value = (Language, String)> {
    (object(), 0..6_u8).prop_map(|(value, layout)| match layout {
        0 => (Language::Json, value.to_string()),
        1 => (Language::Json, format!("{value:#}\n")),
        2 => (Language::Json, format!("\u{feff}{value:#}").replace('\n', "\r\n")),
        3 => (Language::Toml, format!("# first\n\n{}# last\n", toml(&value))),
        4 => (Language::Toml, toml(&value).replace('\n', "\r\n")),
        _ => (Language::Toml, toml(&value).replace(" = ", "  =\t")),
    })
}

fn toml(value: &Value) -> String {
    let edits: Vec<Edit> = value
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| Edit::new(&[name.as_str()], value.clone()))
        .collect();
    put(Language::Toml, "", &edits).unwrap().0
}

fn edits() -> Vec<Edit> {
    vec![
        Edit::new(&["runtimes", "gpupol"], json!({"path": "/x", "options": {"deep": true}})),
        Edit::new(&["default-runtime"], "gpupol"),
    ]
}

/// The same value without tables that have nothing in them.
fn bare(value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    let fields = fields.iter().map(|(name, value)| (name.clone(), bare(value)));
    let fields: Map<String, Value> = fields.filter(|(_, value)| *value != json!({})).collect();
    Value::Object(fields)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is put in is there; put in again it changes nothing; taken out, the file says what it said before.
    #[test]
    fn in_and_out((language, text) in file()) {
        let Ok((with, done)) = put(language, &text, &edits()) else { return Ok(()) };
        let (before, now) = (read(language, &text).unwrap(), read(language, &with).unwrap());
        for edit in edits() {
            let found = edit.key.iter().try_fold(&now, |value, word| value.get(word));
            prop_assert_eq!(found, Some(&edit.value));
        }
        prop_assert_eq!(put(language, &with, &edits()).unwrap(), (with.clone(), Vec::new()));
        let (out, kept) = take_out(language, &with, &done).unwrap();
        prop_assert!(kept.is_empty());
        prop_assert_eq!(read(language, &out).unwrap(), before);
    }

    /// What somebody sets meanwhile stays, whatever it is; gpupol's goes.
    #[test]
    fn what_others_set_meanwhile_stays((language, text) in file(), other in name(), new in value()) {
        let Ok((with, done)) = put(language, &text, &edits()) else { return Ok(()) };
        let Ok((theirs, _)) = put(language, &with, &[Edit::new(&["runtimes", &format!("x{other}")], new.clone())]) else {
            return Ok(());
        };
        let (out, kept) = take_out(language, &theirs, &done).unwrap();
        prop_assert!(kept.is_empty());
        let mut expected = read(language, &text).unwrap();
        expected["runtimes"][format!("x{other}")] = new;
        prop_assert_eq!(bare(&read(language, &out).unwrap()), bare(&expected));
    }
}
