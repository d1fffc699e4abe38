//! What is to go wrong.

use std::time::Duration;

use serde_json::Value;

use crate::Outcome;
use crate::document::number;

/// Misbehaviours, of which the first that fits counts.
pub(crate) struct Faults(Vec<Value>);

impl Faults {
    pub(crate) fn of(document: Option<Value>) -> Self {
        Self(document.as_ref().and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Hangs and fails as the call `name` is to, about the GPU of that index if it is about one.
    pub(crate) fn meet(&self, name: &str, gpu: Option<u32>) -> Outcome {
        let is_meant = |fault: &&Value| {
            let call = fault.get("call").and_then(Value::as_str);
            let of = number(fault, "gpu");
            (call == Some(name) || (call == Some("*") && gpu.is_some())) && (of.is_none() || of == gpu)
        };
        let Some(fault) = self.0.iter().find(is_meant) else { return Ok(()) };
        #[expect(clippy::disallowed_methods, reason = "a GPU that hangs is what is simulated")]
        if let Some(hang) = number(fault, "hangMs") {
            std::thread::sleep(Duration::from_millis(hang.into()));
        }
        number(fault, "code").map_or(Ok(()), Err)
    }
}
