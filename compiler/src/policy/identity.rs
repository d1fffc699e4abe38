//! By what a container of a tenant is known, and who says so.

use std::fmt;

use serde::Serialize;

use super::Glob;

/// How a container of a tenant is known. Strings that may be globs are [`Glob`]s.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// `identity kubernetes …`
    Kubernetes {
        /// `namespace=`
        namespace: Option<Glob>,
        /// `uid=`, exact.
        uid: Option<String>,
        /// `name=`, only beside `namespace=`.
        name: Option<Glob>,
    },
    /// `identity docker …`
    Docker {
        /// `daemon=`, `default` when absent.
        daemon: String,
        /// `runtime=`; absent: the daemon's default runtime.
        runtime: Option<String>,
    },
    /// `identity podman …`
    Podman {
        /// `user=`: of this user's own Podman, by uid, never 0; absent: of root's.
        user: Option<u32>,
    },
    /// `identity slurm …`, at least one key.
    Slurm {
        /// `account=`
        account: Option<Glob>,
        /// `user=`, the name.
        user: Option<Glob>,
        /// `partition=`
        partition: Option<Glob>,
    },
    /// `identity cgroup …`
    Cgroup {
        /// `path=`, from the root of the hierarchy that decides over devices.
        path: Glob,
        /// `engine=`: one whose callers cannot choose the cgroup.
        engine: Engine,
    },
}

impl Identity {
    /// By which engine a container is known so.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self {
            Self::Kubernetes { .. } => Engine::Kubernetes,
            Self::Docker { .. } => Engine::Docker,
            Self::Podman { .. } => Engine::Podman,
            Self::Slurm { .. } => Engine::Slurm,
            Self::Cgroup { engine, .. } => *engine,
        }
    }

    /// Who has the last word on what it is known by.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Cgroup { .. } | Self::Podman { user: Some(_) } => Class::Kernel,
            Self::Kubernetes { .. } | Self::Slurm { .. } => Class::Orchestrator,
            Self::Docker { .. } | Self::Podman { user: None } => Class::Caller,
        }
    }

    /// Whether root's hook stands between its containers and the devices: not where the engine runs as its user.
    #[must_use]
    pub fn is_enforced(&self) -> bool {
        !matches!(self, Self::Podman { user: Some(_) }) && self.engine() != Engine::Slurm
    }

    fn pairs(&self) -> (&'static str, Vec<(&'static str, String)>) {
        let glob = |key, glob: &Option<Glob>| Some((key, glob.as_ref()?.0.clone()));
        let text = |key, text: &Option<String>| Some((key, text.clone()?));
        let (word, pairs) = match self {
            Self::Kubernetes { namespace, uid, name } => {
                ("kubernetes", vec![glob("namespace", namespace), text("uid", uid), glob("name", name)])
            }
            Self::Docker { daemon, runtime } => {
                ("docker", vec![Some(("daemon", daemon.clone())), text("runtime", runtime)])
            }
            Self::Podman { user } => ("podman", vec![user.map(|uid| ("user", uid.to_string()))]),
            Self::Slurm { account, user, partition } => {
                ("slurm", vec![glob("account", account), glob("user", user), glob("partition", partition)])
            }
            Self::Cgroup { path, engine } => {
                ("cgroup", vec![Some(("path", path.0.clone())), Some(("engine", engine.name().to_owned()))])
            }
        };
        (word, pairs.into_iter().flatten().collect())
    }
}

/// As it is written, defaults filled in.
impl fmt::Display for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, pairs) = self.pairs();
        out.write_str(word)?;
        pairs.iter().try_for_each(|(key, value)| write!(out, " {key}={value}"))
    }
}

/// Whose word an identity is, the most trusted first. What a container says of itself is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The kernel's.
    Kernel,
    /// An orchestrator's, written after all that its users say.
    Orchestrator,
    /// That of whoever calls the engine, who is root there.
    Caller,
}

impl Class {
    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Orchestrator => "orchestrator",
            Self::Caller => "caller",
        }
    }
}

/// What starts containers, as identities and conditions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// containerd or CRI-O.
    Kubernetes,
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// Slurm's OCI containers.
    Slurm,
}

impl Engine {
    /// Every engine.
    pub const ALL: [Self; 4] = [Self::Kubernetes, Self::Docker, Self::Podman, Self::Slurm];

    /// Those whose callers cannot choose the cgroup of a container.
    pub const WITH_OWN_CGROUPS: [Self; 2] = [Self::Kubernetes, Self::Slurm];

    /// The engines of entries that it stands for.
    #[must_use]
    pub fn entries(self) -> &'static [gpupol_plan::entry::Engine] {
        use gpupol_plan::entry::Engine::{Containerd, Crio, Docker, Podman, Slurm};
        match self {
            Self::Kubernetes => &[Containerd, Crio],
            Self::Docker => &[Docker],
            Self::Podman => &[Podman],
            Self::Slurm => &[Slurm],
        }
    }

    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Slurm => "slurm",
        }
    }
}
