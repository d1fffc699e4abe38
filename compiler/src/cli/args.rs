//! The arguments.

use std::path::PathBuf;

use clap::{ArgGroup, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

mod compare;
mod install;
mod why;

use super::exit;
use super::levels::{self, Which};
use super::today;
use crate::diag::Code;
use crate::installation;
use crate::policy::Date;

pub(super) use compare::{Compare, Expectation, Form, Gate};
pub(super) use install::{Docker, Everywhere, Install, InstalledFor, Kubernetes, PodmanForm, Uninstall};
pub(super) use why::{Telling, Why};

/// Decides by policy which tenant's containers get which GPUs.
#[derive(Debug, Parser)]
#[command(name = "gpupol", version, max_term_width = 100, subcommand_required = true, after_help = exit::help())]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check policies against topologies and run their tests.
    Check(Check),
    /// Run the tests of policies alone, and say which grants and denies they cover.
    Test(Test),
    /// Print what one container gets on one host, or check an installed plan set.
    Plan(Plan),
    /// Say why a container, a tenant or a GPU gets what it gets, rule by rule.
    Why(Why),
    /// Say who gains and who loses what from one policy to another.
    Diff(Compare),
    /// Write the plan set of one host.
    Compile(Compile),
    /// Write what other programs read.
    Export(Export),
    /// Have an engine's containers come through gpupol, or print what that would change.
    Install(Install),
    /// Undo that, byte for byte where nobody changed the files since.
    Uninstall(Uninstall),
    /// Print who holds which device of this host, or why a container got none.
    Status(Status),
    /// Look whether what is installed on this host does what it should.
    ///
    /// It changes nothing and asks no daemon. Whatever is found has a remedy; errors give exit code 1. Without root it says what it
    /// could not look at.
    Doctor(Doctor),
    /// Record this host's topology.
    ///
    /// NVML is waited for ten seconds to begin with, then ten for all GPUs at a time, then ten for how they are joined. A GPU that
    /// does not answer is recorded as out of service, and nobody gets it.
    Discover(Discover),
    /// Look at topologies.
    Topology(Topology),
    /// Lay out policy files; comments, order and spellings stay.
    Fmt(Fmt),
    /// Write a set of policies to begin with.
    Init(Init),
    /// Explain a finding: why it matters, a bad and a good policy, and how it is mended.
    Rule(Rule),
    /// Print the policy language as a JSON document.
    Schema,
    /// Print the completions of a shell.
    Completions(Completions),
    /// Write the manual pages.
    Man(Man),
}

/// The policy files.
#[derive(Debug, clap::Args)]
pub(super) struct Policies {
    /// Policy files, or directories of `*.kdl` files; hidden ones are left out.
    #[arg(value_name = "PATHS", default_value = "policies/")]
    pub(super) paths: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) policies: Policies,
    /// A topology to check against: a file, `builtin:NAME`, or `live` for this host.
    #[arg(long, value_name = "TOPOLOGY")]
    pub(super) topology: Vec<String>,
    /// How to print findings.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: FindingFormat,
    /// Treat as errors: a code, a slug or `warnings`; several separated by commas.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = Which::parse)]
    pub(super) deny: Vec<Which>,
    /// Treat as warnings.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = Which::parse)]
    pub(super) warn: Vec<Which>,
    /// Count and do not show; an error cannot be allowed.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = Which::parse)]
    pub(super) allow: Vec<Which>,
    /// Mend what can mean only one thing, in the files.
    #[arg(long)]
    pub(super) fix: bool,
    /// Mend what was probably meant too: read what it wrote.
    #[arg(long)]
    pub(super) unsafe_fixes: bool,
    /// With either: write nothing, print what would change, and exit with 1 if that is anything.
    #[arg(long)]
    pub(super) diff: bool,
    /// Show so many findings at most, the gravest of all [default: 50 for human, plain and github, else all].
    #[arg(long, value_name = "N")]
    pub(super) max_diagnostics: Option<usize>,
    /// The day on which the check is made, instead of today: `2027-03-01`.
    #[arg(long, value_name = "DATE", hide = true, value_parser = today::parse)]
    pub(super) today: Option<Date>,
}

