//! The executor of plans: an OCI hook, run by root, that gives a container exactly the GPUs of its plan.
//!
//! ```text
//! state on stdin ─state→ bundle ─bundle→ Config, ─observe→ Observed ─guard→ answer ─lookup→ Granted ─planset→ Plan
//!     ─choose under lease→ Choice
//!     ─apply→ nodes, mounts, device rules ─systemd→ the same rules, told ─audit→ one line
//! ```
//!
//! Before all that it gives up what it does not need ([`confine`]).
//! What is absent: it loads no library, runs no program but the entry's real runtime, which it becomes, asks no NVML, reads no environment, and decides nothing
//! that the compiler could have decided. It builds no path in a container from text: what is the container's is
//! reached by descriptor. A container that asks for no GPU, and whose configuration the guard finds nothing in,
//! is never touched, whatever state the plan set is in; everything else that is not as it must be ends without a GPU.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

// Private is what only the program itself needs; the tests on a real kernel, the fuzzers and the benchmark reach the rest.
pub mod apply;
mod arguments;
mod audit;
mod bundle;
pub mod cgroup;
pub mod confine;
mod entry;
pub mod error;
mod file;
mod guard;
mod host;
mod image;
pub mod lease;
pub mod mountinfo;
mod observe;
pub mod planset;
mod precreate;
pub mod process;
pub mod rootfs;
mod start;
pub mod state;
mod stop;
pub mod sys;
pub mod systemd;
mod wrapper;

use arguments::{Arguments, Stage};
use error::Called;
use gpupol_plan::config::DOCKER_GPUS_HOOK;
use gpupol_plan::refusal::one_line;

/// How the executor ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do: the container starts.
    Done = 0,
    /// The container does not get its GPUs and must not start; the reason is on standard error.
    Refused = 1,
    /// The arguments cannot be understood.
    Usage = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Where the entries lie, unless a hook's own arguments say otherwise.
pub(crate) const ENTRIES: &str = "/etc/gpupol/entries";

/// The entry of the link that dockerd calls for `docker run --gpus`, which is given none.
const DOCKER: &str = "docker";

/// Runs the executor with its arguments, of which the first is the name by which it is called.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> Exit {
    let called = arguments.next().unwrap_or_default().to_string_lossy().into_owned();
    let name = called.rsplit('/').next().unwrap_or_default();
    if let Some(entry) = name.strip_prefix(wrapper::NAME) {
        return wrapper::run(entry, arguments.collect());
    }
    let default = (name == DOCKER_GPUS_HOOK).then_some(DOCKER);
    let arguments = match Arguments::parse(default, arguments) {
        Ok(arguments) => arguments,
        Err(message) => return fail(&message, Exit::Usage),
    };
    // Every file is made with the mode that it is to have, and no directory of the caller is held on to.
    rustix::process::umask(rustix::fs::Mode::empty());
    let home = rustix::process::chdir("/").called(|| "chdir(`/`)".to_owned());
    let result = home.and_then(|()| confine::begin()).and_then(|()| match arguments.stage {
        Stage::Before => precreate::run(&arguments),
        Stage::Start => start::run(&arguments),
        Stage::Stop => stop::run(&arguments),
        Stage::Reclaim => stop::reclaim(&arguments),
    });
    match result {
        Ok(()) => Exit::Done,
        Err(error) => fail(&error.to_string(), Exit::Refused),
    }
}

fn fail(message: &str, exit: Exit) -> Exit {
    warn(message);
    exit
}

/// Engines show one line of standard error at best. Nobody is left to hear that it could not be written.
fn warn(message: &str) {
    let _ = std::io::stderr().write_all(format!("gpupol: {}\n", one_line(message)).as_bytes());
}
