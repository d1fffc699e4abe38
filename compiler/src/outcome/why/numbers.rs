//! How the numbers of Docker's `--gpus` were taken, which names and counts with the same bytes.

use gpupol_plan::plan::Rule;
use gpupol_plan::request::{Devices, Request};
use serde::Serialize;

use super::Case;
use crate::outcome::Outcome;

/// `--gpus N`, or `--gpus device=0,…,N-1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Numbers {
    /// How many there are, from 0 on.
    pub count: usize,
    /// What they were taken for.
    pub taken: Taken,
    /// The `policy` node, whose `request-indices` says so.
    pub rule: Rule,
}

/// What numbers of Docker's were taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    /// The GPUs of these indices.
    Indices,
    /// So many devices, as those were not to be had.
    Amount,
    /// Neither: it is refused.
    Neither,
}

impl Case<'_> {
    /// How a request's numbers were taken, if both was possible.
    pub(super) fn numbers(&self, request: Option<&Request>, outcome: &Outcome) -> Option<Numbers> {
        let Devices::Indices(indices) = &request?.devices else { return None };
        // Whoever is trusted gets all, whatever it asks for.
        if matches!(outcome, Outcome::Granted(gift) if self.policy.is_trusted(&gift.tenant)) {
            return None;
        }
        let taken = match outcome {
            Outcome::Granted(gift) => {
                let is_given =
                    |index: &u32| gift.devices.iter().any(|device| device.index == index.to_string());
                if indices.iter().all(is_given) { Taken::Indices } else { Taken::Amount }
            }
            Outcome::Denied { .. } | Outcome::NotAsked => Taken::Neither,
        };
        let rule = self.rule(self.policy.settings.span, "policy".to_owned());
        Some(Numbers { count: indices.len(), taken, rule })
    }
}
