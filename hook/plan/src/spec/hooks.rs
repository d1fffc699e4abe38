//! Hooks of a `config.json`: our own calls, and those of other GPU stacks.

use serde_json::{Value, json};

use super::list;
use crate::guard::is_gpu_hook;
use crate::refusal::Refusal;
use crate::request::cdi::{GIVEN, NOTHING, PROGRAM};

/// The stages at which somebody could give devices.
const BEFORE_START: [&str; 4] = ["prestart", "createRuntime", "createContainer", "startContainer"];

/// What the hook is to be called with for a container of the spec form.
pub struct Calls<'c> {
    /// Absolute path of the hook's program.
    pub program: &'c str,
    /// Name of the entry.
    pub entry: &'c str,
    /// Directory of the entries, if it is not the one that the hook knows by itself.
    pub entries: Option<&'c str>,
    /// `TENANT/GRANT/DEVICE` for each device that it was given; empty: none.
    pub given: &'c [String],
}

/// Has the hook called at createRuntime, before all others, and at poststop if there is something to give back.
///
/// # Errors
///
/// [`crate::refusal::Reason::BadRequest`] if the file's hooks are not what the runtime specification says.
pub fn add(config: &mut Value, calls: &Calls<'_>) -> Result<(), Refusal> {
    let nothing = [NOTHING.to_owned()];
    let given = if calls.given.is_empty() { &nothing } else { calls.given };
    let mut args = calls.args("createRuntime");
    args.extend(given.iter().flat_map(|word| [GIVEN, word.as_str()]));
    list(config, &["hooks", "createRuntime"])?.insert(0, json!({"path": calls.program, "args": args}));
    if !calls.given.is_empty() {
        let args = calls.args("poststop");
        list(config, &["hooks", "poststop"])?.push(json!({"path": calls.program, "args": args}));
    }
    Ok(())
}

impl<'c> Calls<'c> {
    fn args(&self, stage: &'c str) -> Vec<&'c str> {
        let entries = self.entries.map(|entries| ["--entries", entries]);
        [PROGRAM, stage, "--entry", self.entry].into_iter().chain(entries.into_iter().flatten()).collect()
    }
}

/// Takes out the hooks of other GPU stacks, and dockerd's for `--gpus`, which what is given here stands in place of; says
/// whether there were any.
pub fn remove_gpu_hooks(config: &mut Value) -> bool {
    let is_other = |call: &Value| !call["path"].as_str().is_some_and(is_gpu_hook);
    let mut removed = false;
    for stage in BEFORE_START {
        let calls = config.pointer_mut(&format!("/hooks/{stage}")).and_then(Value::as_array_mut);
        let Some(calls) = calls else { continue };
        let before = calls.len();
        calls.retain(is_other);
        removed |= calls.len() < before;
    }
    removed
}
