//! The entries, and whether each is one that a hook would take.

use std::collections::BTreeMap;

use gpupol_plan::entry::{Entry, Form};

use super::finding;
use super::tree::{Found, Tree};
use crate::diag::{Code, Finding};

/// Where entries lie.
pub(super) const ENTRIES: &str = "/etc/gpupol/entries";

/// How the names of NVIDIA's and AMD's own runtimes begin: each gives GPUs of its own accord.
const INJECTING: [&str; 2] = ["nvidia-container-runtime", "amd-container-runtime"];

/// The `PATH` that systemd gives to engines.
pub(super) const PATH: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

/// Entries by name.
pub(super) type Entries = BTreeMap<String, Entry>;

/// Reads all of them.
pub(super) fn look(tree: &Tree) -> (Entries, Vec<Finding>) {
    let (mut entries, mut findings) = (Entries::new(), Vec::new());
    for file in tree.names(ENTRIES) {
        let Some(name) = file.strip_suffix(".json").filter(|name| !name.starts_with('.')) else { continue };
        let path = format!("{ENTRIES}/{file}");
        match read(tree, &path) {
            Some(Ok(entry)) => {
                findings.extend(real_runtime(tree, name, &entry));
                findings.extend(doubts(name, &entry));
                entries.insert(name.to_owned(), entry);
            }
            Some(Err(why)) => {
                let message = format!("entry `{path}` is refused by the hook: {why}");
                findings.push(finding(
                    Code::BadEntry,
                    message,
                    format!(
                        "write it anew by `gpupol install`, or mend it: `chown root {path}; chmod 644 {path}`"
                    ),
                ));
            }
            None => {}
        }
    }
    if entries.is_empty() && findings.is_empty() && !tree.hidden().contains_key(ENTRIES) {
        let message =
            format!("no entry is installed in `{ENTRIES}`: no container of this host is asked anything");
        let help = "run `gpupol install docker`, or podman, containerd, crio or slurm";
        findings.push(finding(Code::NoEntry, message, help));
    }
    (entries, findings)
}

fn read(tree: &Tree, path: &str) -> Option<Result<Entry, String>> {
    let text = match tree.text(path)? {
        Ok(text) => text,
        Err(why) => return Some(Err(why)),
    };
    if let Some(why) = tree.wrong_hands(path) {
        return Some(Err(why));
    }
    Some(Entry::parse(text.as_bytes()).map_err(|refusal| refusal.message))
}

/// Without its real runtime a wrapper starts nothing at all.
fn real_runtime(tree: &Tree, name: &str, entry: &Entry) -> Option<Finding> {
    if entry.form != Form::Spec {
        return None;
    }
    let why = match &entry.real_runtime {
        None => "it names no `realRuntime`".to_owned(),
        Some(path) => wrong_runtime(tree, path)?,
    };
    let message = format!("entry `{name}` starts no container: {why}");
    let help = "write the absolute path of runc or crun as `realRuntime`, such as `/usr/bin/runc`";
    Some(finding(Code::WayInBroken, message, help))
}

fn wrong_runtime(tree: &Tree, path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return Some(format!("its `realRuntime` `{path}` is no absolute path"));
    }
    let Some(found) = tree.find(path) else {
        return Some(format!("its `realRuntime` `{path}` is not there"));
    };
    if !found.is_program() {
        return Some(format!("its `realRuntime` `{path}` is no program"));
    }
    let program = base(&found.place);
    if INJECTING.iter().any(|begin| program.starts_with(begin)) {
        return Some(format!(
            "its `realRuntime` `{path}` is another GPU stack's, which gives GPUs of its own accord"
        ));
    }
    if program == "gpupol-hook" {
        return Some(format!("its `realRuntime` `{path}` is gpupol's own program"));
    }
    tree.wrong_hands(&found.place)
}

/// What an entry trusts that it had better not.
fn doubts(name: &str, entry: &Entry) -> Option<Finding> {
    entry.allocation_by_env.then(|| {
        let message = format!(
            "entry `{name}` takes `NVIDIA_VISIBLE_DEVICES` for what Kubernetes has allocated, which any image and any pod can write"
        );
        let help = "set the device plugin's `deviceListStrategy` to `cdi-cri` or `volume-mounts`, or `passDeviceSpecs`, and leave \
                    `allocationByEnv` out";
        finding(Code::AllocationByEnv, message, help)
    })
}

/// The last component of a path.
pub(super) fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Whether a program is another GPU stack's runtime: by its name, or by that of what it leads to.
pub(super) fn is_foreign_runtime(tree: &Tree, program: &str) -> bool {
    let is_injecting = |program: &str| {
        INJECTING.iter().any(|begin| base(program).starts_with(begin))
            && base(program) != "nvidia-container-runtime-hook"
    };
    is_injecting(program) || located(tree, program).is_some_and(|found| is_injecting(&found.place))
}

/// A program by its path, or by its name alone, which engines look for in their `PATH`.
fn located(tree: &Tree, program: &str) -> Option<Found> {
    if program.contains('/') {
        return tree.find(program);
    }
    PATH.iter().find_map(|directory| tree.find(&format!("{directory}/{program}")))
}
