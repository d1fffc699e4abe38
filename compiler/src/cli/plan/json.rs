//! A decision as a JSON document.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability;
use gpupol_plan::edit::{DeviceNode, Edit};
use gpupol_plan::feature::Feature;
use gpupol_plan::index::OnDenied;
use gpupol_plan::plan::{Memory, Rule, Sharing};
use serde::Serialize;

use super::{Decided, Known};
use crate::cli::guarded;
use crate::cli::render::json;
use crate::emit::mps::Daemon;
use crate::outcome::{Device, Gift, Outcome};
use crate::policy::Class;

/// The version of this form; it grows by fields only.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'o> {
    format_version: u32,
    topology: &'o str,
    /// Absent: its configuration goes around nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Option<guarded::Document<'o>>,
    #[serde(flatten)]
    body: Body<'o>,
}

#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Body<'o> {
    NotAsked,
    Denied {
        tenant: Option<&'o str>,
        reason: &'static str,
        message: &'o str,
        on_denied: OnDenied,
    },
    Granted {
        tenant: &'o str,
        grant: &'o str,
        rule: &'o Rule,
        known_by: Option<KnownBy<'o>>,
        devices: Vec<Given<'o>>,
        capabilities: &'o BTreeSet<Capability>,
        features: Vec<Granted<'o>>,
        edits: Vec<Ruled<'o>>,
        device_rules: Vec<DeviceRule<'o>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        mps_daemons: Vec<Daemon>,
    },
}

/// The identity of the tenant by which the container is known, and whose word that is.
#[derive(Serialize)]
struct KnownBy<'o> {
    identity: String,
    file: &'o str,
    line: usize,
    trust: Class,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Given<'o> {
    uuid: &'o str,
    index: &'o str,
    pci: &'o str,
    /// The node of the device itself: a GPU's, a MIG device's parent's.
    path: Option<&'o str>,
    paths: &'o [String],
    gpu_set: &'o str,
    sharing: &'o Sharing,
    /// Absent: nothing bounds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<&'o Memory>,
}

#[derive(Serialize)]
struct Granted<'o> {
    feature: Feature,
    rule: &'o Rule,
}

/// An edit, and the rule behind it.
#[derive(Serialize)]
struct Ruled<'o> {
    rule: &'o Rule,
    #[serde(flatten)]
    edit: &'o Edit,
}

/// In the words of the OCI runtime specification.
#[derive(Serialize)]
struct DeviceRule<'o> {
    #[serde(rename = "type")]
    kind: &'static str,
    major: u32,
    minor: u32,
    access: &'o str,
}

/// The document, with a line feed at its end.
pub(super) fn outcome(decided: &Decided<'_>) -> String {
    let Decided { outcome, guarded, known, host, on_denied, .. } = decided;
    let body = match outcome {
        Outcome::NotAsked => Body::NotAsked,
        Outcome::Denied { tenant, refusal } => Body::Denied {
            tenant: tenant.as_deref(),
            reason: refusal.reason.slug(),
            message: &refusal.message,
            on_denied: *on_denied,
        },
        Outcome::Granted(gift) => granted(gift, known.as_ref()),
    };
    json(&Document {
        format_version: FORMAT_VERSION,
        topology: host,
        guard: guarded::document(guarded),
        body,
    })
}

fn granted<'o>(gift: &'o Gift, known: Option<&Known<'o>>) -> Body<'o> {
    Body::Granted {
        tenant: &gift.tenant,
        grant: &gift.grant,
        rule: &gift.rule,
        known_by: known.map(|known| KnownBy {
            identity: known.identity.to_string(),
            file: known.file,
            line: known.line,
            trust: known.identity.class(),
        }),
        devices: gift.devices.iter().map(given).collect(),
        capabilities: &gift.capabilities,
        features: gift.features.iter().map(|(feature, rule)| Granted { feature: *feature, rule }).collect(),
        edits: gift.edits.iter().map(|(rule, edit)| Ruled { rule, edit }).collect(),
        device_rules: gift.edits.iter().filter_map(|(_, edit)| device_rule(edit)).collect(),
        mps_daemons: gift.daemons().collect(),
    }
}

fn given(device: &Device) -> Given<'_> {
    Given {
        uuid: &device.uuid,
        index: &device.index,
        pci: &device.pci,
        path: device.paths.first().map(String::as_str),
        paths: &device.paths,
        gpu_set: &device.gpu_set,
        sharing: &device.sharing,
        memory: device.memory.as_ref(),
    }
}

fn device_rule(edit: &Edit) -> Option<DeviceRule<'_>> {
    let Edit::DeviceNode(DeviceNode { major, minor, permissions, .. }) = edit else { return None };
    Some(DeviceRule { kind: "c", major: *major, minor: *minor, access: permissions })
}
