//! What nobody knows of a host, as text.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cli::table::table;
use crate::topology::Topology;

/// A property of one list's elements, as what stands before and after its index, and why it is unknown.
type Place = (String, String, String);

/// Of how many elements a list is, and which of them it is about; none where it is about no list.
#[derive(Default)]
struct Elements {
    all: usize,
    some: BTreeMap<usize, String>,
}

/// An element of the first list on the way to a value.
struct Element<'e> {
    list: &'e str,
    all: usize,
    index: usize,
    /// The pair of GPUs that it joins, if it is a link.
    pair: String,
}

/// What is unknown and why, properties of several elements of a list in one line.
pub(super) fn unknown(topology: &Topology) -> String {
    let mut places = BTreeMap::new();
    // What has been read from JSON can be written as JSON.
    collect(&serde_json::to_value(topology).unwrap_or_default(), "", None, &mut places);
    let row = |((before, after, reason), elements): (Place, Elements)| {
        vec![format!("{before}{}{after}", which(&elements)), reason]
    };
    table(&["UNKNOWN", "BECAUSE"], places.into_iter().map(row).collect())
}

fn collect(
    value: &Value,
    place: &str,
    element: Option<&Element<'_>>,
    places: &mut BTreeMap<Place, Elements>,
) {
    match value {
        Value::Object(fields) => match fields.get("unknown").and_then(Value::as_str) {
            Some(reason) => {
                let (before, after) = element.map_or((place, ""), |element| (element.list, place));
                let key = (before.to_owned(), after.to_owned(), reason.to_owned());
                let elements = places.entry(key).or_default();
                if let Some(element) = element {
                    elements.all = element.all;
                    elements.some.insert(element.index, element.pair.clone());
                }
            }
            None => {
                let dot = if place.is_empty() && element.is_none() { "" } else { "." };
                for (name, value) in fields {
                    collect(value, &format!("{place}{dot}{name}"), element, places);
                }
            }
        },
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                match element {
                    None => {
                        let element = Element { list: place, all: values.len(), index, pair: pair(value) };
                        collect(value, "", Some(&element), places);
                    }
                    Some(_) => collect(value, &format!("{place}[{index}]"), element, places),
                }
            }
        }
        _ => {}
    }
}

/// `0-8` for the link of the GPUs 0 and 8, nothing for what is no link.
fn pair(element: &Value) -> String {
    let gpus = element.get("gpus").and_then(Value::as_array);
    gpus.map(|gpus| gpus.iter().map(Value::to_string).collect::<Vec<_>>().join("-")).unwrap_or_default()
}

/// Which elements of a list, unless it is all of them: links by their GPUs, others by their place.
fn which(elements: &Elements) -> String {
    let Elements { all, some } = elements;
    if some.len() == *all {
        String::new()
    } else if some.values().all(String::is_empty) {
        format!("[{}]", ranges(some.keys().copied()))
    } else {
        format!("[{}]", some.values().map(String::as_str).collect::<Vec<_>>().join(" "))
    }
}

/// `0-3,5` for 0, 1, 2, 3 and 5.
fn ranges(numbers: impl Iterator<Item = usize>) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let word = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    runs.into_iter().map(word).collect::<Vec<_>>().join(",")
}
