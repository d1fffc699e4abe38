//! Slurm: whether its device cgroup is on, and whether anybody writes the record of a job.

use gpupol_plan::entry::Engine;

use super::Configured;
use crate::cli::doctor::finding;
use crate::cli::doctor::tree::Tree;
use crate::diag::{Code, Finding};

mod settings;

use settings::Settings;

const DIRECTORIES: [&str; 2] = ["/etc/slurm", "/etc/slurm-llnl"];
const PROGRAMS: [&str; 3] = ["/usr/sbin/slurmd", "/usr/local/sbin/slurmd", "/usr/bin/slurmd"];

pub(super) fn look(tree: &Tree) -> Configured {
    let mut found = Configured::of(Engine::Slurm, tree, &PROGRAMS);
    for file in DIRECTORIES.iter().flat_map(|directory| {
        ["slurm.conf", "cgroup.conf", "oci.conf"].map(|name| format!("{directory}/{name}"))
    }) {
        if tree.find(&file).is_some() {
            found.files.push(file);
        }
    }
    found
}

/// What an entry of Slurm's needs beside itself.
pub(super) fn judge(tree: &Tree, found: &Configured, name: &str) -> Vec<Finding> {
    let missing = |message: String, help: &str| finding(Code::WayInMissing, message, help);
    let Some(directory) = DIRECTORIES.iter().find(|directory| tree.find(directory).is_some()) else {
        let message =
            format!("entry `{name}` is for Slurm, of which there is no configuration in `/etc/slurm`");
        return vec![missing(message, "run `gpupol uninstall slurm` where Slurm is not used")];
    };
    let settings = Settings::of(tree, directory, "slurm.conf");
    let mut findings = unconstrained(tree, directory, &settings);
    if !found.files.iter().any(|file| file.ends_with("/oci.conf")) {
        let message = format!("there is no `{directory}/oci.conf`: `srun --container` starts nothing");
        findings.push(missing(message, "write it by `gpupol install slurm`"));
    }
    for (key, what) in [("Prolog", "writes the record of a job"), ("Epilog", "removes the record of a job")] {
        let scripts = settings.last(key).map(|script| scripts(tree, directory, script)).unwrap_or_default();
        if !scripts
            .iter()
            .any(|path| tree.text(path).is_some_and(|text| text.is_ok_and(|text| text.contains("gpupol"))))
        {
            let message = format!("no `{key}` of `{directory}/slurm.conf` {what}, as far as its text shows");
            findings.push(missing(message, "run `gpupol install slurm`, or add what docs/slurm.md has"));
        }
    }
    findings
}

/// Without either of the two every step can open every GPU: `cgroup.conf` says what the plugin does that `slurm.conf` names.
fn unconstrained(tree: &Tree, directory: &str, settings: &Settings) -> Vec<Finding> {
    let lacks = |file: &str, what: &str, to_write: String| {
        let message = format!(
            "`{directory}/{file}` does not say {what}: every step can open every GPU, so gpupol refuses all of them"
        );
        finding(
            Code::SlurmUnconstrained,
            message,
            format!("write `{to_write}` into `{directory}/{file}` and restart slurmd"),
        )
    };
    let mut findings = Vec::new();
    if !Settings::of(tree, directory, "cgroup.conf").is_on("ConstrainDevices") {
        findings.push(lacks("cgroup.conf", "`ConstrainDevices=yes`", "ConstrainDevices=yes".to_owned()));
    }
    // Slurm takes the names of its plugins with and without their kind.
    let plugins = settings.last("TaskPlugin").filter(|plugins| !plugins.is_empty());
    let mut names = plugins.into_iter().flat_map(|plugins| plugins.split(','));
    if !names.any(|name| matches!(name.trim().to_ascii_lowercase().as_str(), "task/cgroup" | "cgroup")) {
        let others = plugins.filter(|plugins| !plugins.contains("none"));
        let all = others.map_or("task/cgroup".to_owned(), |others| format!("{others},task/cgroup"));
        findings.push(lacks("slurm.conf", "`task/cgroup` in `TaskPlugin`", format!("TaskPlugin={all}")));
    }
    findings
}

/// The scripts that a setting names: a path, a pattern, or a name below the directory of the configuration.
fn scripts(tree: &Tree, directory: &str, setting: &str) -> Vec<String> {
    let mut scripts = Vec::new();
    for word in setting.split(',') {
        let whole = if word.starts_with('/') { word.to_owned() } else { format!("{directory}/{word}") };
        let Some((above, _)) = whole.rsplit_once('/') else { continue };
        let paths = tree.names(above).into_iter().map(|name| format!("{above}/{name}"));
        scripts.extend(paths.filter(|path| gpupol_plan::glob::matches(&whole, path)));
    }
    scripts
}
