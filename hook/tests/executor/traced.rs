//! The program as it is shipped, one system call at a time.

use std::fs::File;
use std::path::{Path, PathBuf};

use gpupol_tracer::{End, Sysno, Then};

use crate::scene::Folder;

const BUILD: &str = "cargo build -p gpupol-hook --profile hook --target x86_64-unknown-linux-musl";

/// How a call of the program ended, and what it said.
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) said: String,
}

/// The program: static and optimised, so that its calls are those that hosts will see.
fn program() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = target.join("x86_64-unknown-linux-musl/hook/gpupol-hook");
    assert!(path.is_file(), "the hook is not built: run `{BUILD}` ({} is missing)", path.display());
    path
}

/// Calls it as a runtime does, with that state on its input.
pub(crate) fn call(folder: &Folder, verb: &str, state: &str, after: impl FnMut(Sysno) -> Then) -> Ended {
    let [input, errors] = [folder.write("stdin", state), folder.write("stderr", "")];
    let mut command = gpupol_tracer::command(program());
    command.args([verb, "--entry", "e", "--entries", &folder.path("entries")]).env_clear();
    command.stdin(File::open(input).unwrap()).stderr(File::create(&errors).unwrap());
    let end = gpupol_tracer::run(&mut command, after).unwrap();
    Ended { end, said: std::fs::read_to_string(errors).unwrap() }
}

/// Calls it and ends it after its `count`-th system call, if it makes as many.
pub(crate) fn killed_after(count: usize, folder: &Folder, verb: &str, state: &str) -> Ended {
    let mut made = 0;
    call(folder, verb, state, |_| {
        made += 1;
        if made == count { Then::Kill } else { Then::Go }
    })
}
