//! What somebody else has allocated to a container: under Kubernetes the kubelet, a device plugin or a DRA driver choose
//! the devices, and gpupol is the ceiling.
//!
//! It is read where they write it: GPU nodes in `linux.devices` (kubelet's device specs, and what the engine made of CDI),
//! mounts below `/run/nvidia-container-devices` (the device plugin's `volume-mounts`), and `NVIDIA_VISIBLE_DEVICES` (its `envvar`) only where
//! the entry trusts that, as every image and pod can set it. None of it needs to be trusted beyond that: it says which
//! devices, and the grant still says whether. Nodes of features count beside a device: what is not granted is refused, and what is
//! comes back where the spec form takes the nodes out.

use std::collections::BTreeSet;

use super::{
    Devices, GPUS, GRANT, LIST_LIMIT, Request, VISIBLE_DEVICES, annotation_devices, bad, capabilities, cdi,
    features, gpupol_word, is_sandbox, items, names,
};
use crate::config::{Config, LinuxDevice, Mount};
use crate::entry::{Entry, Form};
use crate::feature::Feature;
use crate::guard::Number;
use crate::majors::{DRM_MAJOR, NVIDIA_MAJOR};
use crate::refusal::{Reason, Refusal, excerpt};
use crate::requirement;

/// Below it the device plugin mounts `/dev/null` at the name of each device; in a container `/var/run` is `/run` as often as not.
const DIRECTORY: &str = "/run/nvidia-container-devices/";
/// What the device plugin writes into the variable when it allocates by such mounts.
const BY_MOUNTS: &str = "/var/run/nvidia-container-devices";
/// What it mounts there.
const MARK: &str = "/dev/null";
/// Minor numbers of NVIDIA's major from here on are of nodes that all GPUs share (`nvidia-modeset`, `nvidiactl`).
const SHARED_MINORS: u32 = 254;
/// Minor numbers of DRM from here on are of render nodes, by which AMD's GPUs are known.
const RENDER_MINORS: u32 = 128;

/// The devices that somebody else has chosen. Both ways of saying so must agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allocation {
    /// By name: NVML indices, UUIDs or PCI addresses.
    pub names: Vec<String>,
    /// By the nodes in `linux.devices` that belong to single devices.
    pub nodes: Vec<Node>,
}

/// A node of an allocated device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it appears in the container.
    pub path: String,
    /// Its number, which is what it opens.
    pub number: Number,
}

/// Whether somebody else allocates the devices of the containers that come in through an entry, and says so where this
/// module reads it.
#[must_use]
pub fn is_elsewhere(entry: &Entry) -> bool {
    !entry.allocate && entry.engine.is_kubernetes()
}

/// Whether an allocation has put nodes into a configuration, where they stay unless somebody takes them out.
#[must_use]
pub fn has_nodes(entry: &Entry, config: &Config) -> bool {
    // What the spec form or a CDI device of ours has put there is none.
    let is_ours = cdi::is_of_spec_form(config) || cdi::is_named(config);
    is_elsewhere(entry) && !is_ours && !is_sandbox(entry, config) && !nodes(config).is_empty()
}

/// Whether a configuration has devices that stay there whatever is decided, so that a container which is refused cannot start
/// without them: those of CDI, and those that were allocated where nobody edits the file any more.
#[must_use]
pub fn keeps_devices(entry: &Entry, config: &Config) -> bool {
    cdi::is_named(config) || (entry.form == Form::Hook && has_nodes(entry, config))
}

/// What others allocated alone decides which devices; a pod's annotation may still say by which grant. That annotation asks for
/// nothing by itself, as it is on all containers of the pod, of which only some have devices.
pub(super) fn asked(entry: &Entry, config: &Config) -> Result<Option<Request>, Refusal> {
    let Some((allocation, mut features)) = read(entry, config)? else {
        let asked = gpupol_word(entry, config, GPUS, "GPUPOL_GPUS").map(annotation_devices).transpose()?;
        return if asked.flatten().is_some() { Err(not_allocated()) } else { Ok(None) };
    };
    features.extend(features::asked(entry, config)?);
    exactly(allocation, features, entry, config).map(Some)
}

/// A request for just these devices.
pub(super) fn exactly(
    allocation: Allocation,
    features: BTreeSet<Feature>,
    entry: &Entry,
    config: &Config,
) -> Result<Request, Refusal> {
    Ok(Request {
        devices: Devices::Allocated(allocation),
        capabilities: capabilities(config)?,
        features,
        grant: gpupol_word(entry, config, GRANT, "GPUPOL_GRANT").map(str::to_owned),
        tenant: None,
        requirements: requirement::requirements(config)?,
    })
}

