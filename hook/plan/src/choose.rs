//! Which devices of a plan a container gets: those that it names, or the first free ones in the plan's order.

use std::collections::{BTreeMap, BTreeSet};

use crate::capability::Capability;
use crate::config::Config;
use crate::edit::Edit;
use crate::entry::Entry;
use crate::plan::{Device, GpuCheck, GrantedFeature, Line, Order, Plan, Rule, Sharing};
use crate::refusal::{Reason, Refusal};
use crate::request::{Capabilities, Devices, Request, allocation};
use crate::requirement;
use crate::vendor::Vendor;

mod allocated;
mod features;

/// How devices are held: by UUID, every live lease of other containers. Those of all devices of the host if the plan
/// has a limit, else those of the plan's devices.
pub type Leases = BTreeMap<String, Vec<Lease>>;

/// A live lease of another container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose container it is; `None`: nobody knows, so it counts for every tenant.
    pub tenant: Option<String>,
    /// By which grant; `None`: nobody knows.
    pub grant: Option<String>,
    /// How the device is shared while it stands.
    pub sharing: Sharing,
}

/// What a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'p> {
    /// Its devices, by line and then rank.
    pub given: Vec<Given<'p>>,
    /// Its driver capabilities.
    pub capabilities: BTreeSet<Capability>,
    /// Its features, ascending.
    pub features: Vec<&'p GrantedFeature>,
}

/// One device that a container gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given<'p> {
    /// By which line.
    pub line: &'p Line,
    /// Which.
    pub device: &'p Device,
}

impl<'p> Choice<'p> {
    /// A number with a bit for the minor of each of NVIDIA's GPUs; a minor above 63 has none.
    #[must_use]
    pub fn visible_gpus(&self) -> u64 {
        let bit = |given: &Given| match given.device.gpu {
            GpuCheck::Nvidia { minor, .. } => 1u64.checked_shl(minor).unwrap_or(0),
            GpuCheck::Amd { .. } => 0,
        };
        self.given.iter().map(bit).fold(0, |all, bit| all | bit)
    }

    /// The edits of the plan that apply, each with the rule behind it, in order: the common ones of each vendor that a
    /// device is of, each device's, then each feature's; what two of them share, such as the node of a parent GPU, once.
    #[must_use]
    pub fn edits(&self, plan: &'p Plan) -> Vec<(&'p Rule, &'p Edit)> {
        self.edits_of(plan, &self.capabilities, &self.features)
    }

    /// What of a configuration is no way around the plan: the edits; beside an allocation all that the grant could give with
    /// these devices, for who allocates by CDI gives the nodes and files of all driver capabilities and asks nobody.
    #[must_use]
    pub fn covered(&self, plan: &'p Plan, entry: &Entry, config: &Config) -> Vec<&'p Edit> {
        let features: Vec<&GrantedFeature> = plan.features.iter().collect();
        let edits = if allocation::has_nodes(entry, config) {
            self.edits_of(plan, &plan.capabilities, &features)
        } else {
            self.edits(plan)
        };
        edits.into_iter().map(|(_, edit)| edit).collect()
    }

    fn edits_of(
        &self,
        plan: &'p Plan,
        capabilities: &BTreeSet<Capability>,
        features: &[&'p GrantedFeature],
    ) -> Vec<(&'p Rule, &'p Edit)> {
        let is_given = |vendor: &Vendor| self.given.iter().any(|given| given.device.gpu.vendor() == *vendor);
        let common = plan.edits.iter().filter(|(vendor, _)| is_given(vendor));
        let common = common.map(|(_, edits)| (&plan.capabilities_rule, edits));
        let of_devices = self.given.iter().map(|given| (&given.line.rule, &given.device.edits));
        let of_features = features.iter().map(|granted| (&granted.rule, &granted.edits));
        let mut targets = BTreeSet::new();
        common
            .chain(of_devices)
            .chain(of_features)
            .flat_map(|(rule, edits)| edits.iter().map(move |edit| (rule, edit)))
            .filter(|(_, edit)| edit.applies(capabilities) && targets.insert(edit.target()))
            .collect()
    }
}

/// Chooses devices for a request.
///
/// # Errors
///
/// A refusal if the request goes beyond the plan, or if what it needs is not free. A request is never clamped.
pub fn choose<'p>(plan: &'p Plan, request: &Request, leases: &Leases) -> Result<Choice<'p>, Refusal> {
    let capabilities = capabilities(plan, &request.capabilities)?;
    let features = features::choose(plan, &request.features)?;
    let picked = match &request.devices {
        Devices::Allocated(allocation) => allocated::pick(plan, allocation, leases)?,
        _ if plan.trusted => Picked::all(plan)?,
        Devices::Default => by_counts(plan, &defaults(plan)?, leases)?,
        Devices::Count(count) => by_counts(plan, &spread_count(plan, *count)?, leases)?,
        Devices::Lines(lines) => by_counts(plan, &line_counts(plan, lines)?, leases)?,
        Devices::Named(names) => by_names(plan, names, leases)?,
        Devices::Indices(indices) => {
            let names: Vec<String> = indices.iter().map(u32::to_string).collect();
            let count = u32::try_from(indices.len()).unwrap_or(u32::MAX);
            match by_names(plan, &names, leases) {
                Ok(picked) => picked,
                Err(_) => by_counts(plan, &spread_count(plan, count)?, leases)?,
            }
        }
    };
    let given: Vec<Given<'p>> = picked.given(plan);
    within_limit(plan, given.len(), leases)?;
    requirement::check(&request.requirements, plan, &given)?;
    Ok(Choice { given, capabilities, features })
}

