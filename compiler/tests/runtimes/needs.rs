//! What the tests need of this host, each with the sentence that says how to get it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const BUILD_HOOK: &str = "cargo build -p gpupol-hook --profile hook --target x86_64-unknown-linux-musl";

/// The directory that cargo builds into.
pub(crate) fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("cargo's directory for tests lies in the target directory")
}

/// The hook as it is shipped.
pub(crate) fn hook() -> PathBuf {
    let path = target().join("x86_64-unknown-linux-musl/hook/gpupol-hook");
    assert!(path.is_file(), "the hook is not built: run `{BUILD_HOOK}` ({} is missing)", path.display());
    path
}

/// Fails unless we are root.
pub(crate) fn root() {
    let uid = std::fs::metadata("/proc/self").expect("/proc is mounted").uid();
    assert_eq!(uid, 0, "the real runs start containers and need root: run them with sudo or as root");
}

/// The absolute path of a program, or a failure that names its Debian package.
pub(crate) fn program(name: &str, package: &str) -> PathBuf {
    let places = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("`{name}` is missing: run `apt-get install {package}`"))
}

/// A library that lets crun before 1.21 start where root may not raise `RLIMIT_MEMLOCK`, compiled once.
pub(crate) fn memlock_shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runtimes/memlock.c");
        let shim = Path::new(env!("CARGO_TARGET_TMPDIR")).join("memlock.so");
        // Another test program may be loading it, so it is replaced and never rewritten.
        let new = shim.with_extension(std::process::id().to_string());
        let status = Command::new(program("cc", "gcc libc6-dev"))
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([&new, &source])
            .status()
            .expect("cc runs");
        assert!(status.success(), "cc could not compile {}: {status}", source.display());
        std::fs::rename(new, &shim).expect("cargo's directory for tests is ours");
        shim
    })
}
