//! What changed between two topologies of one host.
//!
//! Both are compared as their documents, part by part: a GPU or MIG device is the one with its UUID, a link that of its
//! two GPUs, a node and a file the one at its place. So a property that a later version adds is compared as well. Of a
//! GPU that goes out of service, or comes back, only that is said: all else of it changed for that reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{DriverFile, Fact, Gpu, Topology, Vendor};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Of what, such as ``GPU `GPU-…` ``.
    pub of: String,
    /// What happened to it.
    #[serde(flatten)]
    pub change: Change,
}

/// What happened to a part of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// Only the old topology has it.
    Gone,
    /// Only the new topology has it.
    New,
    /// A property of it is another.
    Changed {
        /// The property, as the document calls it: `minor`, `driver.version`.
        property: String,
        /// Its old value; absent: the document did not say.
        #[serde(skip_serializing_if = "Option::is_none")]
        was: Option<Value>,
        /// Its new value.
        #[serde(skip_serializing_if = "Option::is_none")]
        is: Option<Value>,
    },
}

impl fmt::Display for Drift {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.change {
            Change::Gone => write!(out, "{}: gone", self.of),
            Change::New => write!(out, "{}: new", self.of),
            Change::Changed { property, was, is } => {
                let word = |value: &Option<Value>| value.as_ref().map_or("not said".to_owned(), words);
                write!(out, "{}: {property} was {}, is {}", self.of, word(was), word(is))
            }
        }
    }
}

/// The property that says whether a GPU is in service.
const STATE: &str = "state";

/// Everything in which `new` differs from `old`: the host first, then GPUs, MIG devices, links, nodes and files.
#[must_use]
pub fn drift(old: &Topology, new: &Topology) -> Vec<Drift> {
    compare(&parts(old), &parts(new))
}

/// Everything in which `new` differs from `old`, part by part.
pub(crate) fn compare<P: Ord + fmt::Display>(
    old: &BTreeMap<P, Properties>,
    new: &BTreeMap<P, Properties>,
) -> Vec<Drift> {
    let keys: BTreeSet<&P> = old.keys().chain(new.keys()).collect();
    keys.into_iter().flat_map(|part| between(part, old.get(part), new.get(part))).collect()
}

/// A part of a host, by what stays the same of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Host,
    Gpu {
        uuid: String,
    },
    /// A GPU out of service whose UUID nobody tells.
    Nameless {
        name: String,
    },
    MigDevice {
        uuid: String,
    },
    Link {
        uuids: [String; 2],
    },
    Node {
        path: String,
    },
    /// A library by directory and soname; other files by path.
    File {
        place: String,
    },
    Missing {
        name: String,
    },
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => write!(out, "host"),
            Self::Gpu { uuid } => write!(out, "GPU `{uuid}`"),
            Self::Nameless { name } => write!(out, "{name}"),
            Self::MigDevice { uuid } => write!(out, "MIG device `{uuid}`"),
            Self::Link { uuids: [one, other] } => write!(out, "link of `{one}` and `{other}`"),
            Self::Node { path } => write!(out, "device node `{path}`"),
            Self::File { place } => write!(out, "driver file `{place}`"),
            Self::Missing { name } => write!(out, "missing driver file `{name}`"),
        }
    }
}

/// The properties of a part, by name.
pub(crate) type Properties = BTreeMap<String, Value>;

fn between<P: fmt::Display>(part: &P, old: Option<&Properties>, new: Option<&Properties>) -> Vec<Drift> {
    let of = |change| Drift { of: part.to_string(), change };
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (Some(_), None) => return vec![of(Change::Gone)],
        (None, _) => return vec![of(Change::New)],
    };
    let mut names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let state = STATE.to_owned();
    if old.get(STATE) != new.get(STATE) {
        names = BTreeSet::from([&state]);
    }
    let changed = names.into_iter().filter(|name| old.get(*name) != new.get(*name)).map(|name| {
        let (was, is) = (old.get(name).cloned(), new.get(name).cloned());
        of(Change::Changed { property: name.clone(), was, is })
    });
    changed.collect()
}