/// Whether a device that is held like this may be leased once more: leases stand together only if all are
/// time-slicing, or all of one tenant's grant through its MPS daemon; then the smallest bound counts.
#[must_use]
pub fn admits(wanted: &Lease, held: &[Lease]) -> bool {
    let beside = |other: &Lease| match (&wanted.sharing, &other.sharing) {
        (Sharing::TimeSlicing { .. }, Sharing::TimeSlicing { .. }) => true,
        (Sharing::Mps { .. }, Sharing::Mps { .. }) => {
            wanted.tenant == other.tenant && wanted.grant == other.grant
        }
        _ => false,
    };
    let most = held.iter().chain([wanted]).map(|lease| lease.sharing.replicas()).min().unwrap_or(0);
    held.iter().all(beside) && u32::try_from(held.len()).is_ok_and(|held| held < most)
}

/// A GPU, a MIG device and one share of either count 1 each.
fn within_limit(plan: &Plan, wanted: usize, leases: &Leases) -> Result<(), Refusal> {
    let Some(limit) = plan.limit else { return Ok(()) };
    let own = |lease: &&Lease| lease.tenant.as_ref().is_none_or(|tenant| *tenant == plan.tenant);
    let held = leases.values().flatten().filter(own).count();
    if usize::try_from(limit).is_ok_and(|limit| held.saturating_add(wanted) <= limit) {
        return Ok(());
    }
    let tenant = &plan.tenant;
    let message =
        format!("tenant `{tenant}` holds {held} of its limit of {limit}, and {wanted} are asked for");
    Err(Refusal::new(Reason::Limit, message))
}

fn capabilities(plan: &Plan, asked: &Capabilities) -> Result<BTreeSet<Capability>, Refusal> {
    let in_force: BTreeSet<Capability> = match asked {
        Capabilities::All => plan.capabilities.clone(),
        Capabilities::Named(asked) => asked.intersection(&plan.capabilities).copied().collect(),
    };
    if in_force.is_empty() {
        let ceiling = names(&plan.capabilities);
        let asked = match asked {
            Capabilities::All => "all".to_owned(),
            Capabilities::Named(asked) => names(asked),
        };
        let message =
            format!("none of the capabilities {asked} is among those of grant `{}`: {ceiling}", plan.grant);
        return Err(Refusal::new(Reason::NoCapability, message));
    }
    Ok(in_force)
}

fn names(capabilities: &BTreeSet<Capability>) -> String {
    let names: Vec<&str> = capabilities.iter().map(|capability| capability.name()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Positions of the chosen devices, by position of their line.
#[derive(Default)]
struct Picked(BTreeMap<usize, BTreeSet<usize>>);

impl Picked {
    /// Every device of every line, by the first that has it.
    fn all(plan: &Plan) -> Result<Self, Refusal> {
        let mut seen = BTreeSet::new();
        let mut of_line = |(position, line): (usize, &'_ Line)| {
            let devices = line.devices.iter().enumerate();
            let new = devices.filter(|(_, device)| seen.insert(device.uuid.clone()));
            (position, new.map(|(at, _)| at).collect())
        };
        if plan.lines.iter().all(|line| line.devices.is_empty()) {
            let message = format!("grant `{}` has no device on this host", plan.grant);
            return Err(Refusal::new(Reason::NoFreeDevice, message));
        }
        Ok(Self(plan.lines.iter().enumerate().map(&mut of_line).collect()))
    }

    fn given<'p>(&self, plan: &'p Plan) -> Vec<Given<'p>> {
        let of_line = |(line, devices): (&usize, &BTreeSet<usize>)| {
            let line = plan.lines.get(*line);
            let given = move |device: &usize| {
                let line = line?;
                Some(Given { line, device: line.devices.get(*device)? })
            };
            devices.iter().filter_map(given).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_line).collect()
    }

    fn has(&self, plan: &Plan, uuid: &str) -> bool {
        self.given(plan).iter().any(|given| given.device.uuid == uuid)
    }
}

