//! Slurm's files: a `Key=Value` on each line, keys in any case, comments from `#` on.

use serde_json::{Map, Value};

use super::{Done, Edit, Fault, name};

/// Key and value of a line, if it is such a one.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_key.then(|| (key, value.trim()))
}

/// All settings, with their keys in lower case.
pub(super) fn read(text: &str) -> Value {
    let settings = text.lines().filter_map(setting);
    let fields = settings.map(|(key, value)| (key.to_ascii_lowercase(), value.into()));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn is_of(line: &str, key: &str) -> bool {
    setting(line).is_some_and(|(found, _)| found.eq_ignore_ascii_case(key))
}

pub(super) fn put(text: &str, edits: &[Edit]) -> Result<(String, Vec<Done>), Fault> {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let mut all = Vec::new();
    for edit in edits {
        let (key, value) = (name(&edit.key), words(&edit.value));
        let places: Vec<usize> =
            (0..).zip(&lines).filter(|(_, line)| is_of(line, &key)).map(|(at, _)| at).collect();
        let new = format!("{key}={value}\n");
        let before = match (places.as_slice(), places.first().and_then(|&at| lines.get_mut(at))) {
            ([_], Some(line)) => {
                let found = setting(line).map(|(_, value)| value.to_owned());
                if found.as_deref() == Some(value) {
                    continue;
                }
                *line = new;
                found
            }
            ([], _) => {
                end(&mut lines);
                lines.push(new);
                None
            }
            _ => return Err(Fault::Twice(key)),
        };
        all.push(Done { key: edit.key.clone(), value: edit.value.clone(), before, made: 0 });
    }
    Ok((lines.concat(), all))
}

/// What comes next stands on a line of its own.
fn end(lines: &mut [String]) {
    if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
        last.push('\n');
    }
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(super) fn take_out(text: &str, done: &[Done]) -> (String, Vec<String>) {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let mut kept = Vec::new();
    for done in done {
        let key = name(&done.key);
        let is_ours = |line: &String| {
            is_of(line, &key) && setting(line).is_some_and(|(_, value)| value == words(&done.value))
        };
        match (lines.iter().position(is_ours), &done.before) {
            (Some(at), Some(before)) => {
                if let Some(line) = lines.get_mut(at) {
                    *line = format!("{key}={before}\n");
                }
            }
            (Some(at), None) => _ = lines.remove(at),
            (None, _) if lines.iter().any(|line| is_of(line, &key)) => kept.push(key),
            (None, _) => {}
        }
    }
    (lines.concat(), kept)
}
