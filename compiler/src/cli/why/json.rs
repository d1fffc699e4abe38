//! An explanation as a JSON document: `docs/why.md` has every field.

use gpupol_plan::plan::Rule;
use serde::Serialize;

use super::reached::Asked;
use crate::cli::{Failure, guarded, print};
use crate::outcome::Outcome;
use crate::outcome::why::{Barred, Guard, Known, NotFor, Numbers, Reach, Reached, Story, Tried};

/// The version of this form; it grows by fields only.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfContainer<'s> {
    format_version: u32,
    topology: &'s str,
    who: &'s str,
    tenant: Option<&'s str>,
    #[serde(flatten)]
    outcome: Came<'s>,
    decided_by: &'s [Rule],
    identities: &'s [Known],
    grants: &'s [Tried],
    reach: Option<&'s Reach>,
    denies: &'s [Barred],
    not_for: &'s [NotFor],
    /// Absent: its request can be read in one way only.
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<&'s Numbers>,
    /// Absent: its configuration goes around nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Option<Guarding<'s>>,
}

#[derive(Serialize)]
struct Guarding<'s> {
    #[serde(flatten)]
    guarded: guarded::Document<'s>,
    rule: &'s Rule,
}

#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Came<'s> {
    NotAsked,
    Denied { reason: &'static str, message: &'s str },
    Granted { grant: &'s str, devices: Vec<&'s str> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfDevices<'s> {
    format_version: u32,
    topology: &'s str,
    tenant: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_of_service: Option<&'s str>,
    reached: bool,
    #[serde(flatten)]
    rules: &'s Reached,
}

/// Writes what came of a container.
pub(super) fn story(story: &Story, host: &str) -> Result<(), Failure> {
    let outcome = match &story.outcome {
        Outcome::NotAsked => Came::NotAsked,
        Outcome::Denied { refusal, .. } => {
            Came::Denied { reason: refusal.reason.slug(), message: &refusal.message }
        }
        Outcome::Granted(gift) => Came::Granted {
            grant: &gift.grant,
            devices: gift.devices.iter().map(|device| device.uuid.as_str()).collect(),
        },
    };
    print::document(&OfContainer {
        format_version: FORMAT_VERSION,
        topology: host,
        who: &story.who,
        tenant: story.tenant.as_deref(),
        outcome,
        decided_by: &story.decided_by,
        identities: &story.identities,
        grants: &story.grants,
        reach: story.reach.as_ref(),
        denies: &story.denies,
        not_for: &story.not_for,
        numbers: story.numbers.as_ref(),
        guard: story.guard.as_ref().and_then(guarding),
    })
}

fn guarding(guard: &Guard) -> Option<Guarding<'_>> {
    Some(Guarding { guarded: guarded::document(&guard.guarded)?, rule: &guard.rule })
}

/// Writes who reaches what.
pub(super) fn reached(reached: &Reached, asked: &Asked<'_>) -> Result<(), Failure> {
    print::document(&OfDevices {
        format_version: FORMAT_VERSION,
        topology: asked.host,
        tenant: asked.tenant,
        gpu: asked.gpu,
        out_of_service: asked.out_of_service,
        reached: reached.any(),
        rules: reached,
    })
}
