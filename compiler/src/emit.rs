//! The plan set of one host: what `gpupol-hook` reads.
//!
//! Nothing can go wrong here: whatever could, had a place in the policy and was found by an earlier stage.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::edit::Edit;
use gpupol_plan::feature::Feature;
use gpupol_plan::index::{self, Contents, INDEX_VERSION, Slice};
use gpupol_plan::majors::{DRM_MAJOR, NVIDIA_MAJOR};
use gpupol_plan::plan::{self, GpuCheck, MigCheck, PLAN_VERSION, Plan, Rule};
use serde::Serialize;

use crate::policy::{self, Policy};
use crate::resolve::{Device, Enforcer, Grant, Line, Memory, Order, Resolution};
use crate::source::{Source, Sources, Span};
use crate::topology::{Gpu, Topology, Vendor};

pub mod cdi;
mod device_nodes;
pub(crate) mod digest;
mod driver_files;
mod features;
pub(crate) mod identities;
pub mod mig_parted;
pub mod mps;
mod offer;
mod procfs;
mod profile;
mod shared;
pub mod slurm;
pub mod systemd;

pub(crate) use offer::offer;
use shared::Parts;

/// The files of a plan set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSet {
    /// The file `index`, which [`index::Index`] reads.
    pub index: Vec<u8>,
    /// The file `plans`: the parts of each [`Plan`], where the index says.
    pub plans: Vec<u8>,
    /// How many plans.
    pub count: usize,
    /// Major numbers that the guard minds on that host, which the hook asks the kernel for: in no file.
    pub majors: BTreeSet<u32>,
    /// SHA-256 of both files, 64 hexadecimal digits.
    pub digest: String,
}

/// What the plans say of where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// SHA-256 of the policy's files, `sha256:HEX`.
    pub policy: String,
    /// SHA-256 of the topology's document, `sha256:HEX`.
    pub topology: String,
}

impl Digests {
    /// The digests of a policy's files and of the bytes of a topology's document.
    #[must_use]
    pub fn of<'s>(policy: impl Iterator<Item = &'s Source>, topology: &[u8]) -> Self {
        Self { policy: digest::sources(policy), topology: digest::bytes(topology) }
    }
}

/// Writes the plan set of a resolution.
#[must_use]
pub fn emit(
    policy: &Policy,
    sources: &Sources,
    resolution: &Resolution,
    topology: &Topology,
    digests: &Digests,
) -> PlanSet {
    let mut plans = Plans::default();
    let mut records = Vec::new();
    let mut parts = Parts::of(topology);
    for grant in in_order(resolution) {
        let shared = parts.part(grant, &mut plans);
        let own = plans.add(&own_part(grant, shared.needs_spec, policy, sources, topology, digests));
        records.push(record(grant, own, shared.slice));
    }
    let index = index::write(&contents(policy, records), &policy.automaton);
    let digest = digest::plan_set(&index, &plans.bytes);
    PlanSet { index, plans: plans.bytes, count: resolution.grants.len(), majors: guarded(topology), digest }
}

/// The plans of a resolution, in the order of the index.
#[must_use]
pub fn plans(
    policy: &Policy,
    sources: &Sources,
    resolution: &Resolution,
    topology: &Topology,
    digests: &Digests,
) -> Vec<Plan> {
    let parts = Parts::of(topology);
    let plan = |grant| {
        let (shared, needs_spec) = parts.shared(grant);
        own_part(grant, needs_spec, policy, sources, topology, digests).with(shared)
    };
    in_order(resolution).into_iter().map(plan).collect()
}

/// The file `plans` so far.
#[derive(Default)]
struct Plans {
    bytes: Vec<u8>,
}

impl Plans {
    fn add<T: Serialize>(&mut self, part: &T) -> Slice {
        let bytes = json(part);
        let slice = Slice { offset: length(&self.bytes), length: length(&bytes) };
        self.bytes.extend(bytes);
        slice
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::expect_used,
    reason = "plain structs with string keys: there is nothing in them that JSON lacks"
)]
fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data has a JSON form")
}

/// As the index has them: by tenant, then higher rank first, then by name.
fn in_order<'r, 'a>(resolution: &'r Resolution<'a>) -> Vec<&'r Grant<'a>> {
    let mut grants: Vec<&Grant> = resolution.grants.iter().collect();
    grants.sort_by(|a, b| {
        let rank = b.rule.rank.cmp(&a.rule.rank);
        a.tenant.cmp(b.tenant).then(rank).then_with(|| a.rule.name.value.cmp(&b.rule.name.value))
    });
    grants
}

fn contents(policy: &Policy, grants: Vec<index::Grant>) -> Contents {
    Contents {
        index_version: INDEX_VERSION,
        on_denied: identities::on_denied(policy.settings.on_denied),
        request_indices: identities::request_indices(policy.settings.request_indices),
        on_bypass: identities::on_bypass(policy.settings.on_bypass.value),
        audit: identities::auditing(policy.settings.audit),
        tenants: policy.tenants.values().map(identities::tenant).collect(),
        grants,
    }
}

fn record(grant: &Grant, plan: Slice, shared: Slice) -> index::Grant {
    let rule = grant.rule;
    index::Grant {
        tenant: grant.tenant.to_owned(),
        name: rule.name.value.clone(),
        rank: rule.rank,
        named: rule.named,
        when: rule.when.iter().map(|clause| identities::clause(&clause.value)).collect(),
        plan,
        shared,
    }
}

