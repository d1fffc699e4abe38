//! The spec form of what a container gets: its `config.json`, edited, and held to the runtime specification's types.

use gpupol_plan::edit::Edit;
use gpupol_plan::refusal::Refusal;
use gpupol_plan::spec::{self, Surroundings};
use oci_spec::runtime::Spec;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::Gift;

/// Where edits add something.
const LISTS: [&str; 5] =
    ["/linux/devices", "/linux/resources/devices", "/mounts", "/process/env", "/process/user/additionalGids"];

/// Why there is no spec form.
#[derive(Debug, Error)]
pub enum Fault {
    /// The file cannot be edited.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The file is no `config.json`.
    #[error("it is no configuration of a container: {0}")]
    Foreign(#[source] serde_json::Error),
    /// A defect of gpupol: what it wrote is not what the specification says.
    #[error("{0} of the edited config.json is not what the runtime specification says")]
    Defect(&'static str),
}

/// Edits a `config.json`; gives back what is left to the hook.
///
/// # Errors
///
/// See [`Fault`].
pub fn edit<'g>(
    config: &mut Value,
    gift: &'g Gift,
    surroundings: &Surroundings<'_>,
) -> Result<Vec<&'g Edit>, Fault> {
    let before = config.clone();
    Spec::deserialize(&before).map_err(Fault::Foreign)?;
    let edits: Vec<&Edit> = gift.edits.iter().map(|(_, edit)| edit).collect();
    let left = spec::apply(config, &edits, surroundings)?;
    let typed = Spec::deserialize(&*config).and_then(serde_json::to_value);
    let typed = typed.map_err(|_| Fault::Defect("something"))?;
    match LISTS.into_iter().find(|list| !is_kept(list, &before, config, &typed)) {
        Some(list) => Err(Fault::Defect(list)),
        None => Ok(left),
    }
}

/// Whether everything that was added to a list came through the specification's types unchanged.
fn is_kept(list: &str, before: &Value, after: &Value, typed: &Value) -> bool {
    let all = |config: &'_ Value| config.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
    let (before, typed) = (all(before), all(typed));
    all(after).iter().filter(|one| !before.contains(one)).all(|one| typed.contains(one))
}
