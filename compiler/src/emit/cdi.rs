//! The plans of a host as one specification of the Container Device Interface (CDI), for engines that know no gpupol.
//!
//! A device of it is one device of one tenant's grant, `TENANT.GRANT.INDEX`; a group of devices that its
//! place allows, `TENANT.GRANT.INDEX-INDEX`; or `TENANT.GRANT.any`: as many as the grant gives by itself. A specification says nothing of who may name a device, of how many together, or of who holds one, so each
//! device calls the hook, which does; what every device has stands once, for the whole specification.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::edit::{Bind, Edit};
use gpupol_plan::plan::{self, Line, Plan, Sharing};
use gpupol_plan::request::VISIBLE_DEVICES;
use gpupol_plan::request::cdi::{ANY, FLAG, PROGRAM};
use serde::{Deserialize, Serialize};

use super::mps;

mod edits;

/// The lowest version that knows `hostPath` of device nodes, and names of devices that begin with a digit.
const VERSION: &str = "0.5.0";
/// The lowest version that knows groups.
const VERSION_WITH_GROUPS: &str = "0.7.0";
/// More names for groups of devices than anybody looks through.
const MOST_GROUPS: usize = 64;
/// What qualified names of devices begin with: `gpupol.io/gpu=NAME`.
pub const KIND: &str = "gpupol.io/gpu";

/// A specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Specification {
    /// The version of the form.
    pub cdi_version: String,
    /// `VENDOR/CLASS`.
    pub kind: String,
    /// What a container gets that names any of the devices.
    pub container_edits: ContainerEdits,
    /// The devices, by name.
    pub devices: Vec<Device>,
}

/// A device that a container may name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// What a container gets that names it.
    pub container_edits: ContainerEdits,
}

/// Changes of a container's `config.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerEdits {
    /// `NAME=VALUE`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Device nodes, each with its rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_nodes: Vec<DeviceNode>,
    /// Programs that the runtime calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// Binds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Groups of the container's process besides its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_gids: Vec<u32>,
}

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceNode {
    /// Where it appears.
    pub path: String,
    /// The host's node.
    pub host_path: String,
    /// Always `c`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub file_mode: u32,
    /// Access in the device rule.
    pub permissions: String,
}

/// A bind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// Source on the host.
    pub host_path: String,
    /// Where it appears.
    pub container_path: String,
    /// Options of the mount.
    pub options: Vec<String>,
}

/// A program that the runtime calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    /// At which stage.
    pub hook_name: String,
    /// Absolute path of the program.
    pub path: String,
    /// Its arguments, its name first.
    pub args: Vec<String>,
}

/// Who sees to it that only those have a device who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guarding {
    /// The hook, which finishes what a specification cannot say.
    Hook {
        /// Absolute path of the program.
        path: String,
        /// The entry through which the containers come.
        entry: String,
    },
    /// Nobody; then nobody finishes it either.
    Nobody {
        /// Directory of libraries in all the containers.
        libraries: String,
    },
}

impl Specification {
    /// The specification of a host's plans. The same plans give the same one.
    #[must_use]
    pub fn of(plans: &[Plan], guarding: &Guarding) -> Self {
        let mut devices: Vec<Device> = plans.iter().flat_map(|plan| of_plan(plan, guarding)).collect();
        devices.sort_by(|one, other| one.name.cmp(&other.name));
        let mut container_edits = edits::take_common(&mut devices, plans);
        // NVIDIA's own stack would else add what the image's environment asks for.
        let void = format!("{VISIBLE_DEVICES}=void");
        devices.iter_mut().for_each(|device| device.container_edits.env.retain(|line| *line != void));
        container_edits.env.push(void);
        let has_groups = devices.iter().any(|device| !device.container_edits.additional_gids.is_empty());
        let version = if has_groups { VERSION_WITH_GROUPS } else { VERSION };
        Self { cdi_version: version.to_owned(), kind: KIND.to_owned(), container_edits, devices }
    }

    /// Its document.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "plain structs with string keys: there is nothing in them that JSON lacks"
    )]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data has a JSON form") + "\n"
    }
}

