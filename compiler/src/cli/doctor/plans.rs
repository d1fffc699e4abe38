//! The plan set in force: whether the hook would take it, and whether it is true of the host.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use gpupol_plan::edit::Edit;
use gpupol_plan::plan::{Device, GpuCheck, Plan};
use gpupol_plan::vendor::Vendor;
use rustix::fs::{FileType, major, minor};

use super::finding;
use super::tree::Tree;
use crate::cli::Failure;
use crate::cli::store::found::{Files, in_force};
use crate::diag::{Code, Finding};
use crate::emit::mps::Daemon;
use crate::outcome::installed;

const DRIVER: &str = "/proc/driver/nvidia";
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
const COMPILE: &str = "run `gpupol compile /etc/gpupol/policies --topology live -o /etc/gpupol/plans`";

/// The plans in force in a directory, and what is wrong with them.
pub(super) fn look(tree: &Tree, directory: &str) -> (Vec<Plan>, Vec<Finding>) {
    let plans = match read(tree, directory) {
        Ok(None) => return (Vec::new(), Vec::new()),
        Ok(Some(plans)) => plans,
        Err(why) => {
            let why = tree.inside(&why);
            let message =
                format!("the plans of `{directory}` cannot be used, and nobody gets a GPU by them: {why}");
            return (Vec::new(), vec![finding(Code::PlanSetUnusable, message, COMPILE)]);
        }
    };
    let mut findings: Vec<Finding> = untrue(tree, &plans)
        .into_iter()
        .map(|how| {
            let message = format!(
                "the plans of `{directory}` are not true of this host, and nobody gets a GPU by them: {how}"
            );
            finding(Code::PlanSetUntrue, message, COMPILE)
        })
        .collect();
    findings.extend(daemons(tree, &plans));
    (plans, findings)
}

/// Nothing if it must not be read, which is noted.
fn read(tree: &Tree, directory: &str) -> Result<Option<Vec<Plan>>, String> {
    if tree.find(directory).is_none() {
        let is_hidden = tree.hidden().contains_key(directory);
        return if is_hidden { Ok(None) } else { Err(format!("`{directory}` is not there")) };
    }
    let found = match in_force(&tree.outside(directory)) {
        Err(Failure::Unreadable { what, why }) if why.kind() == ErrorKind::PermissionDenied => {
            tree.hide(&tree.inside(&what), "permission denied");
            return Ok(None);
        }
        found => found.map_err(|failure| failure.to_string())?,
    };
    let found = found.ok_or("no plan set is in force")?;
    for file in ["index", "plans"] {
        let wrong = tree.wrong_hands(&format!("{directory}/{}/{file}", found.name));
        wrong.map_or(Ok(()), Err)?;
    }
    let Files { index, plans } = found.files?;
    let files = installed::Files { index: &index, plans: &plans };
    installed::plans(files).map(Some).map_err(|refusal| refusal.message)
}

/// In what plans and host differ, by what the kernel says, as the hook asks it.
fn untrue(tree: &Tree, plans: &[Plan]) -> BTreeSet<String> {
    if !tree.is_up() {
        return BTreeSet::new();
    }
    let text = |path: &str| tree.text(path).and_then(Result::ok);
    let boot = text(BOOT);
    let mut found: BTreeSet<String> = plans
        .iter()
        .filter_map(|plan| {
            differs("the boot id", plan.host.boot_id.as_deref(), boot.as_deref().map(str::trim))
        })
        .collect();
    // After a reboot all else may be another for that reason.
    if !found.is_empty() {
        return found;
    }
    let version = text(&format!("{DRIVER}/version"));
    let version = version.as_deref().and_then(driver_version);
    for plan in plans {
        let devices = plan.lines.iter().flat_map(|line| &line.devices);
        for device in devices {
            if device.gpu.vendor() == Vendor::Nvidia {
                found.extend(differs("the driver's version", plan.host.driver_version.as_deref(), version));
            }
            found.extend(gpu(tree, device));
            found.extend(device.edits.iter().filter_map(|edit| node(tree, edit)));
        }
    }
    found
}

fn differs(what: &str, planned: Option<&str>, found: Option<&str>) -> Option<String> {
    match (planned, found) {
        (None, _) => Some(format!("{what} was not known when they were compiled")),
        (_, None) => Some(format!("{what} cannot be found out")),
        (Some(planned), Some(found)) => {
            (planned != found).then(|| format!("{what} is `{found}`, not `{planned}`"))
        }
    }
}

