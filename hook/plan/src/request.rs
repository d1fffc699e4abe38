//! What a container asks for, from the few things that may ask: Docker's own `--gpus` entry, the annotations
//! `gpupol.io/gpus` and `gpupol.io/grant`, and `NVIDIA_VISIBLE_DEVICES` when it names devices.
//!
//! A bare `all` from the environment is in every CUDA image, so it asks only where the entry says so. What a
//! container asks for is only ever narrowed by its grant, so nothing here needs to be trusted.

use std::collections::{BTreeMap, BTreeSet};

use crate::capability::Capability;
use crate::config::{Config, LinuxDevice};
use crate::entry::{Engine, Entry};
use crate::feature::Feature;
use crate::index::RequestIndices;
use crate::label;
use crate::majors::NVIDIA_MAJOR;
use crate::refusal::{Reason, Refusal};
use crate::requirement::{self, Requirement};

pub mod allocation;
pub mod cdi;
mod features;
mod slurm;

pub use slurm::by_slurm;

use allocation::Allocation;

/// Annotation: how many devices, or which.
pub const GPUS: &str = "gpupol.io/gpus";
/// Annotation: by which grant.
pub const GRANT: &str = "gpupol.io/grant";
/// Annotation: which features.
pub const FEATURES: &str = "gpupol.io/features";
/// NVIDIA's variable: which devices.
pub const VISIBLE_DEVICES: &str = "NVIDIA_VISIBLE_DEVICES";
/// NVIDIA's variable: which driver capabilities.
pub const DRIVER_CAPABILITIES: &str = "NVIDIA_DRIVER_CAPABILITIES";

/// More names than any host has devices are not a request but an attack.
pub const LIST_LIMIT: usize = 1024;

/// What a container that asks, asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which devices.
    pub devices: Devices,
    /// Which driver capabilities.
    pub capabilities: Capabilities,
    /// Which features.
    pub features: BTreeSet<Feature>,
    /// The grant that it names.
    pub grant: Option<String>,
    /// Whose the CDI devices are that it names; if there are any, they alone say which devices and which grant.
    pub tenant: Option<String>,
    /// What its image requires of host and devices.
    pub requirements: Vec<Requirement>,
}

/// Which devices a container asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Devices {
    /// As many as the grant gives by itself.
    Default,
    /// So many, at least one.
    Count(u32),
    /// Docker's `--gpus N` or `--gpus device=0,…`, which are the same bytes: these if they may be had, else as many.
    Indices(Vec<u32>),
    /// So many of each gpu-set.
    Lines(BTreeMap<String, u32>),
    /// Exactly these: NVML indices, UUIDs or PCI addresses.
    Named(Vec<String>),
    /// Exactly those that somebody else has allocated.
    Allocated(Allocation),
}

/// Which driver capabilities a container asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capabilities {
    /// Those.
    Named(BTreeSet<Capability>),
    /// All that the grant has.
    All,
}

/// What the container asks for; `None`: for nothing.
///
/// # Errors
///
/// [`Reason::BadRequest`] if it asks and cannot be understood, [`Reason::NotSupported`] if it asks through an
/// entry without `allocate` and nobody has allocated anything to it.
pub fn request(indices: RequestIndices, entry: &Entry, config: &Config) -> Result<Option<Request>, Refusal> {
    let (named, is_sandbox) = (cdi::named(config)?, is_sandbox(entry, config));
    match named {
        // The mark is whoever's who writes annotations; the devices are in its configuration.
        Some(_) if is_sandbox => return Err(bad("a pod's sandbox names CDI devices".to_owned())),
        Some(named) => return by_cdi(named, entry, config).map(Some),
        None if is_sandbox => return Ok(None),
        None => {}
    }
    if cdi::is_of_spec_form(config) {
        return Ok(None);
    }
    if allocation::is_elsewhere(entry) {
        return allocation::asked(entry, config);
    }
    let grant = gpupol_word(entry, config, GRANT, "GPUPOL_GRANT");
    let asked = match gpupol_word(entry, config, GPUS, "GPUPOL_GPUS") {
        Some(gpus) => annotation_devices(gpus)?,
        None => {
            let visible = visible_devices(indices, entry, config)?;
            visible.or(grant.map(|_| Devices::Default))
        }
    };
    if !entry.allocate && (asked.is_some() || has_gpu_node(config)) {
        return Err(not_allocating(entry));
    }
    let Some(devices) = asked else { return Ok(None) };
    let (capabilities, requirements) = (capabilities(config)?, requirement::requirements(config)?);
    let features = features::asked(entry, config)?;
    let grant = grant.map(str::to_owned);
    Ok(Some(Request { devices, capabilities, features, grant, tenant: None, requirements }))
}