/// Forms of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FindingFormat {
    /// Drawn beside the text, on standard error.
    Human,
    /// A line for each fact, on standard error; nothing is drawn.
    Plain,
    /// One JSON object of a versioned schema.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Workflow commands of GitHub Actions, errors first.
    Github,
    /// JUnit XML.
    Junit,
}

#[derive(Debug, clap::Args)]
pub(super) struct Test {
    #[command(flatten)]
    pub(super) policies: Policies,
    /// A topology to run them on: a file, `builtin:NAME`, or `live` for this host.
    #[arg(long, value_name = "TOPOLOGY")]
    pub(super) topology: Vec<String>,
    /// Run only the tests of such names; `*` and `?` as in policies.
    #[arg(long, value_name = "GLOB")]
    pub(super) filter: Option<String>,
    /// How to print what came of them.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Report,
    /// Fail if the tests cover less than this share of all grants and denies.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(super) threshold: Option<u8>,
    /// Under each assert that holds, print what it rests on: who reaches what, and by which grants.
    #[arg(long)]
    pub(super) proofs: bool,
}

/// Forms of a report of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Report {
    /// One line for each test.
    Human,
    /// A JUnit XML document.
    Junit,
    /// A JSON document.
    Json,
}

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("container").required(true))]
pub(super) struct Plan {
    #[command(flatten)]
    pub(super) policies: Policies,
    /// The host: a topology file, `builtin:NAME`, or `live` for this host.
    #[arg(long, value_name = "TOPOLOGY")]
    pub(super) topology: Vec<String>,
    /// No container: whether the plan set in force in this directory is what policies and topology give today; exit
    /// with 1 if it is not, and say what differs.
    #[arg(long, value_name = "DIR", group = "container")]
    pub(super) check: Option<PathBuf>,
    /// The container, as a KDL file with one `container` node.
    #[arg(long, value_name = "FILE.kdl", group = "container")]
    pub(super) workload: Option<PathBuf>,
    /// The container, as a real OCI config.json.
    #[arg(long, value_name = "config.json", group = "container", requires = "entry")]
    pub(super) config: Option<PathBuf>,
    /// The entry file through which the container comes.
    #[arg(long, value_name = "FILE", conflicts_with = "workload")]
    pub(super) entry: Option<PathBuf>,
    /// Who the container is instead of what its files say: namespace, uid, name, cgroup, daemon, runtime, user,
    /// account or partition, as its engine has them.
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "workload")]
    pub(super) identity: Vec<String>,
    /// Print the config.json that the runtime would be given instead, edited for a root file system like this one.
    #[arg(long, value_name = "ROOTFS", requires = "config", conflicts_with = "format")]
    pub(super) spec_form: Option<PathBuf>,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
}

/// Forms of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A JSON document.
    Json,
    /// A table.
    Human,
}

#[derive(Debug, clap::Args)]
pub(super) struct Compile {
    #[command(flatten)]
    pub(super) policies: Policies,
    /// The host: a topology file, `builtin:NAME`, or `live` for this host.
    #[arg(long, value_name = "TOPOLOGY")]
    pub(super) topology: Vec<String>,
    /// Directory of the plan sets; its symlink `current` is switched to the new one.
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: PathBuf,
    /// Where the hook's leases lie: devices that containers hold are not dropped from their tenants' plans.
    /// [default: /run/gpupol]
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// Drop devices that containers hold; these keep them until they end.
    #[arg(long)]
    pub(super) force: bool,
    /// With `--topology live`: do nothing while boot, driver, GPUs and MIG devices are what they were the last time that this option
    /// was given, by what the kernel says. A timer may call that often.
    #[arg(long)]
    pub(super) if_changed: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Status {
    /// Where the hook's leases lie [default: /run/gpupol].
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// Print it anew whenever it changes, and look every so many seconds [default: 2].
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=3600), conflicts_with = "last_refusal")]
    pub(super) watch: Option<u64>,
    /// Why the container with this id was refused, or failed, the last time that it was.
    #[arg(long, value_name = "ID", conflicts_with = "state")]
    pub(super) last_refusal: Option<String>,
    /// With that: the audit file.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/var/log/gpupol/audit.jsonl",
        requires = "last_refusal"
    )]
    pub(super) audit: PathBuf,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
}

