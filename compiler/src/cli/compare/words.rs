//! Changes and classes in words.

use super::Compared;
use crate::comparison::{Change, Difference, Property, Witness};

/// Words of ours, with names of others among them.
#[derive(Default)]
pub(super) struct Words(Vec<Part>);

enum Part {
    Ours(String),
    /// A name, which people get in backticks.
    Name(String),
}

impl Words {
    pub(super) fn of(ours: &str) -> Self {
        Self::default().and(ours)
    }

    fn and(mut self, ours: impl Into<String>) -> Self {
        self.0.push(Part::Ours(ours.into()));
        self
    }

    fn named(mut self, name: &str) -> Self {
        self.0.push(Part::Name(name.to_owned()));
        self
    }

    fn then(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// For a terminal.
    pub(super) fn plain(&self) -> String {
        self.each(str::to_owned, |name| format!("`{name}`"))
    }

    /// Each part as one form has it.
    pub(super) fn each(&self, ours: fn(&str) -> String, name: fn(&str) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Ours(text) => ours(text),
            Part::Name(text) => name(text),
        };
        self.0.iter().map(part).collect()
    }
}

/// ``devices of `small`: GPU 7 (NVIDIA L4)``, ``at-most of `small`: 1, now 2``
pub(super) fn change(change: &Change, compared: &Compared<'_>) -> Words {
    let words = Words::of(name(change.property));
    let words = match &change.gpu_set {
        Some(set) => words.and(" of ").named(set),
        None => words,
    };
    let on = if change.hosts.is_empty() || change.hosts.len() == compared.hosts.len() {
        String::new()
    } else {
        let names: Vec<&str> = change.hosts.iter().map(String::as_str).collect();
        format!(" on {}", names.join(", "))
    };
    let between = if change.property == Property::LineOrder { " before " } else { ", " };
    let (old, new) = (change.old.join(between), change.new.join(between));
    let what = match (old.is_empty(), new.is_empty()) {
        (false, false) => format!("{old}, now {new}"),
        (true, _) => new,
        (_, true) => old,
    };
    words.and(format!("{on}: {what}"))
}

/// `` on h100.json``, where there are several hosts and it matters.
pub(super) fn place(witness: &Witness, compared: &Compared<'_>) -> String {
    let host = witness.host.as_ref().filter(|_| compared.hosts.len() > 1);
    host.map(|host| format!(" on {host}")).unwrap_or_default()
}

fn name(property: Property) -> &'static str {
    match property {
        Property::LineOrder => "order of lines",
        other => other.name(),
    }
}

/// ``tenant `a`, grant `g` when label stage=dev``, each with what it was before.
pub(super) fn class(difference: &Difference) -> Words {
    let tenant = both("tenant", &difference.tenants, "nobody's");
    if difference.grants == [None, None] {
        return tenant;
    }
    let grant = both("grant", &difference.grants, "no grant");
    let named = difference
        .witness()
        .and_then(|one| one.named.as_ref())
        .map(|_| ", if it is named")
        .unwrap_or_default();
    let [old, new] = difference.when.each_ref().map(|when| when.join(", "));
    let when = match (difference.grants.each_ref().map(Option::is_some), old == new) {
        ([true, true], false) => format!(", when {}, now {}", or_always(&old), or_always(&new)),
        ([true, _], _) if !old.is_empty() => format!(", when {old}"),
        ([false, true], _) if !new.is_empty() => format!(", when {new}"),
        _ => String::new(),
    };
    tenant.and(", ").then(grant).and(named).and(when)
}

fn or_always(when: &str) -> &str {
    if when.is_empty() { "always" } else { when }
}

fn both(what: &str, [old, new]: &[Option<String>; 2], none: &str) -> Words {
    let named = |name: &str| Words::of(&format!("{what} ")).named(name);
    match (old, new) {
        (Some(old), Some(new)) if old == new => named(old),
        (Some(old), Some(new)) => named(old).and(", now ").named(new),
        (Some(old), None) => named(old).and(format!(", now {none}")),
        (None, Some(new)) => Words::of(none).and(", now ").then(named(new)),
        (None, None) => Words::of(none),
    }
}
