//! TOML files.

use serde_json::{Map, Number, Value};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value as Toml};

use super::{Done, Edit, Fault, name};

mod layout;

use layout::{Layout, blanks};

fn document(text: &str) -> Result<DocumentMut, Fault> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        // Its reader draws the place over several lines; the first has line and column, the last what is wrong.
        let drawn = error.to_string();
        let place = drawn.lines().next().unwrap_or_default().trim_start_matches("TOML parse error ");
        Fault::Syntax { language: "TOML", why: format!("{} {place}", error.message()) }
    })
}

pub(super) fn read(text: &str) -> Result<Value, Fault> {
    Ok(of_table(document(text)?.as_table()))
}

pub(super) fn put(text: &str, edits: &[Edit]) -> Result<(String, Vec<Done>), Fault> {
    let mut document = document(text)?;
    let mut all = Vec::new();
    for edit in edits {
        all.extend(put_one(&mut document, edit)?);
    }
    Ok((document.to_string(), all))
}

fn put_one(document: &mut DocumentMut, edit: &Edit) -> Result<Option<Done>, Fault> {
    let Some((last, above)) = edit.key.split_last() else { return Ok(None) };
    // As it is before anything is made.
    let layouts: Vec<Layout> = (0..=above.len())
        .map(|depth| Layout::of(document.as_table(), edit.key.get(..=depth).unwrap_or_default()))
        .collect();
    let of = |depth: usize| layouts.get(depth);
    let (mut table, mut made): (&mut dyn TableLike, usize) = (document.as_table_mut(), 0);
    for (depth, word) in above.iter().enumerate() {
        if table.get(word).is_none() {
            table.insert(word, Item::Table(implicit(of(depth))));
            made += 1;
        }
        let next = table.get_mut(word).and_then(Item::as_table_like_mut);
        let upto = || Fault::NoTable(name(edit.key.get(..=depth).unwrap_or_default()));
        table = next.ok_or_else(upto)?;
    }
    let before = table.get(last);
    if before.is_some_and(|item| of_item(item) == edit.value) {
        return Ok(None);
    }
    let before = match before {
        Some(Item::Value(value)) => Some(value.to_string().trim().to_owned()),
        Some(_) => return Err(Fault::NoTable(name(above))),
        None => None,
    };
    let inner = above.len().checked_sub(1).and_then(of).map(Layout::inner);
    set(table, last, &edit.value, of(above.len()), inner);
    Ok(Some(Done { key: edit.key.clone(), value: edit.value.clone(), before, made }))
}

/// A table that has no line of its own as long as it only has tables in it.
fn implicit(layout: Option<&Layout>) -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    if let Some(layout) = layout {
        layout.dress(&mut table);
    }
    table
}

/// Gives a key that value, indented and commented as what stands there or beside it.
fn set(table: &mut dyn TableLike, key: &str, value: &Value, layout: Option<&Layout>, inner: Option<String>) {
    if let Some(Item::Value(old)) = table.get_mut(key) {
        replace(old, to_toml(value));
        return;
    }
    let beside = indent(table).or(inner);
    let item = to_item(value, layout.unwrap_or(&Layout::default()));
    let is_value = item.is_value();
    table.insert(key, item);
    if let (true, Some(beside), Some(mut key)) = (is_value, beside, table.key_mut(key)) {
        key.leaf_decor_mut().set_prefix(beside);
    }
}

/// What stands around a value stays.
fn replace(old: &mut Toml, mut new: Toml) {
    *new.decor_mut() = old.decor().clone();
    *old = new;
}

/// The blanks before the last setting of a table.
fn indent(table: &dyn TableLike) -> Option<String> {
    let values = table.iter().filter(|(_, item)| item.is_value()).map(|(key, _)| key.to_owned());
    let last = values.last()?;
    Some(blanks(table.key(&last)?.leaf_decor().prefix().and_then(|prefix| prefix.as_str())))
}

