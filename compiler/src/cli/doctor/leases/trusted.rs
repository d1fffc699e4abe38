//! Containers of those whom a policy trusts: they have devices without leases, so only the audit tells which they are.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::plan::Plan;
use serde::Deserialize;

use crate::cli::doctor::tree::Tree;

/// Ids of engines are longer; a shorter one could be a part of any path.
const SHORTEST: usize = 12;

/// Who has which devices without a lease.
pub(super) struct Trusted<'p> {
    /// Of each tenant that is trusted, the devices.
    tenants: BTreeMap<&'p str, BTreeSet<&'p str>>,
    /// Of each of their containers, the devices, as far back as the audit was read.
    containers: BTreeMap<String, BTreeSet<String>>,
}

/// What of a line of the audit matters here.
#[derive(Deserialize)]
struct Started {
    event: String,
    container: String,
    tenant: Option<String>,
    #[serde(default)]
    devices: BTreeSet<String>,
}

impl<'p> Trusted<'p> {
    /// By plans, and by the audits that only root can have written.
    pub(super) fn of(tree: &Tree, audits: &BTreeSet<String>, plans: &'p [Plan]) -> Self {
        let mut tenants: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for plan in plans.iter().filter(|plan| plan.trusted) {
            let devices = plan.lines.iter().flat_map(|line| &line.devices);
            tenants.entry(&plan.tenant).or_default().extend(devices.map(|device| device.uuid.as_str()));
        }
        let mut trusted = Self { tenants, containers: BTreeMap::new() };
        if !trusted.tenants.is_empty() {
            let texts = audits.iter().filter(|path| tree.wrong_hands(path).is_none());
            texts.filter_map(|path| tree.end(path)).for_each(|text| trusted.read(&text));
        }
        trusted
    }

    fn read(&mut self, text: &str) {
        for started in text.lines().filter_map(|line| serde_json::from_str::<Started>(line).ok()) {
            let is_trusted =
                started.tenant.as_deref().is_some_and(|tenant| self.tenants.contains_key(tenant));
            if is_trusted && started.event == "start" && started.container.len() >= SHORTEST {
                self.containers.entry(started.container).or_default().extend(started.devices);
            }
        }
    }

    /// A tenant whose containers may have a device so.
    pub(super) fn tenant(&self, device: &str) -> Option<&'p str> {
        self.tenants.iter().find(|(_, devices)| devices.contains(device)).map(|(tenant, _)| *tenant)
    }

    /// Whether a cgroup is that of such a container which got this device. Below `user.slice` users name cgroups.
    pub(super) fn has(&self, cgroup: &str, device: &str) -> bool {
        let id = |name: &str| {
            let scope = name.strip_suffix(".scope").and_then(|name| name.rsplit('-').next());
            self.containers.get(scope.unwrap_or(name)).is_some_and(|devices| devices.contains(device))
        };
        !cgroup.starts_with("/user.slice") && cgroup.split('/').any(id)
    }
}
