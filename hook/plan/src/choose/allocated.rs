//! The devices of a plan that somebody else has allocated: exactly those, or a refusal that names what the grant does not cover.

use std::collections::BTreeSet;

use super::{Leases, Picked, by_names, is_named};
use crate::edit::Edit;
use crate::guard::Number;
use crate::majors::{DRM_MAJOR, NVIDIA_MAJOR};
use crate::plan::{Device, GpuCheck, Plan};
use crate::refusal::{Reason, Refusal, excerpt};
use crate::request::allocation::Allocation;

/// Where the nodes of MIG devices lie.
const CAPS: &str = "/dev/nvidia-caps/";

/// Finds the devices. Whoever is trusted holds no lease and has no bound, and still gets no more than was allocated.
pub(super) fn pick(plan: &Plan, allocation: &Allocation, leases: &Leases) -> Result<Picked, Refusal> {
    let uuids = uuids(plan, allocation)?;
    if !plan.trusted {
        return by_names(plan, &uuids, leases);
    }
    let mut picked = Picked::default();
    for uuid in &uuids {
        let place = places(plan).find(|(.., device)| device.uuid == *uuid);
        if let Some((line, at, _)) = place {
            picked.0.entry(line).or_default().insert(at);
        }
    }
    Ok(picked)
}

fn uuids(plan: &Plan, allocation: &Allocation) -> Result<Vec<String>, Refusal> {
    let of_nodes = by_nodes(plan, allocation)?;
    let of_names: Vec<&str> =
        allocation.names.iter().map(|name| by_name(plan, name)).collect::<Result<_, _>>()?;
    if of_nodes.is_empty() {
        return Ok(of_names.into_iter().map(str::to_owned).collect());
    }
    match of_names.iter().zip(&allocation.names).find(|(uuid, _)| !of_nodes.contains(**uuid)) {
        None => Ok(of_nodes.into_iter().map(str::to_owned).collect()),
        Some((_, name)) => {
            let name = excerpt(name);
            let message = format!("device `{name}` is said to be allocated, and its nodes are not there");
            Err(Refusal::new(Reason::BadRequest, message))
        }
    }
}

fn by_name<'p>(plan: &'p Plan, name: &str) -> Result<&'p str, Refusal> {
    let found = places(plan).find(|(.., device)| is_named(device, name));
    found
        .map(|(.., device)| device.uuid.as_str())
        .ok_or_else(|| not_granted(plan, &format!("device `{}` was allocated, and it", excerpt(name))))
}

/// The devices all of whose nodes are there; every node must be one of theirs.
fn by_nodes<'p>(plan: &'p Plan, allocation: &Allocation) -> Result<BTreeSet<&'p str>, Refusal> {
    let there: BTreeSet<Number> = allocation.nodes.iter().map(|node| node.number).collect();
    let is_there = |device: &Device| {
        let own = own_numbers(device);
        !own.is_empty() && own.is_subset(&there)
    };
    let found: Vec<&Device> =
        places(plan).map(|(.., device)| device).filter(|device| is_there(device)).collect();
    let theirs: BTreeSet<Number> = found.iter().flat_map(|device| numbers(device)).collect();
    match allocation.nodes.iter().find(|node| !theirs.contains(&node.number)) {
        None => Ok(found.iter().map(|device| device.uuid.as_str()).collect()),
        Some(node) => {
            let ((major, minor), path) = (node.number, excerpt(&node.path));
            let what = format!("device node `{path}` ({major}:{minor}) was allocated, and its device");
            Err(not_granted(plan, &what))
        }
    }
}

fn not_granted(plan: &Plan, what: &str) -> Refusal {
    let message = format!("{what} is not among those of grant `{}` on this host", plan.grant);
    Refusal::new(Reason::DeviceNotGranted, message)
}

/// Every device, with the positions of its line and of itself there.
fn places(plan: &Plan) -> impl Iterator<Item = (usize, usize, &Device)> {
    plan.lines.iter().enumerate().flat_map(|(position, line)| {
        line.devices.iter().enumerate().map(move |(at, device)| (position, at, device))
    })
}

/// The numbers that only this device has: a MIG device shares its parent's node with others.
fn own_numbers(device: &Device) -> BTreeSet<Number> {
    match (&device.gpu, &device.mig) {
        (GpuCheck::Nvidia { minor, .. }, None) => [(NVIDIA_MAJOR, *minor)].into(),
        (GpuCheck::Amd { minor, .. }, _) => [(DRM_MAJOR, *minor)].into(),
        (GpuCheck::Nvidia { .. }, Some(_)) => {
            let cap = |edit: &Edit| match edit {
                Edit::DeviceNode(node) if node.container_path.starts_with(CAPS) => {
                    Some((node.major, node.minor))
                }
                _ => None,
            };
            device.edits.iter().filter_map(cap).collect()
        }
    }
}

fn numbers(device: &Device) -> Vec<Number> {
    crate::guard::given(&device.edits.iter().collect::<Vec<_>>())
}