pub(super) fn take_out(text: &str, done: &[Done]) -> Result<(String, Vec<String>), Fault> {
    let mut document = document(text)?;
    let mut kept = Vec::new();
    for done in done.iter().rev() {
        if !take_one(document.as_table_mut(), done) {
            kept.push(name(&done.key));
        }
    }
    Ok((document.to_string(), kept))
}

/// Whether that is no longer there.
fn take_one(root: &mut dyn TableLike, done: &Done) -> bool {
    let Some((last, above)) = done.key.split_last() else { return true };
    let Some(table) = way(root, above) else { return true };
    let Some(found) = table.get_mut(last) else { return true };
    if of_item(found) != done.value {
        return false;
    }
    match (found, done.before.as_deref().and_then(|raw| raw.parse::<Toml>().ok())) {
        (Item::Value(now), Some(before)) => replace(now, before),
        _ => _ = table.remove(last),
    }
    for depth in (above.len().saturating_sub(done.made)..above.len()).rev() {
        prune(root, above.get(..=depth).unwrap_or_default());
    }
    true
}

/// Takes out a table that nothing is left in.
fn prune(root: &mut dyn TableLike, key: &[String]) {
    let Some((last, above)) = key.split_last() else { return };
    let Some(table) = way(root, above) else { return };
    if table.get(last).and_then(Item::as_table_like).is_some_and(TableLike::is_empty) {
        table.remove(last);
    }
}

fn way<'t>(root: &'t mut dyn TableLike, key: &[String]) -> Option<&'t mut dyn TableLike> {
    key.iter().try_fold(root, |table, word| table.get_mut(word)?.as_table_like_mut())
}

fn to_item(value: &Value, layout: &Layout) -> Item {
    let Value::Object(fields) = value else { return Item::Value(to_toml(value)) };
    let mut table = Table::new();
    layout.dress(&mut table);
    // Settings come before tables, whose lines they would belong to otherwise.
    let (tables, settings): (Vec<_>, Vec<_>) = fields.iter().partition(|(_, value)| value.is_object());
    for (name, value) in settings {
        table.insert(name, Item::Value(to_toml(value)));
        if let Some(mut key) = table.key_mut(name) {
            key.leaf_decor_mut().set_prefix(layout.inner());
        }
    }
    for (name, value) in tables {
        table.insert(name, to_item(value, &layout.deeper()));
    }
    Item::Table(table)
}

fn to_toml(value: &Value) -> Toml {
    match value {
        // TOML has no such value, and no configuration here has one.
        Value::Null => Toml::from(""),
        Value::Bool(is) => Toml::from(*is),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Toml::from(number.as_f64().unwrap_or_default()), Toml::from)
        }
        Value::String(text) => Toml::from(text.as_str()),
        Value::Array(values) => Toml::Array(values.iter().map(to_toml).collect::<Array>()),
        Value::Object(fields) => Toml::InlineTable(
            fields.iter().map(|(name, value)| (name.as_str(), to_toml(value))).collect::<InlineTable>(),
        ),
    }
}

fn of_item(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => of_toml(value),
        Item::Table(table) => of_table(table),
        Item::ArrayOfTables(tables) => Value::Array(tables.iter().map(|table| of_table(table)).collect()),
    }
}

fn of_table(table: &dyn TableLike) -> Value {
    Value::Object(table.iter().map(|(name, item)| (name.to_owned(), of_item(item))).collect::<Map<_, _>>())
}

fn of_toml(value: &Toml) -> Value {
    match value {
        Toml::String(text) => Value::String(text.value().clone()),
        Toml::Integer(number) => Value::Number((*number.value()).into()),
        Toml::Float(number) => Number::from_f64(*number.value()).map_or(Value::Null, Value::Number),
        Toml::Boolean(is) => Value::Bool(*is.value()),
        Toml::Datetime(time) => Value::String(time.value().to_string()),
        Toml::Array(values) => Value::Array(values.iter().map(of_toml).collect()),
        Toml::InlineTable(table) => of_table(table),
    }
}
