//! What is so for every container.

use super::change::{Change, Direction, Property};
use crate::policy::{Auditing, OnBypass, OnDenied, RequestIndices, Settings};

/// A word, and how much more it lets through than those before.
type Leniency = (&'static str, u8);

pub(super) fn changes(old: &Settings, new: &Settings) -> Vec<Change> {
    let graded = [
        (Property::OnDenied, on_denied(old.on_denied), on_denied(new.on_denied)),
        (Property::OnBypass, on_bypass(old.on_bypass.value), on_bypass(new.on_bypass.value)),
        (Property::Audit, audit(old.audit), audit(new.audit)),
    ];
    let graded = graded.into_iter().filter_map(|(property, (from, before), (to, after))| {
        Some(Change::new(property, Direction::of(&before, &after)?).from(from).to(to))
    });
    let numbers = (old.request_indices != new.request_indices).then(|| {
        let change = Change::new(Property::RequestIndices, Direction::Other);
        change.from(indices(old.request_indices)).to(indices(new.request_indices))
    });
    graded.chain(numbers).collect()
}

fn on_denied(setting: OnDenied) -> Leniency {
    match setting {
        OnDenied::Refuse => ("refuse", 0),
        OnDenied::RunWithoutGpu => ("run-without-gpu", 1),
    }
}

fn on_bypass(setting: OnBypass) -> Leniency {
    match setting {
        OnBypass::Refuse => ("refuse", 0),
        OnBypass::Contain => ("contain", 1),
        OnBypass::Report => ("report", 2),
    }
}

fn audit(setting: Auditing) -> Leniency {
    match setting {
        Auditing::Required => ("required", 0),
        Auditing::BestEffort => ("best-effort", 1),
    }
}

fn indices(setting: RequestIndices) -> &'static str {
    match setting {
        RequestIndices::Auto => "auto",
        RequestIndices::Host => "host",
        RequestIndices::Count => "count",
    }
}
