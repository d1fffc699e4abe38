//! What denies leave of a grant. All that take the same are named, since without one of them the others still do.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::capability::Capability;

use super::fate::Said;
use super::reach::index;
use super::{Case, Decided};
use crate::policy::{Deny, Policy, rights};
use crate::resolve::{Grant, Key, Reach, Resolution};
use crate::topology::Gpu;

/// So many denies of one device are named; what bars a tenant is told whole elsewhere.
const NAMED: usize = 8;

/// The denies by the tenants that they name, and what was said of them: the same for however many grants.
pub(super) struct Denying<'a> {
    of_rights: rights::Denied<'a>,
    of_devices: BTreeMap<&'a str, Vec<&'a Reach<'a>>>,
    /// By tenant and capabilities.
    bare: BTreeMap<(&'a str, &'a BTreeSet<Capability>), Said>,
    /// By tenant and device.
    taken: BTreeMap<(&'a str, Key), Said>,
}

impl<'a> Denying<'a> {
    pub(super) fn of(policy: &'a Policy, resolution: &'a Resolution<'a>) -> Self {
        let mut of_devices: BTreeMap<&str, Vec<&Reach>> = BTreeMap::new();
        for reach in &resolution.denies {
            for tenant in &reach.rule.to {
                of_devices.entry(&tenant.value).or_default().push(reach);
            }
        }
        let of_rights = rights::Denied::of(&policy.denies);
        Self { of_rights, of_devices, bare: BTreeMap::new(), taken: BTreeMap::new() }
    }
}

impl<'a> Case<'a> {
    /// Of a device that denies take from a tenant.
    pub(super) fn denied(&self, tenant: &'a str, (gpu, key): (&Gpu, Key), denying: &mut Denying<'a>) -> Said {
        let Denying { of_devices, taken, .. } = denying;
        let verdict = || {
            let own = of_devices.get(tenant).into_iter().flatten();
            let by: Vec<&Deny> =
                own.filter(|reach| reach.gpus.contains_key(&gpu.index)).map(|reach| reach.rule).collect();
            let (named, more) = by.split_at(by.len().min(NAMED));
            let mut why: Vec<String> = named.iter().map(|deny| self.takes(deny, key)).collect();
            if !more.is_empty() {
                why.push(format!("{} more denies take it", more.len()));
            }
            (Decided::Denied, why.join("; "), named.iter().map(|deny| self.deny(deny)).collect()).into()
        };
        taken.entry((tenant, key)).or_insert_with(verdict).clone()
    }

    /// By which of its gpu-sets a deny takes a device: by one that has it, else by one that has another part of its GPU.
    fn takes(&self, deny: &Deny, key: Key) -> String {
        let name = &deny.name.value;
        let extents = deny.gpu_sets.iter().filter_map(|set| {
            let extent = self.resolution.extents.get(set.value.as_str())?;
            Some((set.value.as_str(), &extent.widest))
        });
        if let Some((set, _)) = extents.clone().find(|(_, widest)| widest.contains(&key)) {
            return format!("deny `{name}` takes gpu-set `{set}` away");
        }
        let part = |widest: &BTreeSet<Key>| widest.iter().find(|other| other.0 == key.0).copied();
        match extents.clone().find_map(|(set, widest)| Some((set, part(widest)?))) {
            Some((set, part)) => {
                let part = index(part);
                format!("deny `{name}` takes gpu-set `{set}` away, and with {part} all of GPU {}", key.0)
            }
            None => format!("deny `{name}` takes it away"),
        }
    }

    /// Of a grant of which denies leave no driver capability.
    pub(super) fn nothing_allowed(&self, grant: &'a Grant<'a>, denying: &mut Denying<'a>) -> Said {
        let Denying { of_rights, bare, .. } = denying;
        let capabilities = &grant.rule.capabilities;
        let verdict = || {
            let takes = |deny: &&&Deny| !deny.capabilities.is_disjoint(capabilities);
            let by = of_rights.of_tenant(grant.tenant).iter().filter(takes);
            let names: Vec<String> = by.clone().map(|deny| format!("`{}`", deny.name.value)).collect();
            let why = format!("denies leave no driver capability of the grant: {}", names.join(", "));
            (Decided::NoCapability, why, by.map(|deny| self.deny(deny)).collect()).into()
        };
        bare.entry((grant.tenant, capabilities)).or_insert_with(verdict).clone()
    }
}
