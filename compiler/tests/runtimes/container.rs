//! A container of a test, in the words of the engine that would start it.

use serde_json::{Value, json};

/// The entry that a container comes in through: a file of `entries/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// containerd's, with `allocate`.
    Kubernetes,
    /// The Docker runtime `gpupol-research`.
    Docker,
    /// Podman's.
    Podman,
    /// Slurm's, which allocates.
    Slurm,
}

impl Entry {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Kubernetes, Self::Docker, Self::Podman, Self::Slurm];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Slurm => "slurm",
        }
    }
}

/// What is asked of a container, before it is written as a `config.json`.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    /// Through which entry.
    pub(crate) entry: Entry,
    /// `annotations`.
    pub(crate) annotations: Vec<(String, String)>,
    /// Further lines of `process.env`.
    pub(crate) env: Vec<String>,
    /// Whether dockerd would have added the prestart hook of `--gpus`; then that is the hook.
    pub(crate) docker_gpus: bool,
    /// Whether our hook is called twice, at prestart and at createRuntime.
    pub(crate) called_twice: bool,
    /// `root.readonly`.
    pub(crate) read_only: bool,
    /// Whether it has a user namespace, whose root is [`CONTAINER_ROOT`] on the host.
    pub(crate) user_namespace: bool,
    /// `linux.cgroupsPath`, in which `ID` stands for its id.
    pub(crate) cgroup: &'static str,
    /// Last changes to its `config.json`.
    pub(crate) edit: fn(&mut Value),
}

/// The host's uid and gid of root in a user namespace.
pub(crate) const CONTAINER_ROOT: u32 = 100_000;

impl Container {
    /// A pod's container in that namespace.
    pub(crate) fn in_namespace(namespace: &str) -> Self {
        Self::through(Entry::Kubernetes)
            .annotation("io.kubernetes.cri.sandbox-namespace", namespace)
            .annotation("io.kubernetes.cri.sandbox-uid", "5d1c6d52-0000-4000-8000-000000000000")
            .annotation("io.kubernetes.cri.sandbox-name", "job-0")
            .annotation("io.kubernetes.cri.container-type", "container")
    }

    /// A container that comes in through that entry.
    pub(crate) fn through(entry: Entry) -> Self {
        Self {
            entry,
            annotations: Vec::new(),
            env: Vec::new(),
            docker_gpus: false,
            called_twice: false,
            read_only: false,
            user_namespace: false,
            cgroup: "/ID",
            edit: |_| {},
        }
    }

    /// A pod of tenant `research` that trains.
    pub(crate) fn training(gpus: &str) -> Self {
        Self::in_namespace("research-vision").annotation("stage", "train").gpus(gpus)
    }

    /// A pod of tenant `students`.
    pub(crate) fn of_student(gpus: &str) -> Self {
        Self::in_namespace("course-7").gpus(gpus)
    }

    /// With that annotation.
    pub(crate) fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Asking by gpupol's own annotation.
    pub(crate) fn gpus(self, gpus: &str) -> Self {
        self.annotation("gpupol.io/gpus", gpus)
    }

    /// With that line in its environment.
    pub(crate) fn env(mut self, line: &str) -> Self {
        self.env.push(line.to_owned());
        self
    }

    /// In that cgroup; `ID` stands for its id.
    pub(crate) fn in_cgroup(mut self, path: &'static str) -> Self {
        self.cgroup = path;
        self
    }

    /// With that last change to its `config.json`.
    pub(crate) fn edited(mut self, edit: fn(&mut Value)) -> Self {
        self.edit = edit;
        self
    }

    /// The hooks that its engine writes for an entry of the spec form: dockerd's for `--gpus` alone.
    pub(crate) fn hooks_of_engine(&self, docker_hook: &str) -> Value {
        let call = json!({ "path": docker_hook, "args": ["nvidia-container-runtime-hook", "prestart"] });
        if self.docker_gpus { json!({ "prestart": [call] }) } else { Value::Null }
    }

    /// The hooks of its `config.json`, each a call of `hook`.
    pub(crate) fn hooks(&self, hook: &str, docker_hook: &str, entries: &str) -> Value {
        let call = |path: &str, verb: &str| {
            let name = path.rsplit('/').next();
            json!({ "path": path, "args": [name, verb, "--entry", self.entry.name(), "--entries", entries] })
        };
        let poststop = vec![call(hook, "poststop")];
        if self.docker_gpus {
            return json!({ "prestart": [call(docker_hook, "prestart")], "poststop": poststop });
        }
        let prestart = if self.called_twice { vec![call(hook, "prestart")] } else { Vec::new() };
        json!({ "prestart": prestart, "createRuntime": [call(hook, "createRuntime")], "poststop": poststop })
    }
}
