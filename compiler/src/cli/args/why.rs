//! The arguments of `why`.

use std::path::PathBuf;

use clap::{ArgGroup, ValueEnum};

use super::Policies;

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("about").required(true).multiple(true))]
pub(in crate::cli) struct Why {
    #[command(flatten)]
    pub(in crate::cli) policies: Policies,
    /// The host: a topology file, `builtin:NAME`, or `live` for this host.
    #[arg(long, value_name = "TOPOLOGY")]
    pub(in crate::cli) topology: Vec<String>,
    /// A container, as a KDL file with one `container` node.
    #[arg(long, value_name = "FILE.kdl", group = "about", conflicts_with_all = ["config", "tenant", "gpu"])]
    pub(in crate::cli) workload: Option<PathBuf>,
    /// A container, as a real OCI config.json.
    #[arg(
        long,
        value_name = "config.json",
        group = "about",
        requires = "entry",
        conflicts_with_all = ["tenant", "gpu"]
    )]
    pub(in crate::cli) config: Option<PathBuf>,
    /// The entry file through which the container comes.
    #[arg(long, value_name = "FILE", requires = "config")]
    pub(in crate::cli) entry: Option<PathBuf>,
    /// Who the container is instead of what its files say, as of `gpupol plan`.
    #[arg(long, value_name = "KEY=VALUE", requires = "config")]
    pub(in crate::cli) identity: Vec<String>,
    /// A tenant: what its containers can have by each grant, and what keeps the rest from them.
    #[arg(long, value_name = "TENANT", group = "about")]
    pub(in crate::cli) tenant: Option<String>,
    /// A GPU or MIG device, by NVML index, UUID or PCI address: whose containers can have it. A GPU stands for its MIG devices too.
    #[arg(long, value_name = "DEVICE", group = "about")]
    pub(in crate::cli) gpu: Option<String>,
    /// End with 4 if the container is denied, or nobody who is asked about reaches anything.
    #[arg(long)]
    pub(in crate::cli) exit_status: bool,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(in crate::cli) format: Telling,
}

/// Forms of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Telling {
    /// Indented text.
    Human,
    /// A line for each fact, that of a rule after its `PATH:LINE: `.
    Plain,
    /// A JSON document.
    Json,
}
