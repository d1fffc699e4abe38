//! gpupol on a computer, as an administrator puts it there: the programs, a plan set, and ways in.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;

use crate::host::Host;
use crate::needs;
use crate::view::{View, text};

/// What all engines are run with.
pub(crate) const POLICIES: &str = include_str!("policies.kdl");
/// Where the hook is installed.
pub(crate) const HOOK: &str = "/usr/local/sbin/gpupol-hook";
/// Where policies and topology lie there.
const POLICY_FILE: &str = "/etc/gpupol/policies/policies.kdl";
const TOPOLOGY: &str = "/etc/gpupol/host.json";

/// A computer with made GPUs that has gpupol.
pub(crate) struct Installed<'v> {
    /// The computer.
    pub(crate) view: &'v View,
    /// Its GPUs and their driver.
    pub(crate) host: Host,
}

impl<'v> Installed<'v> {
    /// Puts programs, policies and a plan set there; no engine knows of it.
    pub(crate) fn new(view: &'v View) -> Self {
        let host = Host::make(view.dir.join("host"), view);
        let installed = Self { view, host };
        let programs =
            [("gpupol", PathBuf::from(env!("CARGO_BIN_EXE_gpupol"))), ("gpupol-hook", needs::hook())];
        for (name, built) in programs {
            let (path, built) = (format!("/usr/local/bin/{name}"), text(&built));
            // Bound, so that it finds its own path there and nothing is copied.
            view.sh(&format!("mkdir -p /usr/local/bin && touch {path} && mount --bind {built} {path}"));
        }
        view.write(TOPOLOGY, &installed.host.topology().to_string());
        installed.set_policies(POLICIES);
        installed
    }

    /// Writes other policies and compiles.
    pub(crate) fn set_policies(&self, text: &str) {
        self.view.write(POLICY_FILE, text);
        self.compile();
    }

    /// Replaces text of the policies and compiles.
    pub(crate) fn change_policies(&self, from: &str, to: &str) {
        let policies = self.view.read(POLICY_FILE);
        assert!(policies.contains(from), "the policies have no `{from}`");
        self.set_policies(&policies.replace(from, to));
    }

    /// Compiles the policies.
    pub(crate) fn compile(&self) {
        self.view.sh(
            "gpupol compile /etc/gpupol/policies --topology /etc/gpupol/host.json -o /etc/gpupol/plans 2>&1",
        );
    }

    /// A file of the plan set in force: `index` or `plans`.
    pub(crate) fn in_force(&self, name: &str) -> PathBuf {
        let current = self.view.path("/etc/gpupol/plans/current");
        let set = fs::read_link(&current).expect("`current` names a directory");
        current.with_file_name(set).join(name)
    }

    /// The audit records, one JSON document each.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = self.view.read("/var/log/gpupol/audit.jsonl");
        text.lines().map(|line| serde_json::from_str(line).expect("a line of the audit is JSON")).collect()
    }

    /// How many leases there are.
    pub(crate) fn leases(&self) -> usize {
        self.view
            .sh("mkdir -p /run/gpupol/leases; find /run/gpupol/leases -type f ! -name '.*' | wc -l")
            .trim()
            .parse()
            .expect("a number")
    }
}

/// The archive of a root file system with busybox, the oracle's nodes, and nothing else; made once.
pub(crate) fn archive(installed: &Installed) -> PathBuf {
    let dir = &installed.view.dir;
    let (rootfs, archive) = (dir.join("rootfs"), dir.join("image.tar"));
    if archive.exists() {
        return archive;
    }
    for name in ["bin", "dev", "proc", "sys", "etc", "tmp", "run", "oracle", "usr/bin", "usr/lib"] {
        fs::create_dir_all(rootfs.join(name)).expect("the directory is ours");
    }
    fs::copy(needs::program("busybox", "busybox-static"), rootfs.join("bin/busybox"))
        .expect("busybox can be read");
    for name in ["sh", "cat", "cut", "find", "grep", "head", "ls", "sleep", "sort", "stat", "tail", "true"] {
        symlink("busybox", rootfs.join("bin").join(name)).expect("it is new");
    }
    for (major, minor) in installed.host.numbers() {
        crate::host::make_node(&rootfs.join(format!("oracle/{major}:{minor}")), major, minor);
    }
    installed.view.sh(&format!("tar -C {} -cf {} .", text(&rootfs), text(&archive)));
    archive
}
