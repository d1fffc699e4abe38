//! One test's world: a view, the made host, an installed gpupol, a runtime, and the containers it starts.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::bundle::{Bundle, look, look_and_stay};
use crate::container::{Container, Entry};
use crate::host::Host;
use crate::leftovers::{is_alive, remove_cgroups, wait_until};
use crate::needs;
use crate::oracle::Seen;
use crate::planset::Installed;
use crate::runtime::{Kind, Runtime, Wrapper};
use crate::view::{Cgroup, View, scratch};

/// The world of one test.
pub(crate) struct Site {
    /// Everything of this test lies here.
    pub(crate) dir: PathBuf,
    /// Where the runtime and the hook run.
    pub(crate) view: View,
    /// The made host.
    pub(crate) host: Host,
    /// gpupol on it.
    pub(crate) installed: Installed,
    runtime: Runtime,
    ids: Mutex<Vec<(String, Entry)>>,
    before: (String, BTreeMap<PathBuf, (u32, u64)>, u32),
    finished: AtomicBool,
}

/// How a container's start ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Whether the runtime says that all went well.
    pub(crate) started: bool,
    /// What it saw, if it came to its end.
    pub(crate) seen: Option<Seen>,
    /// What runtime and hook said.
    pub(crate) said: String,
}

/// A container that stays.
pub(crate) struct Held {
    /// What it saw at its start.
    pub(crate) seen: Seen,
    /// Its id.
    pub(crate) id: String,
    entry: Entry,
    pid: u32,
}

impl Held {
    /// Its init.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }
}

impl Site {
    /// A world with a freshly compiled plan set.
    pub(crate) fn new(kind: Kind, cgroup: Cgroup) -> Self {
        needs::root();
        let hook = needs::hook();
        let dir = scratch("runs");
        let (empty, state) = (dir.join("empty"), dir.join("runtime"));
        for path in [&empty, &state] {
            fs::create_dir(path).expect("the directory is new");
        }
        let view = View::hold(cgroup, &empty);
        let host = Host::make(dir.join("host"), &view);
        let installed = Installed::new(dir.join("gpupol"), &host.topology());
        symlink(hook, dir.join("nvidia-container-runtime-hook")).expect("the directory is new");
        let before = (view.mounts(), nodes_of_dev(&view), owner_of_null());
        let runtime = Runtime::new(kind, cgroup, state);
        let (ids, finished) = (Mutex::default(), AtomicBool::new(false));
        Self { dir, view, host, installed, runtime, ids, before, finished }
    }

    /// Its runtime.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// From now on every entry is of the spec form, and the runtime is called by gpupol's links.
    pub(crate) fn use_wrapper(&self) {
        let links = self.dir.join("links");
        fs::create_dir(&links).expect("the directory is new");
        for name in Entry::ALL.iter().map(|entry| entry.name()).chain(["nowhere"]) {
            symlink(needs::hook(), links.join(format!("gpupol-runtime.{name}"))).expect("it is new");
        }
        let etc = self.dir.join("etc");
        fs::create_dir(&etc).expect("the directory is new");
        self.installed.use_spec_form(self.runtime.program());
        self.runtime.wrap(Wrapper { links, entries: self.installed.entries(), etc });
    }

    /// A call of the runtime, by the link of the entry of that name if it is wrapped.
    pub(crate) fn runtime_command(&self, entry: &str) -> Command {
        self.runtime.command(&self.view, entry)
    }

    /// A call of it by that link that [`gpupol_tracer::run`] traces.
    pub(crate) fn traced_runtime_command(&self, entry: &str) -> Command {
        self.runtime.command_after(&self.view, &gpupol_tracer::WAIT, entry)
    }

    /// A new bundle.
    pub(crate) fn bundle(&self) -> Bundle {
        let number = self.dir.read_dir().expect("the directory is ours").count();
        Bundle::make(self.dir.join(format!("bundle{number}")), &self.host.numbers())
    }

    /// Starts a container that looks around and ends.
    pub(crate) fn run(&self, container: &Container) -> Outcome {
        self.run_in(&self.bundle(), container)
    }

    /// The same in a bundle that the test has prepared.
    pub(crate) fn run_in(&self, bundle: &Bundle, container: &Container) -> Outcome {
        let id = self.write(bundle, container, &look());
        self.start(bundle, &id, container.entry, false)
    }

    /// What a container that must come to its end prints when it runs that command.
    pub(crate) fn run_command(&self, bundle: &Bundle, container: &Container, command: &str) -> String {
        let id = self.write(bundle, container, command);
        let (started, printed, said) = self.call_runtime(bundle, &id, container.entry, false);
        assert!(started, "{command}: {said}{printed}");
        printed
    }

    /// Starts a container that looks around and stays.
    pub(crate) fn hold(&self, container: &Container) -> Result<Held, Box<Outcome>> {
        self.hold_in(&self.bundle(), container)
    }

