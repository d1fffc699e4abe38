//! The state of the container, which the runtime writes to the hook's standard input.

use gpupol_plan::refusal::{Reason, Refusal};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::file;
use crate::process::Process;

/// Runtimes repeat all annotations here, so it can be as long as a `config.json`.
const LIMIT: usize = 64 * 1024 * 1024;

/// What a hook is told of its container. Fields that are not needed are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct State {
    /// The container's id.
    pub id: String,
    /// Absolute path of the bundle.
    pub bundle: String,
    /// The container's init in the runtime's pid namespace. `runc` leaves it out of poststop, `crun` writes 0.
    #[serde(default)]
    pid: Option<i64>,
}

impl State {
    /// Reads standard input to its end, which the runtime waits for, and understands it.
    ///
    /// # Errors
    /// The call that failed, or where the text is no state of a container.
    pub(crate) fn read() -> Result<Self> {
        let text = file::read_all(std::io::stdin(), LIMIT).map_err(|error| error.during(step))?;
        Self::parse(&text)
    }

    /// A container that no runtime has made yet.
    pub(crate) fn before_create(id: &str, bundle: String) -> Self {
        Self { id: id.to_owned(), bundle, pid: None }
    }

    /// Understands the text.
    ///
    /// # Errors
    /// Where it is no state of a container.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let state: Self =
            serde_json::from_slice(text).map_err(|error| Error::found(error.to_string()).during(step))?;
        if state.id.is_empty() || !state.bundle.starts_with('/') {
            return Err(Error::found("it names no container or no absolute bundle").during(step));
        }
        Ok(state)
    }

    /// The container's init.
    ///
    /// # Errors
    /// The state names none, or none that is alive.
    pub(crate) fn process(&self) -> Result<Process> {
        let pid = self.pid()?;
        Process::open(pid)?
            .ok_or_else(|| Error::found(format!("process {pid}, the container's init, is not alive")))
    }

    fn pid(&self) -> Result<u32> {
        let pid = self.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 1);
        pid.ok_or_else(|| {
            let message = "the state of the container names no process, so nothing can be given to it";
            Refusal::new(Reason::NotSupported, message).into()
        })
    }
}

fn step() -> String {
    "the container's state on standard input".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_slashes_and_unknown_fields_are_read() {
        let text =
            br#"{ "ociVersion": "1.0", "id": "a", "pid": 42, "root": "rootfs", "bundle": "\/srv\/bundle",
            "status": "created", "annotations": { "a\/b": "c" } }"#;
        let state = State::parse(text).unwrap();
        assert_eq!(state.bundle, "/srv/bundle");
        assert_eq!(state.pid().unwrap(), 42);
    }

    #[test]
    fn a_state_without_a_process_is_read_and_gives_no_pid() {
        for pid in ["", r#","pid":0"#, r#","pid":1"#, r#","pid":-5"#, r#","pid":99999999999"#] {
            let state = State::parse(format!(r#"{{"id":"a","bundle":"/b"{pid}}}"#).as_bytes()).unwrap();
            assert!(state.pid().is_err(), "{pid}");
        }
    }

    #[test]
    fn what_is_no_state_is_refused_in_one_line() {
        for text in ["", "{", "[]", r#"{"id":"","bundle":"/b"}"#, r#"{"id":"a","bundle":"b"}"#] {
            let message = State::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(message.starts_with("the container's state on standard input: "), "{message}");
            assert!(!message.contains('\n'));
        }
    }
}