/// A plan without what it has alike with others.
fn own_part(
    grant: &Grant,
    needs_spec: bool,
    policy: &Policy,
    sources: &Sources,
    topology: &Topology,
    digests: &Digests,
) -> Plan {
    let driver = topology.driver(Vendor::Nvidia);
    let features = features::granted(grant, sources);
    let of_features = features.iter().flat_map(|granted| &granted.edits).any(Edit::needs_spec);
    Plan {
        plan_version: PLAN_VERSION,
        tenant: grant.tenant.to_owned(),
        grant: grant.rule.name.value.clone(),
        rule: rule(grant.rule.name.span, grant.rule, sources),
        policy_digest: digests.policy.clone(),
        topology_digest: digests.topology.clone(),
        host: plan::Host {
            boot_id: topology.boot_id.known().cloned(),
            driver_version: driver.version.known().cloned(),
            cuda_version: driver.cuda.known().cloned(),
        },
        limit: policy.tenants.get(grant.tenant).and_then(|tenant| Some(tenant.limit.as_ref()?.value)),
        trusted: policy.is_trusted(grant.tenant),
        reserved: grant.reserved.iter().map(|uuid| (*uuid).to_owned()).collect(),
        needs_spec: needs_spec || of_features,
        capabilities: (*grant.capabilities).clone(),
        capabilities_rule: rule(grant.rule.capabilities_span, grant.rule, sources),
        lines: grant.lines.iter().map(|line| self::line(line, grant, sources)).collect(),
        edits: BTreeMap::new(),
        features,
    }
}

/// What stands at `span` in a grant.
fn rule(span: Span, grant: &policy::Grant, sources: &Sources) -> Rule {
    let source = sources.get(span.source);
    let line = source.map_or(0, |source| source.position(span.start()).0);
    Rule {
        file: source.map(|source| source.place.clone()).unwrap_or_default(),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        name: format!("grant {}", grant.name.value),
    }
}

fn line(line: &Line, grant: &Grant, sources: &Sources) -> plan::Line {
    let order = match line.order {
        Order::Ranked => plan::Order::Ranked,
        Order::LeastLeased => plan::Order::LeastLeased,
    };
    let count = line.devices.len();
    let default = line.rule.default.of(count);
    plan::Line {
        gpu_set: line.rule.gpu_set.value.clone(),
        rule: rule(line.rule.span, grant.rule, sources),
        at_most: line.rule.at_most.of(count).max(default),
        default,
        sharing: identities::sharing(&line.rule.sharing.value),
        memory: line.memory.map(memory),
        order,
        devices: Vec::new(),
        slots: line.slots.clone(),
    }
}

fn memory(bound: Memory) -> plan::Memory {
    let enforced_by = match bound.enforced_by {
        Enforcer::Mig => plan::Enforcer::Mig,
        Enforcer::MpsDaemon => plan::Enforcer::MpsDaemon,
    };
    plan::Memory { bytes: bound.bytes, enforced_by }
}

fn device(device: &Device, line: &Line, grant: &Grant) -> plan::Device {
    let gpu = device.gpu;
    let own = device_nodes::of(device).into_iter().chain(procfs::of(device));
    let own = own.filter(|edit| edit.applies(&grant.capabilities));
    let through_mps =
        line.rule.sharing.value.is_mps().then(|| mps::edits(&grant.rule.name.value, device.uuid()));
    let edits = own.chain(through_mps.into_iter().flatten());
    plan::Device {
        uuid: device.uuid().to_owned(),
        index: device.index(),
        pci: device.pci.to_owned(),
        compute_capability: gpu.compute_capability.known().cloned(),
        brand: gpu.brand.known().cloned(),
        gpu: check(device),
        mig: device.mig.map(|mig| MigCheck { gi: mig.gi, ci: mig.ci, instances: instances(gpu) }),
        edits: edits.collect(),
    }
}

/// The drivers that the topology names or has a node of. A network adapter's are not among them: they are no GPU's. DRM's is there
/// on every host that shows anything.
fn guarded(topology: &Topology) -> BTreeSet<u32> {
    let of_gpus = |(feature, _): &(&Feature, _)| **feature != Feature::GpudirectRdma;
    let features = topology.features.iter().filter(of_gpus).filter_map(|(_, nodes)| nodes.known()).flatten();
    let nodes = features.map(|node| node.major);
    nodes.chain(topology.majors.values().copied()).chain([NVIDIA_MAJOR, DRM_MAJOR]).collect()
}

fn instances(gpu: &Gpu) -> BTreeSet<[u32; 2]> {
    gpu.mig_devices.iter().map(|mig| [mig.gi, mig.ci]).collect()
}

/// What the hook makes sure of. A GPU of any other vendor never gets here: nothing would know how to ask for it.
fn check(device: &Device) -> GpuCheck {
    let gpu = device.gpu;
    match gpu.vendor {
        Vendor::Amd => GpuCheck::Amd { minor: device.minor, partition: gpu.partition_number() },
        Vendor::Nvidia | Vendor::Intel => GpuCheck::Nvidia { uuid: gpu.uuid.clone(), minor: device.minor },
    }
}
