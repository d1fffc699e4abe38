//! Leases that nobody understands, and processes on leased GPUs that hold none.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::edit::Edit;
use gpupol_plan::lease::{CgroupVersion, Record};
use gpupol_plan::plan::Plan;

use super::entries::base;
use super::finding;
use super::tree::Tree;
use crate::cli::Failure;
use crate::cli::leases::{Lease, Leases, is_over};
use crate::diag::{Code, Finding};

mod trusted;

use trusted::Trusted;

/// Daemons of NVIDIA's that have all GPUs open and compute nothing.
const DAEMONS: [&str; 5] = [
    "nvidia-persistenced",
    "nv-fabricmanager",
    "nv-hostengine",
    "nvidia-cuda-mps-control",
    "nvidia-cuda-mps-server",
];

/// A device node's major and minor number.
type Number = (u32, u32);

pub(super) fn judge(
    tree: &Tree,
    states: &BTreeSet<String>,
    audits: &BTreeSet<String>,
    plans: &[Plan],
) -> Vec<Finding> {
    let (mut held, mut findings) = (Vec::new(), Vec::new());
    for state in states {
        let outside = tree.outside(state);
        let all = match Leases::unlocked(&outside).all() {
            Ok(all) => all,
            Err(failure) => {
                tree.hide(&format!("{state}/leases"), why(&failure));
                continue;
            }
        };
        for lease in all {
            match lease {
                Lease::Of(record) => held.extend((!is_over(&record)).then_some(*record)),
                Lease::Unreadable { file, .. } => findings.push(unreadable(&tree.inside(&file))),
            }
        }
    }
    findings.extend(strangers(tree, &held, plans, &Trusted::of(tree, audits, plans)));
    findings
}

fn why(failure: &Failure) -> String {
    match failure {
        Failure::Unreadable { why, .. } => why.to_string(),
        other => other.to_string(),
    }
}

fn unreadable(file: &str) -> Finding {
    let message =
        format!("lease `{file}` cannot be understood: its device counts as held, by nobody knows whom");
    finding(Code::LeaseUnreadable, message, "remove it if no container holds the device")
}

/// Who has a leased device open and is of no container that holds it.
fn strangers(tree: &Tree, held: &[Record], plans: &[Plan], trusted: &Trusted<'_>) -> Vec<Finding> {
    let nodes = nodes(plans);
    let mut holders: BTreeMap<Number, Vec<&Record>> = BTreeMap::new();
    for record in held {
        for number in nodes.get(record.device.as_str()).into_iter().flatten() {
            holders.entry(*number).or_default().push(record);
        }
    }
    if holders.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for pid in tree.names("/proc").iter().filter_map(|name| name.parse::<u32>().ok()) {
        let open = tree.devices(pid);
        let strange = open.iter().find_map(|number| {
            let records = holders.get(number)?;
            let is_theirs = records.iter().any(|record| is_of(tree, pid, record));
            let first = records.first().filter(|_| !is_theirs)?;
            (!is_trusted(tree, pid, trusted, &first.device)).then_some(first)
        });
        findings.extend(strange.and_then(|record| stranger(tree, pid, record, trusted)));
    }
    findings
}

/// The nodes of each device that are of no other; MIG devices share those of their GPU.
fn nodes(plans: &[Plan]) -> BTreeMap<&str, BTreeSet<Number>> {
    let mut nodes: BTreeMap<&str, BTreeSet<Number>> = BTreeMap::new();
    for device in plans.iter().flat_map(|plan| &plan.lines).flat_map(|line| &line.devices) {
        let own = device.edits.iter().filter_map(|edit| match edit {
            Edit::DeviceNode(node)
                if device.mig.is_none() || node.container_path.starts_with("/dev/nvidia-caps/") =>
            {
                Some((node.major, node.minor))
            }
            _ => None,
        });
        nodes.entry(&device.uuid).or_default().extend(own);
    }
    nodes
}

/// Whether a process is of a container: by its cgroup, by its init, or by that one's namespace of processes.
fn is_of(tree: &Tree, pid: u32, record: &Record) -> bool {
    if pid == record.pid {
        return true;
    }
    if let Some(cgroup) = &record.cgroup {
        let path = cgroup_of(tree, pid, cgroup.version).unwrap_or_default();
        let below = path.strip_prefix(cgroup.path.trim_end_matches('/'));
        return below.is_some_and(|below| below.is_empty() || below.starts_with('/'));
    }
    let of = |pid: u32| tree.namespace(pid, "pid");
    let theirs = of(record.pid);
    // One that has the host's says nothing.
    theirs.is_some() && theirs != Tree::own_namespace("pid") && theirs == of(pid)
}

fn is_trusted(tree: &Tree, pid: u32, trusted: &Trusted<'_>, device: &str) -> bool {
    let cgroups = [CgroupVersion::V1, CgroupVersion::V2].map(|version| cgroup_of(tree, pid, version));
    cgroups.into_iter().flatten().any(|cgroup| trusted.has(&cgroup, device))
}

fn cgroup_of(tree: &Tree, pid: u32, version: CgroupVersion) -> Option<String> {
    let text = tree.text(&format!("/proc/{pid}/cgroup"))?.ok()?;
    let path = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let is_it = match version {
            CgroupVersion::V1 => controllers.split(',').any(|controller| controller == "devices"),
            CgroupVersion::V2 => controllers.is_empty(),
        };
        is_it.then(|| path.to_owned())
    };
    text.lines().find_map(path)
}

fn stranger(tree: &Tree, pid: u32, record: &Record, trusted: &Trusted<'_>) -> Option<Finding> {
    let program = tree.program_of(pid);
    if program.is_some_and(|program| DAEMONS.contains(&base(&program))) {
        return None;
    }
    let name = tree.text(&format!("/proc/{pid}/comm")).and_then(Result::ok).unwrap_or_default();
    let message = format!(
        "process {pid} (`{}`) has device `{}` open, which container `{}` of {} holds, and is of no container that does",
        name.trim(),
        record.device,
        record.container,
        record.engine.name()
    );
    let whose = format!("see by `cat /proc/{pid}/cgroup` whose it is");
    let help = match trusted.tenant(&record.device) {
        None => format!("{whose}, and end it; start GPU work in containers alone"),
        Some(tenant) => format!(
            "{whose}: a container of `{tenant}` may have it without a lease, as the policy trusts it, though the end of the audit has no \
             `start` of it; end any other, and start GPU work in containers alone"
        ),
    };
    Some(finding(Code::DeviceWithoutLease, message, help))
}
