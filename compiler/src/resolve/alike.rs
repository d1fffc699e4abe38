//! Devices that have the same value of what selectors ask for: a host has many GPUs and few models, and patterns need be tried
//! on each model once.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::judge::Candidate;
use super::positions::Positions;
use crate::policy::Selector;
use crate::topology::Fact;

/// Devices of a host that are alike, by what is asked of them; each made when it is first asked for.
#[derive(Default)]
pub(super) struct Alike {
    host: OnceCell<Groups>,
    vendor: OnceCell<Groups>,
    model: OnceCell<Groups>,
    brand: OnceCell<Groups>,
    architecture: OnceCell<Groups>,
    compute_capability: OnceCell<Groups>,
    memory: OnceCell<Groups>,
    numa: OnceCell<Groups>,
}

/// Each value's first device, and where all that have it stand.
type Groups = Vec<(usize, Positions)>;

/// A value by which devices are told apart.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Value<'a> {
    /// All have the same.
    Any,
    Absent,
    Unknown,
    Text(&'a str),
    Bytes(u64),
    Nodes(&'a [u32]),
}

impl Alike {
    /// Those of which a selector says the same; nothing if it names devices one by one, or is made of others.
    pub(super) fn groups(&self, selector: &Selector, candidates: &[Candidate<'_>]) -> Option<&Groups> {
        let (known, value): (_, for<'c> fn(&Candidate<'c>) -> Value<'c>) = match selector {
            Selector::Host(_) => (&self.host, |_| Value::Any),
            Selector::Vendor(_) | Selector::Driver(_) => {
                (&self.vendor, |candidate| Value::Text(candidate.gpu.vendor.name()))
            }
            Selector::Model(_) => (&self.model, |candidate| Value::Text(&candidate.gpu.model)),
            Selector::Brand(_) => (&self.brand, |candidate| text(&candidate.gpu.brand)),
            Selector::Architecture(_) => (&self.architecture, |candidate| text(&candidate.gpu.architecture)),
            Selector::ComputeCapability(_) => {
                (&self.compute_capability, |candidate| text(&candidate.gpu.compute_capability))
            }
            Selector::Memory { .. } => {
                (&self.memory, |candidate| of(&candidate.gpu.memory, |bytes| Value::Bytes(*bytes)))
            }
            Selector::Numa(_) => {
                (&self.numa, |candidate| of(&candidate.gpu.numa, |nodes| Value::Nodes(nodes)))
            }
            Selector::Uuid(_) | Selector::Pci(_) | Selector::AnyOf(_) => return None,
        };
        Some(known.get_or_init(|| {
            let mut groups: BTreeMap<Value, (usize, Positions)> = BTreeMap::new();
            for (at, candidate) in candidates.iter().enumerate() {
                let new = || (at, Positions::of(candidates.len(), |_| false));
                groups.entry(value(candidate)).or_insert_with(new).1.insert(at);
            }
            groups.into_values().collect()
        }))
    }
}

fn text(fact: &Fact<String>) -> Value<'_> {
    of(fact, |text| Value::Text(text))
}

fn of<'a, T>(fact: &'a Fact<T>, known: impl FnOnce(&'a T) -> Value<'a>) -> Value<'a> {
    match fact {
        Fact::Known(value) => known(value),
        Fact::Absent => Value::Absent,
        Fact::Unknown(_) => Value::Unknown,
    }
}
