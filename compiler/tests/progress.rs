//! Progress is for terminals: through a pseudo-terminal it is seen, and in a pipe there is not a byte of it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and look at files"
)]

#[cfg(test)]
mod ran;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use ran::run;

const POLICY: &str = "policy version=1\ntenant lab { identity kubernetes namespace=lab }\ngpu-set all { vendor nvidia }\n\
                      grant g { to lab; gpus all; capabilities utility }\n";

#[test]
fn on_a_terminal_and_nothing_in_a_pipe() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("p.kdl"), POLICY).unwrap();
    let hosts = ["--topology", "builtin:campus"].repeat(3);
    let args = [["check", "p.kdl"].as_slice(), &hosts].concat();
    let piped = run(place.path(), &args);
    assert_eq!(piped.code, 0, "{piped}");
    assert!(!piped.err.contains('\u{1b}') && !piped.err.contains("3/3"), "{piped}");

    let seen = on_terminal(place.path(), "xterm", &args.join(" "));
    assert!(seen.contains("/3 builtin:campus"), "{seen:?}");
    let last = seen.rsplit("checked 1 file").next().unwrap();
    assert!(!last.contains("/3"), "it is gone at the end: {seen:?}");
    assert!(!on_terminal(place.path(), "xterm", "check p.kdl").contains("1/1"), "one host is no long work");
    let dumb = on_terminal(place.path(), "dumb", &args.join(" "));
    assert!(!dumb.contains('\u{1b}') && !dumb.contains("/3"), "{dumb:?}");
}

/// What a terminal is sent.
fn on_terminal(place: &Path, kind: &str, args: &str) -> String {
    let command = format!("{} {args}", env!("CARGO_BIN_EXE_gpupol"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).current_dir(place);
    let output = script.env("TERM", kind).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
