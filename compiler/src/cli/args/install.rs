//! The arguments of `install` and `uninstall`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Install {
    #[command(subcommand)]
    pub(in crate::cli) engine: InstalledFor,
}

/// The engines, and how each is to come through gpupol.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum InstalledFor {
    /// Docker: gpupol's runtime as the default one, and `docker run --gpus`.
    Docker(Docker),
    /// Podman: gpupol's runtime as root's Podman's own.
    Podman(Podman),
    /// containerd under Kubernetes: gpupol's runtime as the default handler.
    Containerd(Containerd),
    /// CRI-O under Kubernetes: gpupol's runtime as the default one.
    Crio(Crio),
    /// Slurm: the records of jobs, and the runtime of `srun --container`.
    Slurm(Slurm),
}

/// What is changed, and whether.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Changed {
    /// Name of the entry [default: the engine's].
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: Option<String>,
    /// Print what would change, and change nothing.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Where the host's root file system is mounted.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(in crate::cli) root: PathBuf,
}

/// What every engine has.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Everywhere {
    #[command(flatten)]
    pub(in crate::cli) changed: Changed,
    /// The hook's program to install [default: `gpupol-hook` beside this program].
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) hook: Option<PathBuf>,
    /// The runtime that makes containers behind gpupol [default: the engine's default one].
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) real_runtime: Option<String>,
    /// Where the plan sets lie.
    #[arg(long, value_name = "DIR", default_value = "/etc/gpupol/plans")]
    pub(in crate::cli) plans: String,
    /// Where leases are to lie; the same in all entries of a host.
    #[arg(long, value_name = "DIR", default_value = "/run/gpupol")]
    pub(in crate::cli) state: String,
    /// The audit file.
    #[arg(long, value_name = "FILE", default_value = "/var/log/gpupol/audit.jsonl")]
    pub(in crate::cli) audit: String,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Docker {
    /// Install a runtime of this name beside the default one instead: `docker run --runtime NAME`, for one tenant.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) runtime_name: Option<String>,
    /// A bare `NVIDIA_VISIBLE_DEVICES=all`, which every CUDA image has, asks through that runtime.
    #[arg(long, requires = "runtime_name")]
    pub(in crate::cli) ask_by_env: bool,
    /// Install only what dockerd calls for `--gpus`; nothing guards other containers.
    #[arg(long, conflicts_with_all = ["runtime_name", "daemon", "real_runtime"])]
    pub(in crate::cli) gpus_only: bool,
    /// Another dockerd than the host's only one, as policies call it.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(in crate::cli) daemon: Option<String>,
    /// Its configuration file [default: /etc/docker/daemon.json].
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) everywhere: Everywhere,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Podman {
    /// Which way in.
    #[arg(long, value_name = "FORM", default_value = "runtime")]
    pub(in crate::cli) form: PodmanForm,
    /// A bare `NVIDIA_VISIBLE_DEVICES=all`, which every CUDA image has, asks.
    #[arg(long)]
    pub(in crate::cli) ask_by_env: bool,
    #[command(flatten)]
    pub(in crate::cli) everywhere: Everywhere,
}

/// Ways into Podman.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PodmanForm {
    /// Podman's runtime: no container is made without it.
    Runtime,
    /// A hook before containers are made, which Podman leaves out if its program is gone.
    Precreate,
    /// A hook that CDI devices bring; other containers are not looked at.
    Cdi,
}

/// What containerd and CRI-O have in common.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Kubernetes {
    /// Install a runtime handler of this name beside the default one instead, for pods of a RuntimeClass.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) runtime_name: Option<String>,
    /// gpupol chooses the devices; without this a device plugin, DRA or CDI does, and gpupol is the ceiling.
    #[arg(long)]
    pub(in crate::cli) allocate: bool,
    /// The device plugin tells by `NVIDIA_VISIBLE_DEVICES` what it allocated, which any image can set too.
    #[arg(long, conflicts_with = "allocate")]
    pub(in crate::cli) allocation_by_env: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Containerd {
    #[command(flatten)]
    pub(in crate::cli) kubernetes: Kubernetes,
    /// Annotations of pods that policies read as labels, as a pattern; `gpupol.io/*` always are.
    #[arg(long = "annotation", value_name = "GLOB")]
    pub(in crate::cli) annotations: Vec<String>,
    /// Its configuration file [default: /etc/containerd/config.toml].
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) everywhere: Everywhere,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Crio {
    #[command(flatten)]
    pub(in crate::cli) kubernetes: Kubernetes,
    #[command(flatten)]
    pub(in crate::cli) everywhere: Everywhere,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Slurm {
    /// Slurm's configuration file, beside which `oci.conf` lies [default: /etc/slurm/slurm.conf].
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) everywhere: Everywhere,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Uninstall {
    /// The engine.
    #[arg(value_name = "ENGINE")]
    pub(in crate::cli) engine: Engine,
    #[command(flatten)]
    pub(in crate::cli) changed: Changed,
    /// Do it though containers run that came this way, which their engine then can neither stop nor enter.
    #[arg(long)]
    pub(in crate::cli) force: bool,
}

/// The engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Engine {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// containerd.
    Containerd,
    /// CRI-O.
    Crio,
    /// Slurm.
    Slurm,
}

impl Engine {
    /// Its word.
    pub(in crate::cli) fn word(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::Crio => "crio",
            Self::Slurm => "slurm",
        }
    }
}