    /// The same in a bundle that the test has prepared.
    pub(crate) fn hold_in(&self, bundle: &Bundle, container: &Container) -> Result<Held, Box<Outcome>> {
        let id = self.write(bundle, container, &look_and_stay());
        self.stay(bundle, id, container.entry)
    }

    /// The same of a container whose `config.json` is changed when it is written.
    pub(crate) fn hold_written(
        &self,
        bundle: &Bundle,
        container: &Container,
        change: impl Fn(&Bundle),
    ) -> Held {
        let id = self.write(bundle, container, &look_and_stay());
        change(bundle);
        let held = self.stay(bundle, id, container.entry);
        held.unwrap_or_else(|outcome| panic!("the container did not start: {outcome:?}"))
    }

    /// Whether the runtime is called by gpupol's links.
    pub(crate) fn is_wrapped(&self) -> bool {
        self.runtime.is_wrapped()
    }

    /// Starts a container that was held in this bundle once more, under its own id and in its own cgroup.
    pub(crate) fn start_again(&self, bundle: &Bundle, held: Held) -> Result<Held, Box<Outcome>> {
        assert!(self.runtime.delete(&self.view, held.entry, &held.id), "`delete --force {}` failed", held.id);
        self.stay(bundle, held.id, held.entry)
    }

    fn stay(&self, bundle: &Bundle, id: String, entry: Entry) -> Result<Held, Box<Outcome>> {
        let outcome = self.start(bundle, &id, entry, true);
        if !outcome.started {
            return Err(Box::new(outcome));
        }
        let read = || Seen::read(&fs::read_to_string(bundle.dir.join("stdout")).unwrap_or_default());
        assert!(wait_until(|| read().is_some()), "container {id} started and said too little: {outcome:?}");
        let pid = fs::read_to_string(bundle.dir.join("pid")).expect("the runtime wrote the pid file");
        let pid = pid.trim().parse().expect("a pid file holds a number");
        Ok(Held { seen: read().expect("just read"), id, entry, pid })
    }

    /// Writes the `config.json` of a container and gives it an id.
    pub(crate) fn write(&self, bundle: &Bundle, container: &Container, command: &str) -> String {
        let mut ids = self.ids.lock().expect("no thread of a test panics with it");
        let dir = self.dir.file_name().unwrap_or_default().to_string_lossy();
        let id = format!("{dir}-{}", ids.len());
        let docker_hook = self.dir.join("nvidia-container-runtime-hook");
        let entries = self.installed.entries();
        let hooks = if self.runtime.is_wrapped() {
            container.hooks_of_engine(text(&docker_hook))
        } else {
            container.hooks(text(&needs::hook()), text(&docker_hook), text(&entries))
        };
        let mut container = container.clone();
        container.annotations.extend(self.runtime.stderr_annotation(&bundle.dir.join("hook")));
        let cgroup = container.cgroup.replace("ID", &id);
        bundle.write_config(&container, command, &cgroup, hooks);
        ids.push((id.clone(), container.entry));
        id
    }

    /// Calls the hook as a runtime would, in the view.
    pub(crate) fn call_hook(&self, verb: &str, entry: Entry, state: &Value) -> Output {
        self.feed(self.view.command(&needs::hook()), verb, entry, state)
    }

    /// The same as a user's own engine would, whose root the user is.
    pub(crate) fn call_hook_as(&self, uid: u32, verb: &str, entry: Entry, state: &Value) -> Output {
        let uid = uid.to_string();
        let mut command = self.view.command(Path::new("setpriv"));
        command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups"]);
        command.args(["unshare", "--user", "--map-root-user"]).arg(needs::hook());
        self.feed(command, verb, entry, state)
    }

    fn feed(&self, mut hook: Command, verb: &str, entry: Entry, state: &Value) -> Output {
        let mut child = hook
            .args([verb, "--entry", entry.name(), "--entries"])
            .arg(self.installed.entries())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter runs");
        let mut input = child.stdin.take().expect("stdin is piped");
        input.write_all(state.to_string().as_bytes()).expect("the hook reads its state to the end");
        drop(input);
        child.wait_with_output().expect("the hook ends")
    }

    /// The link of an entry, once there are such.
    pub(crate) fn link(&self, entry: Entry) -> PathBuf {
        self.dir.join("links").join(format!("gpupol-runtime.{}", entry.name()))
    }

    /// Which hierarchy its containers are in.
    pub(crate) fn cgroup(&self) -> Cgroup {
        self.runtime.cgroup()
    }

    /// Which runtime it is.
    pub(crate) fn kind(&self) -> Kind {
        self.runtime.kind()
    }

    /// The runtime for an engine, which calls it by itself; `dir` is for what it takes.
    pub(crate) fn runtime_of(&self, dir: &Path) -> PathBuf {
        self.runtime.alone(dir)
    }

    /// Where a path of a held container is for this program.
    pub(crate) fn path_in(&self, held: &Held, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", held.pid))
    }

