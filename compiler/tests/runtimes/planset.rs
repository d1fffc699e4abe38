//! The plan set and the entries of a test, as `gpupol compile` and an administrator write them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::container::Entry;

/// The directory of everything that belongs to gpupol on the made host.
pub(crate) struct Installed {
    /// Where it lies.
    pub(crate) dir: PathBuf,
}

const POLICIES: &str = include_str!("policies.kdl");

impl Installed {
    /// Writes policy, topology and entries, and compiles.
    pub(crate) fn new(dir: PathBuf, topology: &Value) -> Self {
        let installed = Self { dir };
        fs::create_dir_all(installed.entries()).expect("the directory is ours");
        fs::create_dir_all(installed.policies()).expect("the directory is ours");
        fs::write(installed.policies().join("policies.kdl"), POLICIES).expect("the directory is ours");
        fs::write(installed.topology(), topology.to_string()).expect("the directory is ours");
        Entry::ALL.iter().for_each(|entry| installed.write_entry(*entry));
        installed.compile();
        installed
    }

    /// The directory of the entries.
    pub(crate) fn entries(&self) -> PathBuf {
        self.dir.join("entries")
    }

    /// The file of one entry.
    pub(crate) fn entry(&self, entry: Entry) -> PathBuf {
        self.entries().join(format!("{}.json", entry.name()))
    }

    /// The directory of the policies.
    pub(crate) fn policies(&self) -> PathBuf {
        self.dir.join("policies")
    }

    /// The topology document.
    pub(crate) fn topology(&self) -> PathBuf {
        self.dir.join("host.json")
    }

    /// The directory of the plan sets.
    pub(crate) fn plans(&self) -> PathBuf {
        self.dir.join("plans")
    }