/// A CDI device has the nodes and files of all driver capabilities of its grant, so these are what is asked for; what the
/// spec form gave has those that the container asked for.
fn by_cdi(named: cdi::Named<'_>, entry: &Entry, config: &Config) -> Result<Request, Refusal> {
    let devices = match named.devices {
        Devices::Default if !entry.allocate => return Err(not_allocating(entry)),
        Devices::Named(names) if allocation::is_elsewhere(entry) => {
            Devices::Allocated(Allocation { names, nodes: Vec::new() })
        }
        devices => devices,
    };
    let mut features = features::asked(entry, config)?;
    // What was allocated beside the devices, the spec form has given too: nothing else in the file says so any more.
    if allocation::is_elsewhere(entry) && cdi::is_of_spec_form(config) {
        features.extend(features::of_nodes(config));
    }
    let capabilities = if named.with_all_capabilities { Capabilities::All } else { capabilities(config)? };
    Ok(Request {
        devices,
        capabilities,
        features,
        grant: Some(named.grant.to_owned()),
        tenant: Some(named.tenant.to_owned()),
        requirements: requirement::requirements(config)?,
    })
}

fn not_allocating(entry: &Entry) -> Refusal {
    let engine = entry.engine.name();
    let message = format!(
        "the entry has no `allocate`, so nobody chooses devices: through an entry of {engine} set it, or name devices"
    );
    Refusal::new(Reason::NotSupported, message)
}

/// A label of the container: the annotation of that key, or the variable that stands for it under Docker.
#[must_use]
pub fn label<'c>(entry: &Entry, config: &'c Config, key: &str) -> Option<&'c str> {
    let variable = || (entry.engine == Engine::Docker).then(|| config.env(&label::variable(key))).flatten();
    config.annotations.get(key).map(String::as_str).or_else(variable)
}

/// A pod's sandbox (pause container) never asks by itself, whatever its image or pod says.
fn is_sandbox(entry: &Entry, config: &Config) -> bool {
    let key = match entry.engine {
        Engine::Containerd => "io.kubernetes.cri.container-type",
        Engine::Crio => "io.kubernetes.cri-o.ContainerType",
        _ => return false,
    };
    config.annotations.get(key).is_some_and(|kind| kind == "sandbox")
}

fn gpupol_word<'c>(entry: &Entry, config: &'c Config, key: &str, variable: &str) -> Option<&'c str> {
    let under_docker = || (entry.engine == Engine::Docker).then(|| config.env(variable)).flatten();
    config.annotations.get(key).map(String::as_str).or_else(under_docker).filter(|word| !word.is_empty())
}

/// Whether somebody allocated a GPU. A privileged container is given every node of the host, and nobody meant it. What is not of
/// NVIDIA's own number has one that its driver was given, but always this path.
fn has_gpu_node(config: &Config) -> bool {
    let is_gpu = |device: &LinuxDevice| {
        device.kind == "c" && (device.major == i64::from(NVIDIA_MAJOR) || device.is_of_gpu_path())
    };
    !config.allows_all_devices() && config.linux.devices.iter().any(is_gpu)
}

fn annotation_devices(text: &str) -> Result<Option<Devices>, Refusal> {
    let items = items(text, GPUS)?;
    match items.as_slice() {
        [] | ["none" | "void"] => Ok(None),
        ["all"] => Ok(Some(Devices::Default)),
        [count] if is_number(count) => match number(count, GPUS)? {
            0 => Ok(None),
            count => Ok(Some(Devices::Count(count))),
        },
        items if items.iter().all(|item| item.contains('=')) => Ok(Some(Devices::Lines(lines(items)?))),
        items => Ok(Some(Devices::Named(names(items, GPUS)?))),
    }
}