/// The allocation, and the features that it brings; `None`: nothing was allocated.
fn read(entry: &Entry, config: &Config) -> Result<Option<(Allocation, BTreeSet<Feature>)>, Refusal> {
    let mut features = features::of_nodes(config);
    let mut named = by_mounts(config, &mut features)?;
    if named.is_empty() && entry.allocation_by_env {
        named = by_variable(config)?;
    }
    let allocation = Allocation { names: named, nodes: nodes(config) };
    let count = allocation.names.len().saturating_add(allocation.nodes.len());
    if count > LIST_LIMIT {
        return Err(bad(format!("{count} devices are allocated, more than {LIST_LIMIT}")));
    }
    Ok((allocation != Allocation::default()).then_some((allocation, features)))
}

/// Whether a mount says that a device is allocated, and gives nothing by itself.
#[must_use]
pub fn is_mark(mount: &Mount) -> bool {
    mount.source == MARK && marked(mount).is_some()
}

/// The nodes of single devices. A privileged container has every node of the host, and nobody meant it.
fn nodes(config: &Config) -> Vec<Node> {
    if config.allows_all_devices() {
        return Vec::new();
    }
    let devices = &config.linux.devices;
    let beside_kfd = devices.iter().any(|device| device.path == "/dev/kfd");
    devices.iter().filter_map(|device| node(device, beside_kfd)).collect()
}

fn node(device: &LinuxDevice, beside_kfd: bool) -> Option<Node> {
    let number @ (major, minor) = device.number()?;
    let is_device = (major == NVIDIA_MAJOR && minor < SHARED_MINORS)
        || device.path.starts_with("/dev/nvidia-caps/")
        || (beside_kfd && major == DRM_MAJOR && minor >= RENDER_MINORS);
    (device.is_character() && is_device).then(|| Node { path: device.path.clone(), number })
}

fn marked(mount: &Mount) -> Option<&str> {
    let below = mount.destination.strip_prefix("/var").unwrap_or(&mount.destination);
    below.strip_prefix(DIRECTORY).map(|name| name.trim_matches('/')).filter(|name| !name.is_empty())
}

fn by_mounts(config: &Config, features: &mut BTreeSet<Feature>) -> Result<Vec<String>, Refusal> {
    let mut named = Vec::new();
    for name in config.mounts.iter().filter(|mount| is_mark(mount)).filter_map(marked) {
        match Feature::from_name(name) {
            Some(channel @ Feature::Imex(Some(_))) => {
                features.insert(channel);
            }
            _ => named.push(device(name)?),
        }
    }
    Ok(named)
}

/// The device of a name below [`DIRECTORY`]: itself, or `cdi/VENDOR/gpu/ID` and `cdi/VENDOR/gpu=ID` of one of NVIDIA's kinds of CDI.
fn device(name: &str) -> Result<String, Refusal> {
    let by_cdi = name.strip_prefix("cdi/").map(|name| {
        let (vendor, device) = name.split_once('/')?;
        let is_nvidias = vendor == "nvidia.com" || vendor.ends_with(".nvidia.com");
        let device = device.strip_prefix("gpu").or_else(|| device.strip_prefix("mig"))?;
        device.strip_prefix(['/', '=']).filter(|_| is_nvidias)
    });
    let origin = "a mount below /var/run/nvidia-container-devices";
    match by_cdi {
        None if name != "all" => Ok(names(&[name], origin)?.concat()),
        Some(Some(device)) if device != "all" => Ok(names(&[device], origin)?.concat()),
        _ => Err(bad(format!("{origin} names `{}`, which is not one device", excerpt(name)))),
    }
}

/// Images have `all` in the variable, and the device plugin never writes it: it allocates nothing.
fn by_variable(config: &Config) -> Result<Vec<String>, Refusal> {
    let text = config.env(VISIBLE_DEVICES).unwrap_or_default();
    let items = items(text, VISIBLE_DEVICES)?;
    if text == BY_MOUNTS || items.iter().any(|item| matches!(*item, "all" | "none" | "void")) {
        return Ok(Vec::new());
    }
    names(&items, VISIBLE_DEVICES)
}

fn not_allocated() -> Refusal {
    let message = format!(
        "{GPUS} asks for devices, and through this entry Kubernetes allocates them: ask for a resource of its device \
         plugin, or set the entry's `allocate`"
    );
    Refusal::new(Reason::NotSupported, message)
}
