//! Who keeps what a grant says of sharing and of limits.
//!
//! Where the engine runs as a user, so does the hook that it calls, and the user could leave it out: what leases and device
//! rules would hold there holds for nobody. What such a container may open is decided by the modes of the nodes, or by
//! Slurm's device cgroup; the hook brings nodes and files to it, and keeps no count.

use crate::choose::Choice;
use crate::entry::{Engine, Entry, Form};
use crate::observed::Observed;
use crate::plan::{Plan, Sharing};
use crate::refusal::{Reason, Refusal};

/// Who keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The leases that the hook takes as root.
    Leases,
    /// Slurm, which alone says who shares what.
    Slurm,
    /// Nobody: the engine runs as the user of this uid.
    Nobody(u32),
}

impl Keeper {
    /// Who does for a container that came in through `entry`.
    ///
    /// # Errors
    ///
    /// [`Reason::NotSupported`] where nobody does and the entry is of the spec form, which is leased before the container is
    /// made, or of an engine of which a user has none of their own.
    pub fn of(entry: &Entry, observed: &Observed) -> Result<Self, Refusal> {
        let keeper = match (entry.engine, observed.user) {
            (Engine::Slurm, _) => Self::Slurm,
            (_, None) => return Ok(Self::Leases),
            (Engine::Podman, Some(uid)) => Self::Nobody(uid),
            (engine, Some(uid)) => {
                let engine = engine.name();
                let message =
                    format!("{engine} is run by uid {uid}, and only a user's own Podman is given GPUs");
                return Err(Refusal::new(Reason::NotSupported, message));
            }
        };
        if entry.form == Form::Spec {
            let engine = entry.engine.name();
            let message = format!(
                "{engine} runs its containers as a user, who gets GPUs only through an entry of the hook form"
            );
            return Err(Refusal::new(Reason::NotSupported, message));
        }
        Ok(keeper)
    }

    /// Checks that what is chosen promises nothing that nobody keeps: neither a device for one container alone nor a limit of
    /// the tenant. Slurm keeps both in its own ways.
    ///
    /// # Errors
    ///
    /// [`Reason::NotSupported`] if it does.
    pub fn require(self, plan: &Plan, choice: &Choice<'_>) -> Result<(), Refusal> {
        let Self::Nobody(uid) = self else { return Ok(()) };
        let is_exclusive = |sharing: &Sharing| matches!(sharing, Sharing::Exclusive {});
        let exclusive = choice.given.iter().find(|given| is_exclusive(&given.line.sharing));
        let what = match (exclusive, plan.limit) {
            (Some(given), _) => {
                format!("gpu-set `{}` of grant `{}` is exclusive", given.line.gpu_set, plan.grant)
            }
            (None, Some(limit)) => format!("tenant `{}` has a limit of {limit}", plan.tenant),
            (None, None) => return Ok(()),
        };
        let message =
            format!("{what}, which nobody keeps where podman is run by uid {uid}: use root's Podman");
        Err(Refusal::new(Reason::NotSupported, message))
    }
}
