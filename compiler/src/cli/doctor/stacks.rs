//! Who else gives GPUs on this host: Kubernetes' device plugins and DRA drivers, and specifications of CDI.

use std::collections::BTreeSet;

use gpupol_plan::entry::Engine;
use serde_json::Value;

use super::engines::Configured;
use super::entries::{Entries, PATH, base};
use super::finding;
use super::tree::Tree;
use crate::diag::{Code, Finding};
use crate::emit::cdi::KIND;
use crate::installation::cdi;

const DEVICE_PLUGINS: &str = "/var/lib/kubelet/device-plugins";
const DRA_DRIVERS: &str = "/var/lib/kubelet/plugins";
/// What the names of sockets of plugins for GPUs have in them.
const PLUGINS: [&str; 3] = ["nvidia", "amd.com", "gpu.amd"];

pub(super) fn judge(tree: &Tree, entries: &Entries, engines: &[Configured]) -> Vec<Finding> {
    let mut findings = allocators(tree, entries);
    let named = named(entries, engines);
    findings.extend(specifications(tree, &named));
    findings.extend(answers(tree, entries, engines));
    findings
}

fn allocators(tree: &Tree, entries: &Entries) -> Vec<Finding> {
    let choosing = entries.iter().filter(|(_, entry)| entry.engine.is_kubernetes() && entry.allocate);
    let choosing: Vec<&String> = choosing.map(|(name, _)| name).collect();
    let is_of_gpus = |name: &String| PLUGINS.iter().any(|vendor| name.contains(vendor));
    let plugins = tree.names(DEVICE_PLUGINS).into_iter().filter(is_of_gpus);
    let plugins = plugins.map(|name| (format!("{DEVICE_PLUGINS}/{name}"), "the device plugin"));
    let drivers = tree.names(DRA_DRIVERS).into_iter().filter(is_of_gpus);
    let drivers = drivers.map(|name| (format!("{DRA_DRIVERS}/{name}"), "the DRA driver"));
    let others: Vec<(String, &str)> = plugins.chain(drivers).collect();
    let two = |name: &&String| {
        let (path, what) = others.first()?;
        let message =
            format!("entry `{name}` has gpupol choose the devices, and {what} at `{path}` chooses them too");
        let help = format!("leave `allocate` out of `/etc/gpupol/entries/{name}.json`, or remove {what}");
        Some(finding(Code::TwoAllocators, message, help))
    };
    choosing.iter().filter_map(two).collect()
}

/// Directories of specifications whose devices anybody may name who starts a container. Under Kubernetes those of others are how devices
/// are allocated.
fn named(entries: &Entries, engines: &[Configured]) -> BTreeSet<String> {
    let has = |engine: Engine| entries.values().any(|entry| entry.engine == engine);
    let docker = engines.iter().filter(|engine| engine.engine == Engine::Docker && has(Engine::Docker));
    let mut named: BTreeSet<String> = docker.flat_map(|engine| engine.cdi.clone()).collect();
    named.extend(cdi::DIRECTORIES.iter().filter(|_| has(Engine::Podman)).map(|path| (*path).to_owned()));
    named
}

/// dockerd 29 answers `--gpus` by NVIDIA's specification where it finds this program, and asks no hook.
fn answers(tree: &Tree, entries: &Entries, engines: &[Configured]) -> Option<Finding> {
    let is_docker = |engine: &&Configured| engine.engine == Engine::Docker && !engine.cdi.is_empty();
    let paths = PATH.iter().map(|directory| format!("{directory}/{}", cdi::NVIDIAS_HOOK));
    let path = paths.into_iter().find(|path| tree.find(path).is_some())?;
    engines.iter().find(is_docker)?;
    entries.values().find(|entry| entry.engine == Engine::Docker)?;
    let message = format!(
        "with `{path}` there, dockerd 29 answers `--gpus` by NVIDIA's CDI devices, which asks no policy"
    );
    let help = "remove the package nvidia-container-toolkit, or set `\"features\": {\"cdi\": false}` in Docker's configuration and restart it";
    Some(finding(Code::GpuStackBeside, message, help))
}

fn specifications(tree: &Tree, named: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    let directories = named.iter().map(String::as_str).chain(cdi::DIRECTORIES);
    for (directory, path) in directories.flat_map(|directory| {
        tree.names(directory).into_iter().map(move |name| (directory, format!("{directory}/{name}")))
    }) {
        let Some(Ok(text)) = tree.text(&path) else { continue };
        // One of these directories is a link to another.
        if !tree.find(&path).is_some_and(|found| seen.insert(found.place)) {
            continue;
        }
        if text.contains(KIND) {
            findings.extend(ours(tree, &path, &text));
        } else if named.contains(directory) && cdi::is_of_gpus(&text) {
            let message =
                format!("who starts a container may name the devices of `{path}`, which asks no policy");
            let help =
                format!("remove `{path}`, and what writes it anew; `gpupol export cdi` writes one that asks");
            findings.push(finding(Code::GpuStackBeside, message, help));
        }
    }
    findings
}

/// A specification of gpupol's is as good as the hook that its devices call.
fn ours(tree: &Tree, path: &str, text: &str) -> Option<Finding> {
    let Ok(document) = serde_json::from_str::<Value>(text) else {
        let message = format!("`{path}` is no specification that gpupol has written");
        return Some(finding(
            Code::WayInBroken,
            message,
            format!("run `gpupol export cdi … -o {path}` again"),
        ));
    };
    let hook = document.pointer("/devices/0/containerEdits/hooks/0/path").and_then(Value::as_str);
    let Some(hook) = hook else {
        let message =
            format!("`{path}` was written with `--unguarded`: who may name a device of it has that");
        return Some(finding(
            Code::FailOpen,
            message,
            format!("run `gpupol export cdi --entry NAME … -o {path}`"),
        ));
    };
    let is_sound = base(hook) == "gpupol-hook" && tree.find(hook).is_some_and(|found| found.is_program());
    let message = format!(
        "the devices of `{path}` call `{hook}`, which is no program: no container starts that names one"
    );
    (!is_sound).then(|| {
        finding(Code::WayInBroken, message, format!("run `gpupol export cdi --hook FILE … -o {path}`"))
    })
}
