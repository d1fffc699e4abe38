//! A policy on one host: which devices each tenant has by each grant, in which order, and in which combinations.
//!
//! A pure function of the policy and the topology. Denies are subtracted here, so that nothing after this stage has
//! to know of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diag::Sink;
use gpupol_plan::capability::Capability;

use crate::policy::{self, Policy};
use crate::source::Spanned;
use crate::topology::{Gpu, MigDevice, Topology, Vendor};

mod alike;
mod check;
mod coexist;
mod deny;
mod diags;
mod everywhere;
mod fabric;
mod features;
mod guarantee;
mod host;
mod judge;
mod judged;
mod layout;
mod memory;
mod mps;
mod out_of_service;
mod place;
mod positions;
mod prepared;
mod require;
mod select;
mod shadow;

pub use everywhere::Everywhere;
pub use features::{FeatureParts, GrantedFeature};
pub use memory::{Enforcer, Memory};
pub(crate) use positions::Positions;
pub use prepared::Prepared;
pub use require::{Found, Unmet};
pub use shadow::Denials;

/// Everything that the policy gives on one host.
#[derive(Clone, Debug)]
pub struct Resolution<'a> {
    /// One for each tenant of each grant: by tenant, then by the grant's name.
    pub grants: Vec<Grant<'a>>,
    /// One for each deny, by its name.
    pub denies: Vec<Reach<'a>>,
    /// By their names, the gpu-sets that the policy uses and of which the host has anything.
    pub extents: BTreeMap<&'a str, Extent>,
}

/// What a gpu-set has on one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// In its widest sense, as a deny reads it: GPUs whatever their MIG mode, and all their MIG devices.
    pub widest: BTreeSet<Key>,
    /// What of that a grant could give: whole GPUs with MIG off, or MIG devices.
    pub grantable: BTreeSet<Key>,
}

/// What leaves a device out of a gpu-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut<'a> {
    /// This selector does not choose it.
    Selector(&'a Spanned<policy::Selector>),
    /// The gpu-set that is excepted here has it.
    Except(&'a Spanned<String>),
    /// As many before it are of the set as this `first` says.
    First(&'a Spanned<u32>),
}

/// What a deny takes away on one host: whole GPUs, with all their MIG devices.
#[derive(Clone, Debug)]
pub struct Reach<'a> {
    /// The deny as the policy says it.
    pub rule: &'a policy::Deny,
    /// The GPUs by their NVML index.
    pub gpus: BTreeMap<u32, &'a Gpu>,
}

/// What one tenant has by one grant.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The grant as the policy says it.
    pub rule: &'a policy::Grant,
    /// One for each `gpus` line, in its order.
    pub lines: Vec<Line<'a>>,
    /// The ceiling of driver capabilities that denies leave, the same on all hosts; without any there are no devices.
    pub capabilities: Arc<BTreeSet<Capability>>,
    /// The features that denies leave, ascending.
    pub features: Vec<GrantedFeature<'a>>,
    /// UUIDs of those of its devices that guarantees keep for the tenant.
    pub reserved: BTreeSet<&'a str>,
    /// The vendors whose drivers are not as the grant requires, so that it gives none of their GPUs, each with what is not so.
    pub unmet: BTreeMap<Vendor, Unmet<'a>>,
}

/// What one `gpus` line comes to.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// The line as the policy says it.
    pub rule: &'a policy::Line,
    /// In which order free devices are taken.
    pub order: Order,
    /// The devices, best first.
    pub devices: Vec<Device<'a>>,
    /// Positions in `devices` that satisfy the line's `place`; `None`: any devices do.
    pub slots: Option<Vec<Vec<u32>>>,
    /// What bounds the use of each device's memory, if something does.
    pub memory: Option<Memory>,
    /// What the line has and the tenant does not get, by index.
    pub withheld: Vec<Withheld<'a>>,
}

/// A device that a line has and a tenant does not get.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Withheld<'a> {
    /// The device.
    pub device: Device<'a>,
    /// Why.
    pub by: By<'a>,
}

/// What withholds a device from a tenant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum By<'a> {
    /// A deny that names the tenant.
    Deny(&'a policy::Deny),
    /// It is kept for another tenant.
    Guarantee(Keeping<'a>),
}

/// For whom a device is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keeping<'a> {
    /// The tenant.
    pub tenant: &'a policy::Tenant,
    /// Its guarantee.
    pub rule: &'a policy::Guarantee,
}

/// In which order free devices are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// As ranked.
    Ranked,
    /// The least used first.
    LeastLeased,
}

/// A device: a GPU, or a MIG device of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Device<'a> {
    /// The GPU, or the MIG device's parent.
    pub gpu: &'a Gpu,
    /// The GPU's minor number, known.
    pub minor: u32,
    /// Its PCI address, known.
    pub pci: &'a str,
    /// Absent: the whole GPU.
    pub mig: Option<&'a MigDevice>,
}

/// Where a device stands on its host: the GPU's NVML index, and the MIG index.
pub type Key = (u32, Option<u32>);

impl<'a> Device<'a> {
    /// `GPU-…` or `MIG-…`.
    #[must_use]
    pub fn uuid(&self) -> &'a str {
        self.mig.map_or(self.gpu.uuid.as_str(), |mig| mig.uuid.as_str())
    }

    /// What a number in `NVIDIA_VISIBLE_DEVICES` names: the NVML index, or `0:1` for MIG device 1 of GPU 0.
    #[must_use]
    pub fn index(&self) -> String {
        match self.mig {
            Some(mig) => format!("{}:{}", self.gpu.index, mig.index),
            None => self.gpu.index.to_string(),
        }
    }

    /// Where it stands on its host.
    #[must_use]
    pub fn key(&self) -> Key {
        (self.gpu.index, self.mig.map(|mig| mig.index))
    }
}

impl<'a> Resolution<'a> {
    /// The grants of a tenant.
    #[must_use]
    pub fn of(&self, tenant: &str) -> &[Grant<'a>] {
        let first = self.grants.partition_point(|grant| grant.tenant < tenant);
        let rest = self.grants.get(first..).unwrap_or_default();
        let own = rest.partition_point(|grant| grant.tenant == tenant);
        rest.get(..own).unwrap_or_default()
    }

    /// The first word of a gpu-set that leaves a device of this host out of it; nothing if it has the device, or the device
    /// is of a kind of which it has none. The resolution is of that host.
    #[must_use]
    pub fn left_out<'p>(
        &self,
        set: &'p policy::GpuSet,
        topology: &Topology,
        key: &Key,
    ) -> Option<LeftOut<'p>> {
        select::left_out(set, topology, &self.extents, key)
    }
}

impl<'a> Grant<'a> {
    /// Every device of every line.
    pub fn devices(&self) -> impl Iterator<Item = Device<'a>> {
        self.lines.iter().flat_map(|line| line.devices.iter().copied())
    }
}

/// Resolves a policy without errors on one host. `name` is what the user calls the topology. On several hosts it is quicker
/// to prepare the policy once.
pub fn resolve<'a>(
    policy: &'a Policy,
    topology: &'a Topology,
    name: &str,
    sink: &mut Sink,
) -> Resolution<'a> {
    Prepared::of(policy).on(topology, name, sink)
}