#[derive(Debug, clap::Args)]
pub(super) struct Doctor {
    /// Where the host's root file system is mounted.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(super) root: PathBuf,
    /// The host's recorded topology, with which it is compared [default: /etc/gpupol/host.json, if it is there].
    #[arg(long, value_name = "FILE")]
    pub(super) topology: Option<String>,
    /// The NVML library for that, if it is not where the loader finds it.
    #[arg(long, value_name = "FILE")]
    pub(super) nvml_lib: Option<PathBuf>,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
}

#[derive(Debug, clap::Args)]
pub(super) struct Export {
    #[command(subcommand)]
    pub(super) what: Exported,
}

/// What can be written for other programs.
#[derive(Debug, Subcommand)]
pub(super) enum Exported {
    /// The plans of one host as a specification of the Container Device Interface (CDI 0.5.0).
    ///
    /// Each device is called `gpupol.io/gpu=TENANT.GRANT.INDEX`, or `….any` for as many as the grant gives by itself, and calls
    /// the hook, which refuses who may not have it.
    Cdi(Cdi),
    /// Slurm's gres.conf and oci.conf for all hosts of some topologies.
    ///
    /// Each GPU and MIG device stands on a line of its own, by its node files, as the hook looks for them. Without `-o` both files are printed.
    Slurm(Slurm),
    /// Units of systemd that keep a host's plans true.
    ///
    /// They compile at boot, before any engine starts, and when driver or MIG devices change, and remove leases of containers that are gone.
    Systemd(Systemd),
    /// Layouts, proved to fit, for `nvidia-mig-parted`.
    ///
    /// Each host is one configuration, called as it is: `nvidia-mig-parted apply -f FILE -c HOST`. GPUs of no layout stay as they are.
    MigParted(MigParted),
}