fn lines(items: &[&str]) -> Result<BTreeMap<String, u32>, Refusal> {
    let mut lines = BTreeMap::new();
    for item in items {
        let (gpu_set, count) = item.split_once('=').unwrap_or((item, ""));
        if lines.insert(gpu_set.trim().to_owned(), number(count.trim(), GPUS)?).is_some() {
            return Err(bad(format!("{GPUS} names gpu-set `{gpu_set}` twice")));
        }
    }
    Ok(lines)
}

fn visible_devices(
    indices: RequestIndices,
    entry: &Entry,
    config: &Config,
) -> Result<Option<Devices>, Refusal> {
    let Some(text) = config.env(VISIBLE_DEVICES).filter(|_| entry.allocate) else { return Ok(None) };
    let by_docker = config.has_docker_gpus();
    let items = items(text, VISIBLE_DEVICES)?;
    // As in NVIDIA's tools the first word of these in the list decides, whatever else is in it.
    match items.iter().find(|item| matches!(**item, "all" | "none" | "void")) {
        Some(&"all") => return Ok((by_docker || entry.ask_by_env).then_some(Devices::Default)),
        Some(_) => return Ok(None),
        None if items.is_empty() => return Ok(None),
        None => {}
    }
    if !items.iter().all(|item| is_number(item)) || indices == RequestIndices::Host {
        return Ok(Some(Devices::Named(names(&items, VISIBLE_DEVICES)?)));
    }
    let numbers = items.iter().map(|item| number(item, VISIBLE_DEVICES)).collect::<Result<Vec<u32>, _>>()?;
    Ok(Some(match indices {
        RequestIndices::Count => Devices::Count(distinct(&numbers)),
        _ if by_docker && numbers.iter().copied().eq((0u32..).take(numbers.len())) => {
            Devices::Indices(numbers)
        }
        _ => Devices::Named(numbers.iter().map(u32::to_string).collect()),
    }))
}

fn distinct(numbers: &[u32]) -> u32 {
    u32::try_from(numbers.iter().collect::<BTreeSet<_>>().len()).unwrap_or(u32::MAX)
}

fn capabilities(config: &Config) -> Result<Capabilities, Refusal> {
    let items = items(config.env(DRIVER_CAPABILITIES).unwrap_or_default(), DRIVER_CAPABILITIES)?;
    if items.is_empty() {
        return Ok(Capabilities::Named(Capability::DEFAULT.into()));
    }
    if items.contains(&"all") {
        return Ok(Capabilities::All);
    }
    let known = |name: &&str| {
        Capability::from_name(name).ok_or_else(|| {
            bad(format!("{DRIVER_CAPABILITIES} names `{name}`, which is no driver capability"))
        })
    };
    Ok(Capabilities::Named(items.iter().map(known).collect::<Result<_, _>>()?))
}

/// The items of a comma-separated list; spaces around them and empty ones do not count.
fn items<'t>(text: &'t str, origin: &str) -> Result<Vec<&'t str>, Refusal> {
    let items: Vec<&str> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    if items.len() > LIST_LIMIT {
        return Err(bad(format!("{origin} has {} items, more than {LIST_LIMIT}", items.len())));
    }
    Ok(items)
}

fn is_number(item: &str) -> bool {
    !item.is_empty() && item.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(item: &str, origin: &str) -> Result<u32, Refusal> {
    let parsed = if is_number(item) { item.parse().ok() } else { None };
    parsed.ok_or_else(|| bad(format!("{origin} has `{item}` where a number is expected")))
}

/// Checks that each item can be the name of a device, so that a misspelt word is told from a device not granted.
fn names(items: &[&str], origin: &str) -> Result<Vec<String>, Refusal> {
    let name = |item: &&str| {
        let shaped = is_number(item)
            || item.starts_with("GPU-")
            || item.starts_with("MIG-")
            || item.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
        if !shaped {
            let known = "a number, GPU-…, MIG-…, a PCI address, all or none";
            return Err(bad(format!("{origin} has `{item}`, which is not {known}")));
        }
        Ok((*item).to_owned())
    };
    items.iter().map(name).collect()
}

fn bad(message: String) -> Refusal {
    Refusal::new(Reason::BadRequest, message)
}
