//! runc and crun as an engine calls them.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::container::Entry;
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
    wrapper: OnceLock<Wrapper>,
}

/// gpupol's links to put in front of it.
pub(crate) struct Wrapper {
    /// Where a link `gpupol-runtime.ENTRY` lies for each entry.
    pub(crate) links: PathBuf,
    /// The entries, which are for it where they always are.
    pub(crate) entries: PathBuf,
    /// An empty directory.
    pub(crate) etc: PathBuf,
}

/// The links know no other place of entries than `/etc/gpupol`, so whoever calls them gets an `/etc` of its own over the
/// host's.
const OWN_ETC: &str = "
set -e
mount -t tmpfs -o mode=755 gpupol-test \"$1\"
mkdir \"$1/upper\" \"$1/work\"
mount -t overlay -o \"lowerdir=/etc,upperdir=$1/upper,workdir=$1/work\" gpupol-test /etc
mkdir -p /etc/gpupol
cp -r \"$2\" /etc/gpupol/entries
shift 2
exec \"$@\"
";

impl Runtime {
    /// That runtime of this host.
    pub(crate) fn new(kind: Kind, cgroup: Cgroup, state: PathBuf) -> Self {
        let program = match kind {
            Kind::Runc => needs::program("runc", "runc"),
            Kind::Crun => needs::program("crun", "crun"),
        };
        Self { kind, cgroup, program, state, wrapper: OnceLock::new() }
    }

    /// Which it is, and in which view.
    pub(crate) fn kind(&self) -> (Kind, Cgroup) {
        (self.kind, self.cgroup)
    }

    /// The program itself.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Calls it by gpupol's links from now on.
    pub(crate) fn wrap(&self, wrapper: Wrapper) {
        assert!(self.wrapper.set(wrapper).is_ok(), "it is wrapped already");
    }

    /// Whether it is called by gpupol's links.
    pub(crate) fn is_wrapped(&self) -> bool {
        self.wrapper.get().is_some()
    }

    /// The annotation by which crun shows what a hook wrote to stderr; runc shows it by itself.
    pub(crate) fn stderr_annotation(&self, file: &Path) -> Option<(String, String)> {
        let shows = self.kind == Kind::Runc;
        (!shows).then(|| ("run.oci.hooks.stderr".to_owned(), file.display().to_string()))
    }

    /// Starts a container and waits for its end, or for that of `create` when it is to stay.
    pub(crate) fn run(
        &self,
        view: &View,
        entry: Entry,
        bundle: &Path,
        id: &str,
        stays: bool,
        output: [&Path; 2],
    ) -> bool {
        let [stdout, stderr] = output.map(|path| File::create(path).expect("the directory is ours"));
        let mut command = self.command(view, entry.name());
        command.arg("run").arg("--bundle").arg(bundle);
        if stays {
            command.arg("--detach").arg("--pid-file").arg(bundle.join("pid"));
        }
        command.arg(id).stdin(nothing(bundle)).stdout(stdout).stderr(stderr);
        command.status().expect("nsenter runs").success()
    }

    /// Ends a container if it is there, its poststop hooks included.
    pub(crate) fn delete(&self, view: &View, entry: Entry, id: &str) -> bool {
        let status =
            self.command(view, entry.name()).args(["delete", "--force", id]).stderr(Stdio::null()).status();
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

    /// A call of it, by the link of the entry of that name if it is wrapped.
    pub(crate) fn command(&self, view: &View, entry: &str) -> Command {
        self.command_after(view, &[], entry)
    }

    /// The same with words before the link's.
    pub(crate) fn command_after(&self, view: &View, words: &[&str], entry: &str) -> Command {
        let mut command = match self.wrapper.get() {
            None => view.command(&self.program),
            Some(Wrapper { links, entries, etc }) => {
                let mut command = view.command(Path::new("unshare"));
                command.args(["--mount", "--propagation", "private", "sh", "-c", OWN_ETC, "own-etc"]);
                command.args([etc, entries]).args(words).arg(links.join(format!("gpupol-runtime.{entry}")));
                command
            }
        };
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
