//! What the tests of the executor stand on: folders that go away, and children of the test itself.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use gpupol_plan::index::{self, Contents};
use gpupol_plan::plan::Plan;
use serde_json::{Value, json};

const ROLE: &str = "GPUPOL_TEST_ROLE";

/// A folder of one test, in root's hands, removed at its end.
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(rustix::process::geteuid().is_root(), "the tests of gpupol-hook must be run as root");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/tmp/gpupol-hook-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self { path }
    }

    pub(crate) fn path(&self, below: &str) -> String {
        self.path.join(below).to_str().unwrap().to_owned()
    }

    pub(crate) fn directory(&self, below: &str) -> String {
        std::fs::create_dir_all(self.path(below)).unwrap();
        self.path(below)
    }

    pub(crate) fn write(&self, below: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(below), content).unwrap();
        self.path(below)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The file `index` that says this.
pub(crate) fn index(contents: &Value) -> Vec<u8> {
    let contents: Contents = serde_json::from_value(contents.clone()).unwrap();
    index::write(&contents, &index::automaton(&contents.tenants).unwrap())
}

/// The two parts of a plan, as the file `plans` has them one after the other, and where they lie.
pub(crate) fn parts(plan: &Value, begin: usize) -> (Vec<u8>, Value) {
    let (own, shared) = Plan::parse(plan.to_string().as_bytes()).unwrap().split();
    let (own, shared) = (serde_json::to_vec(&own).unwrap(), serde_json::to_vec(&shared).unwrap());
    let slices = json!({"plan": {"offset": begin, "length": own.len()},
        "shared": {"offset": begin + own.len(), "length": shared.len()}});
    ([own, shared].concat(), slices)
}

/// What this process is to do when it is a child of the test: the words given to [`child`].
pub(crate) fn role() -> Option<Vec<String>> {
    std::env::var(ROLE).ok().map(|role| role.split('|').map(str::to_owned).collect())
}

/// The test `name` once more, as a process of its own that finds `words` in [`role`], started by `shell`, a script
/// that ends in `exec "$@"`.
pub(crate) fn child(name: &str, words: &[&str], shell: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["-m", "--propagation", "private", "sh", "-ec", shell, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ROLE, words.join("|"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a child to its end; what it said is shown when it fails.
pub(crate) fn run_child(name: &str, words: &[&str], shell: &str) -> Output {
    let output = child(name, words, shell).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{words:?}: {}{}", said(&output.stdout), said(&output.stderr));
    output
}
