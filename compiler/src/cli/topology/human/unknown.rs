//! What nobody knows of a host, as text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cli::table::table;
use crate::topology::Topology;

/// A property of one list's elements, as what stands before and after its index, and why it is unknown.
type Place = (String, String, String);

/// What is unknown and why, properties of several elements of a list in one line.
pub(super) fn unknown(topology: &Topology) -> String {
    let mut places: BTreeMap<Place, BTreeSet<usize>> = BTreeMap::new();
    // What has been read from JSON can be written as JSON.
    collect(&serde_json::to_value(topology).unwrap_or_default(), "", None, &mut places);
    let row = |((before, after, reason), indices): (Place, BTreeSet<usize>)| {
        let at = if indices.is_empty() { String::new() } else { format!("[{}]", ranges(&indices)) };
        vec![format!("{before}{at}{after}"), reason]
    };
    table(&["UNKNOWN", "BECAUSE"], places.into_iter().map(row).collect())
}

/// `list` is the first list on the way to `value`, and the index in it.
fn collect(
    value: &Value,
    place: &str,
    list: Option<(&str, usize)>,
    places: &mut BTreeMap<Place, BTreeSet<usize>>,
) {
    match value {
        Value::Object(fields) => match fields.get("unknown").and_then(Value::as_str) {
            Some(reason) => {
                let before = list.map_or(place, |(list, _)| list).to_owned();
                let after = if list.is_some() { place.to_owned() } else { String::new() };
                let indices = places.entry((before, after, reason.to_owned())).or_default();
                indices.extend(list.map(|(_, index)| index));
            }
            None => {
                let dot = if place.is_empty() && list.is_none() { "" } else { "." };
                for (name, value) in fields {
                    collect(value, &format!("{place}{dot}{name}"), list, places);
                }
            }
        },
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                match list {
                    None => collect(value, "", Some((place, at)), places),
                    Some(_) => collect(value, &format!("{place}[{at}]"), list, places),
                }
            }
        }
        _ => {}
    }
}

/// `0-3,5` for 0, 1, 2, 3 and 5.
fn ranges(numbers: &BTreeSet<usize>) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*number) => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let word = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    runs.into_iter().map(word).collect::<Vec<_>>().join(",")
}
