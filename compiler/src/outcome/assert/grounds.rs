//! What an assert that holds rests on: who reaches which devices of what it is about, and by which grants.

use std::cell::Cell;
use std::collections::BTreeSet;

use crate::policy::{Assert, Claim, Level, Policy};
use crate::resolve::{Device, Grant, Resolution};
use crate::source::Spanned;

/// What a tenant, or somebody trusted, reaches by one grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The tenant.
    pub tenant: String,
    /// Whether it is trusted; then the assert is not about it.
    pub trusted: bool,
    /// The grant.
    pub grant: String,
    /// Its devices, each once, as `NVIDIA_VISIBLE_DEVICES` would number them, ascending.
    pub devices: Vec<String>,
    /// The driver capabilities that it gives at most.
    pub capabilities: Vec<&'static str>,
}

/// What asserts rest on on one host.
pub struct Grounds<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// What it gives there.
    pub resolution: &'a Resolution<'a>,
    /// So many devices are still named; a device counts for each grant that gives it to a tenant.
    pub left: &'a Cell<usize>,
}

impl Grounds<'_> {
    /// So many devices of all asserts of a check are named: more is not read.
    pub const MOST_NAMED: usize = 1 << 18;

    /// Everything that an assert rests on, the trusted last. A tenant that is not among them reaches nothing. Nothing from where
    /// more devices would be named than are, and of all asserts after that.
    #[must_use]
    pub fn of(&self, assert: &Assert) -> (Vec<Ground>, bool) {
        let grounds = match &assert.claim {
            _ if self.is_spent() => Vec::new(),
            Claim::Isolated { tenants, level } => self.isolated(tenants, *level),
            Claim::Only { gpu_set, .. } => self.only(gpu_set),
            Claim::Never { tenants, .. } => self.of_all(tenants, &|_| true),
            Claim::AlwaysSatisfiable { grant } => {
                let own = self.resolution.grants.iter().filter(|own| own.rule.name.value == grant.value);
                own.map_while(|own| self.ground(own, &|_| true)).flatten().collect()
            }
        };
        (grounds, !self.is_spent())
    }

    fn is_spent(&self) -> bool {
        self.left.get() == 0
    }
}

impl Grounds<'_> {
    fn isolated(&self, tenants: &[Spanned<String>], level: Level) -> Vec<Ground> {
        let place = |device: &Device| match level {
            Level::Device => device.uuid().to_owned(),
            Level::Gpu => device.pci.to_owned(),
        };
        let grants = tenants.iter().flat_map(|tenant| self.resolution.of(&tenant.value));
        let about: BTreeSet<String> = grants.flat_map(Grant::devices).map(|device| place(&device)).collect();
        let mut grounds = self.of_all(tenants, &|_| true);
        grounds.extend(self.of_trusted(&|device| about.contains(&place(device))));
        grounds
    }

    /// Whoever reaches anything of the gpu-set, and what of it.
    fn only(&self, gpu_set: &Spanned<String>) -> Vec<Ground> {
        let Some(extent) = self.resolution.extents.get(gpu_set.value.as_str()) else { return Vec::new() };
        let within = |device: &Device| extent.widest.contains(&device.key());
        let tenants = self.policy.tenants.values().filter(|tenant| tenant.trust.is_none());
        let names: Vec<Spanned<String>> = tenants.map(|tenant| tenant.name.clone()).collect();
        let mut grounds = self.of_all(&names, &within);
        grounds.extend(self.of_trusted(&within));
        grounds
    }

    fn of_trusted(&self, within: &dyn Fn(&Device) -> bool) -> Vec<Ground> {
        let trusted = self.policy.tenants.values().filter(|tenant| tenant.trust.is_some());
        let names: Vec<Spanned<String>> = trusted.map(|tenant| tenant.name.clone()).collect();
        self.of_all(&names, within)
    }

    fn of_all(&self, tenants: &[Spanned<String>], within: &dyn Fn(&Device) -> bool) -> Vec<Ground> {
        let grants = tenants.iter().flat_map(|tenant| self.resolution.of(&tenant.value));
        grants.map_while(|grant| self.ground(grant, within)).flatten().collect()
    }

    /// What a grant gives of these devices, if it gives any; nothing if no more devices are named.
    fn ground(&self, grant: &Grant, within: &dyn Fn(&Device) -> bool) -> Option<Option<Ground>> {
        let mut devices: Vec<Device> = grant.devices().filter(within).collect();
        devices.sort_by_key(Device::key);
        devices.dedup_by_key(|device| device.key());
        let left = self.left.get().saturating_sub(devices.len());
        self.left.set(left);
        if left == 0 {
            return None;
        }
        Some((!devices.is_empty()).then(|| Ground {
            tenant: grant.tenant.to_owned(),
            trusted: self.policy.is_trusted(grant.tenant),
            grant: grant.rule.name.value.clone(),
            devices: devices.iter().map(Device::index).collect(),
            capabilities: grant.capabilities.iter().map(|capability| capability.name()).collect(),
        }))
    }
}