    /// A file of the plan set in force: `index` or `plans`.
    pub(crate) fn in_force(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.plans().join("current")).expect("`current` names a directory").join(name)
    }

    /// The audit records, one JSON document each.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.join("audit.jsonl")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a line of the audit file is JSON"))
            .collect()
    }

    /// The files of the leases, as `DEVICE/CONTAINER`.
    pub(crate) fn leases(&self) -> Vec<String> {
        let mut found = Vec::new();
        for device in entries_of(&self.dir.join("state/leases")) {
            for lease in entries_of(&device) {
                let tail: PathBuf =
                    lease.iter().rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
                found.push(tail.display().to_string());
            }
        }
        found.sort();
        found
    }

    /// Compiles the policies; anything but success is a failed test.
    pub(crate) fn compile(&self) {
        let plans = self.plans();
        let arguments = [self.policies(), "--topology".into(), self.topology(), "-o".into(), plans];
        let output = gpupol("compile", &arguments);
        assert!(output.status.success(), "gpupol compile: {}", words(&output));
    }

    /// Replaces text of the policies and compiles.
    pub(crate) fn change_policies(&self, from: &str, to: &str) {
        let path = self.policies().join("policies.kdl");
        let text = fs::read_to_string(&path).expect("we wrote it");
        assert!(text.contains(from), "the policies have no `{from}`");
        fs::write(path, text.replace(from, to)).expect("the directory is ours");
        self.compile();
    }

    /// Writes other policies and compiles.
    pub(crate) fn set_policies(&self, text: &str) {
        fs::write(self.policies().join("policies.kdl"), text).expect("the directory is ours");
        self.compile();
    }

    /// Writes the record of a Slurm job, as root's Prolog would.
    pub(crate) fn record_job(&self, record: &Value) -> PathBuf {
        let directory = self.dir.join("state/slurm");
        fs::create_dir_all(&directory).expect("the directory is ours");
        let path = directory.join(format!("{}.json", record["job"]));
        fs::write(&path, record.to_string()).expect("the directory is ours");
        path
    }

    /// Changes the topology and compiles.
    pub(crate) fn change_topology(&self, change: impl FnOnce(&mut Value)) {
        let text = fs::read_to_string(self.topology()).expect("we wrote it");
        let mut topology = serde_json::from_str(&text).expect("we wrote JSON");
        change(&mut topology);
        fs::write(self.topology(), topology.to_string()).expect("the directory is ours");
        self.compile();
    }

    /// What `gpupol plan` prints for a `config.json` that comes in through an entry, with what the kernel would say.
    pub(crate) fn plan(&self, config: &Path, entry: Entry, identity: &[&str]) -> Value {
        let mut arguments: Vec<PathBuf> = vec!["--format".into(), "json".into()];
        arguments.extend(identity.iter().flat_map(|pair| ["--identity".into(), pair.into()]));
        self.planned(config, entry, arguments)
    }

    /// A `config.json` as the spec form edits it for a root file system.
    pub(crate) fn spec_form(&self, config: &Path, entry: Entry, rootfs: &Path) -> Value {
        self.planned(config, entry, vec!["--spec-form".into(), rootfs.to_owned()])
    }

    fn planned(&self, config: &Path, entry: Entry, more: Vec<PathBuf>) -> Value {
        let mut arguments = vec![
            self.policies(),
            "--topology".into(),
            self.topology(),
            "--config".into(),
            config.to_owned(),
            "--entry".into(),
            self.entry(entry),
        ];
        arguments.extend(more);
        let output = gpupol("plan", &arguments);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("gpupol plan: {}", words(&output)))
    }

    /// Runs `gpupol export` on the policies and the topology; anything but success is a failed test.
    pub(crate) fn export(&self, arguments: &[&str]) {
        let output = self.exported(arguments);
        assert!(output.status.success(), "gpupol export: {}", words(&output));
    }

    /// The same, whatever comes of it.
    pub(crate) fn exported(&self, arguments: &[&str]) -> Output {
        let mut all: Vec<PathBuf> = arguments.iter().map(PathBuf::from).collect();
        all.extend([self.policies(), "--topology".into(), self.topology()]);
        gpupol("export", &all)
    }

    /// Makes every entry one of the spec form, with that real runtime.
    pub(crate) fn use_spec_form(&self, real_runtime: &Path) {
        for entry in Entry::ALL.into_iter().filter(|entry| *entry != Entry::Slurm) {
            self.change_entry(entry, |document| {
                document["form"] = json!("spec");
                document["realRuntime"] = json!(real_runtime);
            });
        }
    }

    /// Changes an entry.
    pub(crate) fn change_entry(&self, entry: Entry, change: impl FnOnce(&mut Value)) {
        let text = fs::read_to_string(self.entry(entry)).expect("we wrote it");
        let mut document = serde_json::from_str(&text).expect("we wrote JSON");
        change(&mut document);
        fs::write(self.entry(entry), document.to_string()).expect("the directory is ours");
    }

    fn write_entry(&self, entry: Entry) {
        let mut document = json!({
            "entryVersion": 1, "engine": entry.name(), "form": "hook", "allocate": true,
            "plans": self.plans(), "stateDir": self.dir.join("state"), "audit": self.dir.join("audit.jsonl"),
        });
        let fields = document.as_object_mut().expect("an object");
        match entry {
            Entry::Kubernetes => fields.insert("engine".to_owned(), json!("containerd")),
            Entry::Docker => fields.insert("runtime".to_owned(), json!("gpupol-research")),
            Entry::Podman => None,
            Entry::Slurm => fields.remove("allocate"),
        };
        fs::write(self.entry(entry), document.to_string()).expect("the directory is ours");
    }
}

fn gpupol(verb: &str, arguments: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpupol"));
    command.arg(verb).args(arguments).env("NO_COLOR", "1").output().expect("gpupol runs")
}

fn words(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\nstdout: {}\nstderr: {}", output.status, text(&output.stdout), text(&output.stderr))
}

fn entries_of(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let shown =
        |path: &PathBuf| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    entries.flatten().map(|entry| entry.path()).filter(shown).collect()
}
