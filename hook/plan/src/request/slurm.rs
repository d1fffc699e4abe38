//! What a container of a Slurm job asks for: what was allocated to its step, which stands in none of its own words.

use super::allocation::{Allocation, exactly};
use super::{GPUS, Request, annotation_devices, features, gpupol_word};
use crate::config::Config;
use crate::entry::Entry;
use crate::observed::Observed;
use crate::refusal::{Reason, Refusal};
use crate::slurm;

/// What it asks for; `None`: for nothing.
///
/// # Errors
///
/// [`slurm::allocated`]'s, and [`Reason::NotSupported`] if it asks by its annotation and nothing was allocated.
pub fn by_slurm(entry: &Entry, config: &Config, observed: &Observed) -> Result<Option<Request>, Refusal> {
    let allocation = slurm::allocated(observed)?;
    if allocation != Allocation::default() {
        return exactly(allocation, features::asked(entry, config)?, entry, config).map(Some);
    }
    let asked = gpupol_word(entry, config, GPUS, "GPUPOL_GPUS").map(annotation_devices).transpose()?;
    if asked.flatten().is_none() {
        return Ok(None);
    }
    let none = || {
        let message = format!(
            "{GPUS} asks for devices, and Slurm has allocated none to the step: ask Slurm, by `--gres=gpu:1`"
        );
        Refusal::new(Reason::NotSupported, message)
    };
    Err(observed.unknown.clone().unwrap_or_else(none))
}