/// The first number with a dot in the first line.
fn driver_version(text: &str) -> Option<&str> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_version = |word: &&str| word.contains('.') && word.split('.').all(is_number);
    text.lines().next()?.split_ascii_whitespace().find(is_version)
}

fn gpu(tree: &Tree, device: &Device) -> Option<String> {
    let GpuCheck::Nvidia { uuid, minor } = &device.gpu else { return None };
    let text = tree.text(&format!("{DRIVER}/gpus/{}/information", device.pci)).and_then(Result::ok);
    let Some(text) = text else { return Some(format!("there is no GPU at {}", device.pci)) };
    let field = |name: &str| {
        let value =
            |line: &'_ str| Some(line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim().to_owned());
        text.lines().find_map(value)
    };
    let of = |what: &str| format!("{what} of the GPU at {}", device.pci);
    differs(&of("the UUID"), Some(uuid), field("GPU UUID").as_deref())
        .or_else(|| {
            differs(&of("the minor number"), Some(&minor.to_string()), field("Device Minor").as_deref())
        })
        .or_else(|| instances(tree, *minor, device))
}

fn instances(tree: &Tree, minor: u32, device: &Device) -> Option<String> {
    let numbers = |path: &str, word: &str| -> Vec<u32> {
        let names = tree.names(path);
        names.iter().filter_map(|name| name.strip_prefix(word)?.parse().ok()).collect()
    };
    let path = format!("{DRIVER}/capabilities/gpu{minor}/mig");
    let mut found = BTreeSet::new();
    for gi in numbers(&path, "gi") {
        found.extend(numbers(&format!("{path}/gi{gi}"), "ci").into_iter().map(|ci| [gi, ci]));
    }
    let planned = device.mig.as_ref().map(|mig| mig.instances.clone()).unwrap_or_default();
    (found != planned).then(|| format!("the GPU at {} is divided into other MIG devices", device.pci))
}

/// NVIDIA's own tools make its nodes when they are first needed.
fn node(tree: &Tree, edit: &Edit) -> Option<String> {
    let Edit::DeviceNode(node) = edit else { return None };
    let planned = format!("{}:{}", node.major, node.minor);
    let found = match tree.lies(&node.host_path) {
        None if node.container_path.starts_with("/dev/nvidia") => return None,
        None => None,
        Some(found) => {
            let is_device = FileType::from_raw_mode(found.stat.st_mode) == FileType::CharacterDevice;
            is_device.then(|| format!("{}:{}", major(found.stat.st_rdev), minor(found.stat.st_rdev)))
        }
    };
    differs(&format!("the number of `{}`", node.host_path), Some(&planned), found.as_deref())
}

/// Whether each daemon of MPS that plans rest on is there, and started as planned.
fn daemons(tree: &Tree, plans: &[Plan]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for plan in plans {
        for line in &plan.lines {
            let daemon =
                |device: &Device| Daemon::of(&plan.grant, &device.uuid, &line.sharing, line.memory.as_ref());
            findings
                .extend(line.devices.iter().filter_map(daemon).filter_map(|daemon| missing(tree, &daemon)));
        }
    }
    findings
}

fn missing(tree: &Tree, daemon: &Daemon) -> Option<Finding> {
    let name = &daemon.unit_name;
    let places = ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"];
    let units = places.iter().map(|place| format!("{place}/{name}"));
    let unit = units.filter_map(|path| tree.text(&path)?.ok()).next();
    let help = "write the unit that `gpupol plan --workload FILE` prints, and start it";
    let message = match unit {
        Some(unit) if unit != daemon.unit => {
            format!("`{name}` is not the unit that its grant has today: other limits hold, or none")
        }
        // In a directory that a boot empties.
        Some(_) | None
            if tree.is_up() && tree.find(&format!("{}/pipe/control", daemon.directory)).is_none() =>
        {
            if tree.hidden().keys().any(|hidden| hidden.starts_with(&daemon.directory)) {
                return None;
            }
            format!("no MPS daemon is at `{}`, and no container of its grant starts", daemon.directory)
        }
        _ => return None,
    };
    Some(finding(Code::MpsDaemonMissing, message, help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_dotted_number_is_the_version() {
        let text = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n";
        assert_eq!(driver_version(text), Some("570.86.15"));
        assert_eq!(driver_version("NVRM version: none\n12.2.0\n"), None);
    }
}