#[derive(Debug, clap::Args)]
pub(super) struct MigParted {
    #[command(flatten)]
    pub(super) policies: Policies,
    /// A host: a topology file, `builtin:NAME`, or `live` for this host.
    #[arg(long, value_name = "TOPOLOGY")]
    pub(super) topology: Vec<String>,
    /// Where to write it instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Cdi {
    #[command(flatten)]
    pub(super) policies: Policies,
    /// The host: a topology file, `builtin:NAME`, or `live` for this host.
    #[arg(long, value_name = "TOPOLOGY")]
    pub(super) topology: Vec<String>,
    /// Where to write it instead of standard output, such as `/etc/cdi/gpupol.json`.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Write nothing, say in what this file differs from it, and exit with 1 if it does.
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub(super) check: Option<PathBuf>,
    /// The entry through which the containers come: the name of a file of /etc/gpupol/entries, without its `.json`.
    #[arg(long, value_name = "NAME", required_unless_present = "unguarded")]
    pub(super) entry: Option<String>,
    /// Where `gpupol-hook` is on the host.
    #[arg(long, value_name = "FILE", default_value = installation::HOOK)]
    pub(super) hook: PathBuf,
    /// Leave out the hook: whoever may name a device has it.
    #[arg(long, requires = "libdir", conflicts_with_all = ["entry", "hook"])]
    pub(super) unguarded: bool,
    /// With `--unguarded`: where all containers have their libraries; with a hook, that sees where.
    #[arg(long, value_name = "DIR", requires = "unguarded")]
    pub(super) libdir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Slurm {
    #[command(flatten)]
    pub(super) policies: Policies,
    /// A host: a topology file, or `builtin:NAME`; instead of those that the policy names.
    #[arg(long, value_name = "TOPOLOGY")]
    pub(super) topology: Vec<String>,
    /// Directory to write both files to; files there that gpupol has not written are left as they are, with an error.
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Systemd {
    /// Directory to write the units to, such as /etc/systemd/system; without it they are printed.
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
    /// Where `gpupol` is on the host.
    #[arg(long, value_name = "FILE", default_value = "/usr/local/bin/gpupol")]
    pub(super) program: PathBuf,
    /// Where `gpupol-hook` is on the host.
    #[arg(long, value_name = "FILE", default_value = installation::HOOK)]
    pub(super) hook: PathBuf,
    /// The policies that are compiled.
    #[arg(long, value_name = "DIR", default_value = "/etc/gpupol/policies")]
    pub(super) policies: PathBuf,
    /// Directory of the plan sets.
    #[arg(long, value_name = "DIR", default_value = "/etc/gpupol/plans")]
    pub(super) plans: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Discover {
    /// Where the host's root file system is mounted.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(super) root: PathBuf,
    /// The host's directory with the driver's user space; `/`, or `/run/nvidia/driver` if only that has NVML.
    #[arg(long, value_name = "DIR")]
    pub(super) driver_root: Option<PathBuf>,
    /// The host's directory with CUDA's libraries of a newer driver (forward compatibility); what has CUDA gets them where NVIDIA supports
    /// that.
    #[arg(long, value_name = "DIR")]
    pub(super) cuda_compat: Option<PathBuf>,
    /// The NVML library, if it is not where the loader finds it.
    #[arg(long, value_name = "FILE")]
    pub(super) nvml_lib: Option<PathBuf>,
    /// Where to write the topology instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Topology {
    #[command(subcommand)]
    pub(super) look: Look,
}

/// Ways to look at topologies.
#[derive(Debug, Subcommand)]
pub(super) enum Look {
    /// Print GPUs, MIG devices, links, and what is unknown.
    Show(Show),
    /// Say of each file whether it is a topology that gpupol takes; exit with 1 if one is not.
    Validate(Validate),
    /// Say what changed from one topology of a host to another; exit with 1 if anything did.
    Diff(Diff),
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// A file, `builtin:NAME`, or `live` for this host.
    #[arg(value_name = "TOPOLOGY")]
    pub(super) topology: String,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
}

#[derive(Debug, clap::Args)]
pub(super) struct Validate {
    /// Topology files.
    #[arg(value_name = "FILES", required = true)]
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    /// What it was: a file, `builtin:NAME`, or `live` for this host.
    #[arg(value_name = "OLD")]
    pub(super) old: String,
    /// What it is.
    #[arg(value_name = "NEW")]
    pub(super) new: String,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
}

#[derive(Debug, clap::Args)]
pub(super) struct Fmt {
    /// Policy files, directories of `*.kdl` files, or `-`: standard input is formatted to standard output.
    #[arg(value_name = "PATHS", default_value = "policies/")]
    pub(super) paths: Vec<PathBuf>,
    /// Write nothing, name the files that are not formatted, and exit with 1 if there are any.
    #[arg(long)]
    pub(super) check: bool,
    /// Write nothing, print what would change, and exit with 1 if that is anything.
    #[arg(long, conflicts_with = "check")]
    pub(super) diff: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// Directory to write to; files that are there are left as they are.
    #[arg(value_name = "DIR", default_value = "policies")]
    pub(super) directory: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rule {
    /// Its code or slug; without one, all are listed.
    #[arg(value_name = "CODE", value_parser = levels::code)]
    pub(super) code: Option<Code>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(super) shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Directory to write one page for each command to; without it the first page goes to standard output.
    #[arg(value_name = "DIR")]
    pub(super) directory: Option<PathBuf>,
}