/// Each device of a plan, and any of them. Whom the policy trusts gets all devices at once, so there is nothing else to name.
fn of_plan(plan: &Plan, guarding: &Guarding) -> Vec<Device> {
    // Only the hook sees to it that an MPS daemon is there, without which a container has the GPU for itself.
    let is_guarded = matches!(guarding, Guarding::Hook { .. });
    let can_be_given = |line: &&Line| is_guarded || !matches!(line.sharing, Sharing::Mps { .. });
    let lines: Vec<&Line> = plan.lines.iter().filter(can_be_given).collect();
    if lines.iter().all(|line| line.devices.is_empty()) {
        return Vec::new();
    }
    let each = lines.iter().flat_map(|line| &line.devices);
    let mut seen = BTreeSet::new();
    let each: Vec<&plan::Device> = each.filter(|device| seen.insert(&device.uuid)).collect();
    let any = any(plan, &lines, &each, guarding);
    let named = each.into_iter().map(|one| vec![one]).chain(lines.into_iter().flat_map(groups));
    let named: BTreeMap<String, Vec<&plan::Device>> = match plan.trusted {
        true => BTreeMap::new(),
        false => named.map(|devices| (indices(&devices), devices)).collect(),
    };
    let named = named.into_iter().map(|(indices, devices)| {
        let uuids: Vec<&str> = devices.iter().map(|device| device.uuid.as_str()).collect();
        device(plan, &indices, &uuids, edits::of(plan, &devices, guarding), guarding)
    });
    named.chain(any).collect()
}

/// The groups of several devices that a line's place allows, if these are few enough to be looked through; of more, and
/// where any devices will do, the devices are named one by one.
fn groups(line: &Line) -> Vec<Vec<&plan::Device>> {
    let Some(slots) = line.slots.as_ref().filter(|slots| slots.len() <= MOST_GROUPS) else {
        return Vec::new();
    };
    let at = |position: &u32| line.devices.get(usize::try_from(*position).ok()?);
    let devices = |slot: &Vec<u32>| slot.iter().map(at).collect::<Option<Vec<_>>>();
    slots.iter().filter(|slot| slot.len() > 1).filter_map(devices).collect()
}

fn indices(devices: &[&plan::Device]) -> String {
    let mut devices = devices.to_vec();
    devices.sort_by_key(|device| index_numbers(&device.index));
    devices.iter().map(|device| device.index.as_str()).collect::<Vec<_>>().join("-")
}

/// So that 10 stands behind 9.
fn index_numbers(index: &str) -> Vec<u32> {
    index.split(':').map(|part| part.parse().unwrap_or(u32::MAX)).collect()
}

/// What the hook chooses has no node before it is chosen; what all of a vendor need is known.
fn any(plan: &Plan, lines: &[&Line], each: &[&plan::Device], guarding: &Guarding) -> Option<Device> {
    let wanted = match guarding {
        _ if plan.trusted => edits::of(plan, each, guarding),
        Guarding::Nobody { .. } => return None,
        Guarding::Hook { .. } if lines.iter().all(|line| line.default == 0) => return None,
        Guarding::Hook { .. } => {
            let vendors: BTreeSet<_> = each.iter().map(|device| device.gpu.vendor()).collect();
            let only = vendors.iter().next().filter(|_| vendors.len() == 1);
            edits::of_edits(
                only.and_then(|vendor| plan.edits.get(vendor)).into_iter().flatten(),
                plan,
                guarding,
            )
        }
    };
    Some(device(plan, ANY, &[ANY], wanted, guarding))
}

/// Each of the devices that a name stands for is asked of the hook by a call of its own; it reads all of them together.
fn device(
    plan: &Plan,
    last: &str,
    called: &[&str],
    mut wanted: ContainerEdits,
    guarding: &Guarding,
) -> Device {
    let Plan { tenant, grant, .. } = plan;
    if let Guarding::Hook { path, entry } = guarding {
        let call = |stage: &str, more: &[String]| {
            let args = [PROGRAM, stage, "--entry", entry].map(str::to_owned);
            Hook { hook_name: stage.to_owned(), path: path.clone(), args: [&args, more].concat() }
        };
        let start = |one: &&str| call("createRuntime", &[FLAG.to_owned(), format!("{tenant}/{grant}/{one}")]);
        wanted.hooks = called.iter().map(start).chain([call("poststop", &[])]).collect();
    }
    Device { name: name(&[tenant, grant, last]), container_edits: wanted }
}

/// Parts with dots between them. A dot of theirs becomes a colon, which they never have, so no two names are the same.
fn name(parts: &[&str; 3]) -> String {
    parts.map(|part| part.replace('.', ":")).join(".")
}

/// Whether somebody who knows just the specification could do this: all else is the hook's. Runtimes refuse mounts below
/// `/proc`, where a plan's binds lie on a tmpfs anyway, and that an MPS daemon listens is asked by the hook alone.
fn is_known(edit: &Edit, guarding: &Guarding) -> bool {
    let is_hooks = |bind: &Bind| matches!(guarding, Guarding::Hook { .. }) && mps::is_of_daemon(bind);
    match edit {
        Edit::DeviceNode(_) | Edit::Env(_) | Edit::Gid(_) => true,
        Edit::Bind(bind) => !bind.optional && !bind.container_path.starts_with("/proc/") && !is_hooks(bind),
        Edit::Tmpfs(_) | Edit::File(_) => false,
    }
}
