//! The hook one system call at a time, called by a real runtime: in its place stands this program, which runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gpupol_tracer::{End, Then};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::bundle::Bundle;

/// What this program is told when a runtime calls it as the hook.
const TRACE: &str = "GPUPOL_TEST_TRACE";
/// The test by which it finds that out.
const ROLE: &str = "traced::in_the_place_of_the_hook";

/// Lets the hook of a bundle's container end after its `count`-th system call, and gives the file in which the names of
/// those that it made stand afterwards.
pub(crate) fn kill_after(bundle: &Bundle, count: usize) -> PathBuf {
    let text = fs::read_to_string(bundle.config()).expect("the bundle is ours");
    let mut config: Value = serde_json::from_str(&text).expect("we wrote JSON");
    let names = bundle.dir.join("calls");
    let hook = config.pointer_mut("/hooks/createRuntime/0").expect("the container has that hook");
    let told = json!({ "count": count, "names": names, "hook": hook });
    *hook = json!({
        "path": std::env::current_exe().expect("this program has a path"),
        "args": ["runtimes", "--exact", ROLE, "--nocapture", "--test-threads=1"],
        "env": [format!("{TRACE}={told}")],
    });
    fs::write(bundle.config(), config.to_string()).expect("the bundle is ours");
    names
}

/// Nothing in a run of the tests; as the hook of a container, the hook.
#[test]
fn in_the_place_of_the_hook() {
    let Ok(told) = std::env::var(TRACE) else { return };
    let told: Value = serde_json::from_str(&told).expect("a test told it");
    let text =
        |pointer: &str| told.pointer(pointer).and_then(Value::as_str).expect("a test told it").to_owned();
    let arguments = told.pointer("/hook/args").and_then(Value::as_array).expect("a test told it");
    let mut hook = gpupol_tracer::command(text("/hook/path"));
    hook.env_clear().args(arguments.iter().skip(1).filter_map(Value::as_str));
    let (ended, names) = run(hook, told["count"].as_u64().unwrap_or(u64::MAX));
    fs::write(Path::new(&text("/names")), names.join("\n")).expect("the bundle is ours");
    match ended {
        End::Exited(status) => std::process::exit(status),
        // As it ended, so this does. It becomes no other program.
        End::Killed | End::Became => kill(Pid::this(), Signal::SIGKILL).expect("a process may end itself"),
    }
}

/// Runs it until its `count`-th system call, and names those that it made.
pub(crate) fn run(mut hook: Command, count: u64) -> (End, Vec<&'static str>) {
    let mut names = Vec::new();
    let ended = gpupol_tracer::run(&mut hook, |call| {
        names.push(call.name());
        if u64::try_from(names.len()) == Ok(count) { Then::Kill } else { Then::Go }
    });
    (ended.expect("the hook can be traced"), names)
}
