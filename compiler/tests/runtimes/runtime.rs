//! runc and crun as an engine calls them.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::needs;
use crate::view::{Cgroup, View};

/// Which runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// runc.
    Runc,
    /// crun.
    Crun,
}

/// A runtime with a state directory of its own, in a view.
pub(crate) struct Runtime {
    kind: Kind,
    cgroup: Cgroup,
    program: PathBuf,
    state: PathBuf,
}

impl Runtime {
    /// That runtime of this host.
    pub(crate) fn new(kind: Kind, cgroup: Cgroup, state: PathBuf) -> Self {
        let program = match kind {
            Kind::Runc => needs::program("runc", "runc"),
            Kind::Crun => needs::program("crun", "crun"),
        };
        Self { kind, cgroup, program, state }
    }

    /// The annotation by which crun shows what a hook wrote to stderr; runc shows it by itself.
    pub(crate) fn stderr_annotation(&self, file: &Path) -> Option<(String, String)> {
        let shows = self.kind == Kind::Runc;
        (!shows).then(|| ("run.oci.hooks.stderr".to_owned(), file.display().to_string()))
    }

    /// Starts a container and waits for its end, or for that of `create` when it is to stay.
    pub(crate) fn run(&self, view: &View, bundle: &Path, id: &str, stays: bool, output: [&Path; 2]) -> bool {
        let [stdout, stderr] = output.map(|path| File::create(path).expect("the directory is ours"));
        let mut command = self.command(view);
        command.arg("run").arg("--bundle").arg(bundle);
        if stays {
            command.arg("--detach").arg("--pid-file").arg(bundle.join("pid"));
        }
        command.arg(id).stdin(nothing(bundle)).stdout(stdout).stderr(stderr);
        command.status().expect("nsenter runs").success()
    }

    /// Ends a container if it is there, its poststop hooks included.
    pub(crate) fn delete(&self, view: &View, id: &str) -> bool {
        let status = self.command(view).args(["delete", "--force", id]).stderr(Stdio::null()).status();
        status.expect("nsenter runs").success()
    }

    /// A program that an engine can call: as it keeps no variables, what is needed of them stands in a script.
    pub(crate) fn alone(&self, dir: &Path) -> PathBuf {
        if self.kind != Kind::Crun || self.cgroup != Cgroup::V2 {
            return self.program.clone();
        }
        let script = dir.join("crun");
        let (shim, program) = (needs::memlock_shim().display(), self.program.display());
        let text = format!("#!/bin/sh\nLD_PRELOAD={shim} exec {program} \"$@\"\n");
        fs::write(&script, text).expect("the directory is ours");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        script
    }

    fn command(&self, view: &View) -> Command {
        let mut command = view.command(&self.program);
        command.arg("--root").arg(&self.state);
        if self.kind == Kind::Crun && self.cgroup == Cgroup::V2 {
            command.env("LD_PRELOAD", needs::memlock_shim());
        }
        command
    }
}

/// An empty file to read from. It is not `/dev/null`, for crun gives what a container reads to the container's user, and
/// that would be the host's node.
fn nothing(bundle: &Path) -> File {
    let path = bundle.join("stdin");
    File::create(&path).and_then(|_| File::open(&path)).expect("the directory is ours")
}