    /// What a held container sees by now.
    pub(crate) fn looks(&self, held: &Held) -> Seen {
        let printed = self.exec(held, &look());
        Seen::read(&printed).unwrap_or_else(|| panic!("container {} said too little: {printed}", held.id))
    }

    /// What a command prints that is run in a held container.
    pub(crate) fn exec(&self, held: &Held, command: &str) -> String {
        self.tell(held, &["exec"], &["sh", "-c", command])
    }

    /// Has the runtime change the limits of a held container, by a document that leaves its devices out.
    pub(crate) fn update(&self, held: &Held) {
        let resources = self.dir.join("resources.json");
        // Of a kind that both hierarchies of this host have; where the container has no such file, the runtime writes none.
        fs::write(&resources, "{}").expect("the directory is ours");
        self.tell(held, &["update", "--resources", text(&resources)], &[]);
    }

    /// Calls the runtime for a held container: a verb with its options, and what stands behind the id.
    pub(crate) fn tell(&self, held: &Held, verb: &[&str], more: &[&str]) -> String {
        let mut command = self.runtime_command(held.entry.name());
        command.args(verb).arg(&held.id).args(more).stdin(Stdio::null());
        let output = command.output().expect("nsenter runs");
        let [printed, said] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        assert!(output.status.success(), "{verb:?}: {said}{printed}");
        printed.into_owned()
    }

    /// Ends a held container as its engine would.
    pub(crate) fn delete(&self, held: Held) {
        assert!(self.runtime.delete(&self.view, held.entry, &held.id), "`delete --force {}` failed", held.id);
    }

    /// Kills a held container's processes, and tells nobody.
    pub(crate) fn kill(&self, held: &Held) {
        let pid = held.pid;
        let status = Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).status();
        assert!(status.expect("sh runs").success(), "kill -9 {pid} failed");
        assert!(wait_until(|| !is_alive(pid)), "process {pid} did not end");
    }

    /// Fails if the view's mounts or its `/dev` are not what they were.
    pub(crate) fn finish(&self) {
        self.clean();
        self.require_unchanged("at the end");
    }

    /// The same in the middle of a test.
    pub(crate) fn require_unchanged(&self, when: &str) {
        let (mounts, nodes, owner) = &self.before;
        assert_eq!(&self.view.mounts(), mounts, "the mount table is not what it was: {when}");
        assert_eq!(&nodes_of_dev(&self.view), nodes, "the view's /dev is not what it was: {when}");
        assert_eq!(owner_of_null(), *owner, "the host's /dev/null was given away: {when}");
    }

    /// Starts a container that the test has written into a bundle.
    pub(crate) fn start(&self, bundle: &Bundle, id: &str, entry: Entry, stays: bool) -> Outcome {
        let (started, printed, said) = self.call_runtime(bundle, id, entry, stays);
        Outcome { started, seen: Seen::read(&printed), said }
    }

    /// Whether the runtime says that all went well, what the container printed, and what runtime and hook said.
    pub(crate) fn call_runtime(
        &self,
        bundle: &Bundle,
        id: &str,
        entry: Entry,
        stays: bool,
    ) -> (bool, String, String) {
        let [stdout, stderr, hook] = ["stdout", "stderr", "hook"].map(|name| bundle.dir.join(name));
        let started = self.runtime.run(&self.view, entry, &bundle.dir, id, stays, [&stdout, &stderr]);
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        (started, read(stdout), read(stderr) + &read(hook))
    }

    fn clean(&self) {
        if self.finished.swap(true, Ordering::Relaxed) {
            return;
        }
        // A poisoned lock must not keep a failed test from cleaning up.
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, entry) in ids.iter() {
            self.runtime.delete(&self.view, *entry, id);
            remove_cgroups(id);
            remove_cgroups(&format!("slurm_{id}"));
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.clean();
        // The view's own `/proc` is mounted below only in the view: here it is an empty directory.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A path of ours as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("our paths are UTF-8")
}

/// Whose the host's `/dev/null` is.
fn owner_of_null() -> u32 {
    fs::metadata("/dev/null").expect("the host has a /dev/null").uid()
}

/// What runc 1.1 and crun 1.8.1 themselves put wherever a rootfs's `/dev` leads to.
pub(crate) const LINKS_OF_RUNTIMES: [&str; 6] = ["core", "fd", "ptmx", "stderr", "stdin", "stdout"];

/// Everything directly in the view's `/dev`, with mode and device number.
fn nodes_of_dev(view: &View) -> BTreeMap<PathBuf, (u32, u64)> {
    let entries = fs::read_dir(view.path("/dev")).expect("the view has a /dev");
    let entries = entries.map(|entry| entry.expect("/dev can be read"));
    let ours = entries.filter(|entry| !LINKS_OF_RUNTIMES.iter().any(|name| entry.file_name() == *name));
    let node =
        |path: PathBuf| fs::symlink_metadata(&path).ok().map(|data| (path, (data.mode(), data.rdev())));
    ours.filter_map(|entry| node(entry.path())).collect()
}
