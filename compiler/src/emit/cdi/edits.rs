//! Edits of plans in CDI's words.

use std::collections::BTreeSet;

use gpupol_plan::choose::{Choice, Given};
use gpupol_plan::edit::{Edit, MountOption};
use gpupol_plan::plan::{self, Plan};
use gpupol_plan::spec::is_below_a_tmpfs;

use super::{ContainerEdits, Device, DeviceNode, Guarding, Mount, is_known};

/// What a container gets with these devices of a plan, and with all driver capabilities of its grant.
pub(super) fn of(plan: &Plan, devices: &[&plan::Device], guarding: &Guarding) -> ContainerEdits {
    let line = |device: &plan::Device| plan.lines.iter().find(|line| line.devices.contains(device));
    let given = devices.iter().filter_map(|device| Some(Given { line: line(device)?, device }));
    let choice =
        Choice { given: given.collect(), capabilities: plan.capabilities.clone(), features: Vec::new() };
    of_edits(choice.edits(plan).into_iter().map(|(_, edit)| edit), plan, guarding)
}

/// Those of the edits that CDI can express.
pub(super) fn of_edits<'p>(
    edits: impl Iterator<Item = &'p Edit>,
    plan: &Plan,
    guarding: &Guarding,
) -> ContainerEdits {
    let mut wanted = ContainerEdits::default();
    let edits: Vec<&Edit> = edits.filter(|edit| edit.applies(&plan.capabilities)).collect();
    for edit in edits.iter().filter(|edit| is_known(edit, guarding) && !is_below_a_tmpfs(edit, &edits)) {
        match edit {
            Edit::DeviceNode(node) => wanted.device_nodes.push(DeviceNode {
                path: node.container_path.clone(),
                host_path: node.host_path.clone(),
                kind: "c".to_owned(),
                major: node.major,
                minor: node.minor,
                file_mode: node.file_mode,
                permissions: node.permissions.clone(),
            }),
            Edit::Bind(bind) => {
                let mount = |container_path| Mount {
                    host_path: bind.host_path.clone(),
                    container_path,
                    options: options(&bind.options),
                };
                wanted.mounts.extend(place(&bind.container_path, guarding).map(mount));
            }
            Edit::Env(env) => wanted.env.push(format!("{}={}", env.name, env.value)),
            Edit::Gid(gid) => wanted.additional_gids.push(gid.gid),
            Edit::Tmpfs(_) | Edit::File(_) => {}
        }
    }
    wanted.mounts.sort();
    wanted
}

/// Where a file appears. Which directory of libraries a container has, only the hook can see; without it one is named
/// for all.
fn place(path: &str, guarding: &Guarding) -> Option<String> {
    if path.starts_with('/') {
        return Some(path.to_owned());
    }
    let Guarding::Nobody { libraries } = guarding else { return None };
    let below = path.strip_prefix("{libdir}")?;
    Some(format!("{}{below}", libraries.trim_end_matches('/')))
}

fn options(options: &BTreeSet<MountOption>) -> Vec<String> {
    ["bind"].into_iter().chain(options.iter().map(|option| option.name())).map(str::to_owned).collect()
}

/// Takes out of all devices what each of them has. What is a device's own in some plan stays, even if every name stands for
/// that device: CDI knows none without edits.
pub(super) fn take_common(devices: &mut [Device], plans: &[Plan]) -> ContainerEdits {
    let all = plans.iter().flat_map(|plan| &plan.lines).flat_map(|line| &line.devices);
    let own: BTreeSet<&str> = all.flat_map(|device| &device.edits).filter_map(Edit::container_path).collect();
    let shared = |node: &DeviceNode| !own.contains(node.path.as_str());
    let device_nodes = common(devices, |edits| &mut edits.device_nodes, shared);
    let mounts =
        common(devices, |edits| &mut edits.mounts, |mount| !own.contains(mount.container_path.as_str()));
    ContainerEdits { device_nodes, mounts, ..ContainerEdits::default() }
}

fn common<T: Clone + Ord>(
    devices: &mut [Device],
    of: impl Fn(&mut ContainerEdits) -> &mut Vec<T>,
    may_be: impl Fn(&T) -> bool,
) -> Vec<T> {
    let Some((first, others)) = devices.split_first_mut() else { return Vec::new() };
    let mut shared = of(&mut first.container_edits).clone();
    shared.retain(may_be);
    for other in others {
        let its: BTreeSet<T> = of(&mut other.container_edits).iter().cloned().collect();
        shared.retain(|edit| its.contains(edit));
    }
    let taken: BTreeSet<T> = shared.iter().cloned().collect();
    for device in devices {
        of(&mut device.container_edits).retain(|edit| !taken.contains(edit));
    }
    shared
}
