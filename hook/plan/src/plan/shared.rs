//! A plan in two parts: its own, and what many plans have alike, which a plan set holds once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Device, PLAN_VERSION, Plan};
use crate::document;
use crate::edit::Edit;
use crate::refusal::{Reason, Refusal};
use crate::vendor::Vendor;

/// What plans of the same devices and capabilities have alike: nearly all of their bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shared {
    /// Always [`PLAN_VERSION`]; anything else is refused.
    pub plan_version: u32,
    /// The plan's `edits`.
    pub edits: BTreeMap<Vendor, Vec<Edit>>,
    /// The `devices` of each of its lines.
    pub devices: Vec<Vec<Device>>,
}

impl Plan {
    /// Reads a plan from its two parts.
    ///
    /// # Errors
    ///
    /// [`Reason::PlanSet`] if one is of another version or not such a document, or if they are not of each other.
    pub fn join(own: &[u8], shared: &[u8]) -> Result<Self, Refusal> {
        let plan = Self::parse(own)?;
        let shared: Shared = document::parse("plan", PLAN_VERSION, shared)?;
        let is_bare = plan.edits.is_empty() && plan.lines.iter().all(|line| line.devices.is_empty());
        if !is_bare || plan.lines.len() != shared.devices.len() {
            return Err(Refusal::new(
                Reason::PlanSet,
                "plan is damaged: its two parts are not of each other",
            ));
        }
        Ok(plan.with(shared))
    }

    /// A plan's own part with what others have alike.
    #[must_use]
    pub fn with(mut self, shared: Shared) -> Self {
        self.edits = shared.edits;
        for (line, devices) in self.lines.iter_mut().zip(shared.devices) {
            line.devices = devices;
        }
        self
    }

    /// Takes out of a plan what others may have alike.
    #[must_use]
    pub fn split(mut self) -> (Self, Shared) {
        let devices = self.lines.iter_mut().map(|line| std::mem::take(&mut line.devices)).collect();
        let edits = std::mem::take(&mut self.edits);
        (self, Shared { plan_version: PLAN_VERSION, edits, devices })
    }
}