fn defaults(plan: &Plan) -> Result<Vec<u32>, Refusal> {
    let counts: Vec<u32> = plan.lines.iter().map(|line| line.default).collect();
    if counts.iter().all(|count| *count == 0) {
        let message = format!("grant `{}` gives devices only to those who name them", plan.grant);
        return Err(Refusal::new(Reason::NothingCountable, message));
    }
    Ok(counts)
}

/// Fills the countable lines in order.
fn spread_count(plan: &Plan, count: u32) -> Result<Vec<u32>, Refusal> {
    defaults(plan)?;
    let mut left = count;
    let mut counts = Vec::with_capacity(plan.lines.len());
    for line in &plan.lines {
        let of_line = if line.default == 0 { 0 } else { left.min(line.at_most) };
        left -= of_line;
        counts.push(of_line);
    }
    if left > 0 {
        return Err(too_many(plan, count, count - left, None));
    }
    Ok(counts)
}

fn line_counts(plan: &Plan, asked: &BTreeMap<String, u32>) -> Result<Vec<u32>, Refusal> {
    if let Some(unknown) = asked.keys().find(|name| !plan.lines.iter().any(|line| line.gpu_set == **name)) {
        let message = format!("grant `{}` has no gpu-set `{unknown}`", plan.grant);
        return Err(Refusal::new(Reason::DeviceNotGranted, message));
    }
    let mut left = asked.clone();
    let mut counts = Vec::with_capacity(plan.lines.len());
    for line in &plan.lines {
        let wanted = left.get_mut(&line.gpu_set);
        let of_line = wanted.as_deref().copied().unwrap_or(0).min(line.at_most);
        if let Some(wanted) = wanted {
            *wanted -= of_line;
        }
        counts.push(of_line);
    }
    if let Some((gpu_set, beyond)) = left.iter().find(|(_, left)| **left > 0) {
        let count = asked.get(gpu_set).copied().unwrap_or(*beyond);
        return Err(too_many(plan, count, count - beyond, Some(gpu_set)));
    }
    if counts.iter().all(|count| *count == 0) {
        return Err(Refusal::new(Reason::BadRequest, "the request names amounts, and all of them are 0"));
    }
    Ok(counts)
}

fn too_many(plan: &Plan, asked: u32, at_most: u32, gpu_set: Option<&str>) -> Refusal {
    let of = gpu_set.map(|name| format!(" of gpu-set `{name}`")).unwrap_or_default();
    let message = format!("asks for {asked} devices{of}, and grant `{}` gives at most {at_most}", plan.grant);
    Refusal::new(Reason::TooMany, message)
}

fn by_counts(plan: &Plan, counts: &[u32], leases: &Leases) -> Result<Picked, Refusal> {
    let mut picked = Picked::default();
    for ((position, line), count) in plan.lines.iter().enumerate().zip(counts) {
        let free = free(plan, line, &picked, leases);
        let devices = pick(line, &free, *count, leases).ok_or_else(|| no_free(line, free.len(), *count))?;
        picked.0.insert(position, devices);
    }
    Ok(picked)
}

fn free(plan: &Plan, line: &Line, picked: &Picked, leases: &Leases) -> Vec<usize> {
    let wanted = Lease::wanted(plan, line);
    let is_free = |device: &Device| wanted.fits(device, leases) && !picked.has(plan, &device.uuid);
    let devices = line.devices.iter().enumerate();
    devices.filter(|(_, device)| is_free(device)).map(|(position, _)| position).collect()
}

impl Lease {
    /// What a container of this plan would hold.
    fn wanted(plan: &Plan, line: &Line) -> Self {
        let (tenant, grant) = (Some(plan.tenant.clone()), Some(plan.grant.clone()));
        Self { tenant, grant, sharing: line.sharing.clone() }
    }

    fn fits(&self, device: &Device, leases: &Leases) -> bool {
        admits(self, leases.get(&device.uuid).map(Vec::as_slice).unwrap_or_default())
    }
}