fn parts(topology: &Topology) -> BTreeMap<Part, Properties> {
    let mut parts = BTreeMap::from([(Part::Host, host(topology))]);
    for gpu in &topology.gpus {
        let mut properties = without(gpu, &["uuid", "migDevices"]);
        properties.insert(STATE.to_owned(), Value::from("in-service"));
        parts.insert(Part::Gpu { uuid: gpu.uuid.clone() }, properties);
        for device in &gpu.mig_devices {
            // Where it lies is told only to root, and nothing is granted by it.
            let mut properties = without(device, &["uuid", "start"]);
            properties.insert("gpu".to_owned(), Value::from(gpu.uuid.as_str()));
            parts.insert(Part::MigDevice { uuid: device.uuid.clone() }, properties);
        }
    }
    for gpu in &topology.out_of_service {
        // Under `state`, as the others have it.
        let part = match &gpu.uuid {
            Fact::Known(uuid) => Part::Gpu { uuid: uuid.clone() },
            Fact::Absent | Fact::Unknown(_) => Part::Nameless { name: gpu.to_string() },
        };
        parts.insert(part, without(gpu, &["uuid"]));
    }
    for link in &topology.links {
        let mut uuids = link.gpus.map(|index| uuid_of(&topology.gpus, index));
        uuids.sort();
        parts.insert(Part::Link { uuids }, without(link, &["gpus"]));
    }
    for node in topology.nodes.values().flatten() {
        parts.insert(Part::Node { path: node.path.clone() }, without(node, &["path"]));
    }
    let version = topology.driver(Vendor::Nvidia).version.known();
    for file in &topology.driver_files {
        let (place, properties) = unversioned(file, version);
        parts.insert(Part::File { place }, properties);
    }
    for file in topology.missing_driver_files.known().into_iter().flatten() {
        parts.insert(Part::Missing { name: plain(&file.name, version) }, without(file, &["name"]));
    }
    parts
}

/// The properties of the host itself. Missing files are parts of their own; that they are known is the host's.
fn host(topology: &Topology) -> Properties {
    const MISSING: &str = "missingDriverFiles";
    let mut properties = without(topology, &["gpus", "outOfService", "links", "nodes", "driverFiles"]);
    if topology.missing_driver_files.known().is_some() {
        properties.retain(|name, _| !name.starts_with(MISSING));
        properties.insert(MISSING.to_owned(), Value::Array(Vec::new()));
    }
    properties
}

fn uuid_of(gpus: &[Gpu], index: u32) -> String {
    gpus.iter().find(|gpu| gpu.index == index).map(|gpu| gpu.uuid.clone()).unwrap_or_default()
}

fn plain(name: &str, version: Option<&String>) -> String {
    version.map_or(name.to_owned(), |version| name.replace(version.as_str(), "VERSION"))
}

/// A file without the driver's version in its names, so that an upgrade is one difference, not one for each file.
fn unversioned(file: &DriverFile, version: Option<&String>) -> (String, Properties) {
    let plain = |name: &str| plain(name, version);
    let file = DriverFile {
        path: plain(&file.path),
        soname: file.soname.as_deref().map(plain),
        links: file.links.iter().map(|link| plain(link)).collect(),
        ..file.clone()
    };
    let place = match (&file.soname, file.path.rsplit_once('/')) {
        (Some(soname), Some((directory, _))) => format!("{directory}/{soname}"),
        _ => file.path.clone(),
    };
    (place, without(&file, &[]))
}

/// The properties of a part of a document, those of objects within it under dotted names, without `left_out`.
pub(crate) fn without(part: &impl Serialize, left_out: &[&str]) -> Properties {
    let mut properties = Properties::new();
    // What has been read from JSON can be written as JSON.
    if let Ok(Value::Object(fields)) = serde_json::to_value(part) {
        for (name, value) in fields.into_iter().filter(|(name, _)| !left_out.contains(&name.as_str())) {
            flatten(name, value, &mut properties);
        }
    }
    properties
}

fn flatten(name: String, value: Value, properties: &mut Properties) {
    match value {
        Value::Object(fields) if !is_unknown(&fields) => {
            for (field, value) in fields {
                flatten(format!("{name}.{field}"), value, properties);
            }
        }
        Value::Array(nodes) if !nodes.is_empty() && nodes.iter().all(|node| path_of(node).is_some()) => {
            for node in nodes {
                let path = path_of(&node).unwrap_or_default().to_owned();
                flatten(format!("{name}.{path}"), node, properties);
            }
        }
        value => _ = properties.insert(name, value),
    }
}

fn path_of(node: &Value) -> Option<&str> {
    node.get("path")?.as_str()
}

fn is_unknown(fields: &Map<String, Value>) -> bool {
    fields.len() == 1 && fields.contains_key("unknown")
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => "absent".to_owned(),
        Value::String(text) => format!("`{text}`"),
        Value::Object(fields) if is_unknown(fields) => {
            let reason = fields.get("unknown").and_then(Value::as_str).unwrap_or_default();
            format!("unknown ({reason})")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