fn pick(line: &Line, free: &[usize], count: u32, leases: &Leases) -> Option<BTreeSet<usize>> {
    let count = usize::try_from(count).ok()?;
    if count == 0 {
        return Some(BTreeSet::new());
    }
    if let Some(slots) = &line.slots {
        let slot = slots.iter().filter(|slot| slot.len() == count).map(|slot| positions(slot));
        return slot.into_iter().find(|slot| slot.iter().all(|position| free.contains(position)));
    }
    let mut order = free.to_vec();
    if line.order == Order::LeastLeased {
        let held = |device: &Device| leases.get(&device.uuid).map_or(0, Vec::len);
        order.sort_by_key(|position| line.devices.get(*position).map_or(usize::MAX, held));
    }
    (order.len() >= count).then(|| order.into_iter().take(count).collect())
}

fn positions(slot: &[u32]) -> BTreeSet<usize> {
    slot.iter().map(|position| usize::try_from(*position).unwrap_or(usize::MAX)).collect()
}

fn no_free(line: &Line, free: usize, wanted: u32) -> Refusal {
    let all = line.devices.len();
    let set = &line.gpu_set;
    let enough = u32::try_from(free).unwrap_or(u32::MAX) >= wanted;
    let message = if all == 0 {
        format!("gpu-set `{set}` gives this grant no device on this host")
    } else if enough {
        format!(
            "no {wanted} free devices of gpu-set `{set}` satisfy the grant's place ({free} of {all} are free)"
        )
    } else {
        format!("{free} of the {all} devices of gpu-set `{set}` are free, and {wanted} are needed")
    };
    Refusal::new(Reason::NoFreeDevice, message)
}

fn by_names(plan: &Plan, names: &[String], leases: &Leases) -> Result<Picked, Refusal> {
    let mut picked = Picked::default();
    for name in names {
        place_named(plan, name, leases, &mut picked)?;
    }
    for (position, devices) in &picked.0 {
        let Some(line) = plan.lines.get(*position) else { continue };
        let satisfied = |slots: &Vec<Vec<u32>>| slots.iter().any(|slot| positions(slot) == *devices);
        if !line.slots.as_ref().is_none_or(satisfied) {
            let message =
                format!("the named devices of gpu-set `{}` do not satisfy the grant's place", line.gpu_set);
            return Err(Refusal::new(Reason::Placement, message));
        }
    }
    Ok(picked)
}

/// Puts a named device into the first line that has it and room for it.
fn place_named(plan: &Plan, name: &str, leases: &Leases, picked: &mut Picked) -> Result<(), Refusal> {
    let mut why = Refusal::new(
        Reason::DeviceNotGranted,
        format!("device `{name}` is not among those of grant `{}` on this host", plan.grant),
    );
    for (position, line) in plan.lines.iter().enumerate() {
        let Some((at, device)) = line.devices.iter().enumerate().find(|(_, device)| is_named(device, name))
        else {
            continue;
        };
        if picked.has(plan, &device.uuid) {
            return Ok(());
        }
        // A line that gives nothing is not there: nobody asks for its place.
        let count = picked.0.get(&position).map_or(0, BTreeSet::len);
        if u32::try_from(count).is_ok_and(|count| count >= line.at_most) {
            why = too_many(plan, line.at_most.saturating_add(1), line.at_most, Some(&line.gpu_set));
        } else if Lease::wanted(plan, line).fits(device, leases) {
            picked.0.entry(position).or_default().insert(at);
            return Ok(());
        } else {
            why = Refusal::new(Reason::NoFreeDevice, format!("device `{name}` ({}) is in use", device.uuid));
        }
    }
    Err(why)
}

fn is_named(device: &Device, name: &str) -> bool {
    names_device(name, &device.index, &device.uuid, device.is_whole().then_some(device.pci.as_str()))
}

/// Whether a name in a request means the device of that index and UUID; a whole GPU also has a PCI address.
#[must_use]
pub fn names_device(name: &str, index: &str, uuid: &str, pci: Option<&str>) -> bool {
    let same_pci = |pci| canonical_pci(name).is_some_and(|name| canonical_pci(pci) == Some(name));
    index == name || uuid.eq_ignore_ascii_case(name) || pci.is_some_and(same_pci)
}

/// `[domain:]bus:device[.function]` as numbers; an absent domain or function is 0. Bus and device have two digits:
/// `0:1` is a MIG device.
fn canonical_pci(text: &str) -> Option<(u32, u32, u32, u32)> {
    let (rest, function) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = rest.rsplit(':');
    let (device, bus) = (parts.next()?, parts.next()?);
    let domain = parts.next().unwrap_or("0");
    if bus.len() != 2 || device.len() != 2 {
        return None;
    }
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
    match parts.next() {
        Some(_) => None,
        None => Some((hex(domain)?, hex(bus)?, hex(device)?, hex(function)?)),
    }
}
