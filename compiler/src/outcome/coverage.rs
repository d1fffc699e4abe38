//! Which grants and denies the tests of a policy show at work.
//!
//! A grant is covered when a container got devices by it. A deny of devices is covered when a container of one of its
//! tenants named a device or a gpu-set that it takes away, and was denied. A deny of capabilities or features is covered
//! when a container of one of its tenants asked for one that it takes out of a grant, and did not get it. Only tests that
//! passed count.

use std::collections::BTreeSet;

use gpupol_plan::capability::Capability;
use gpupol_plan::choose::names_device;
use gpupol_plan::request::{Capabilities, Devices};

use super::Outcome;
use super::test::{Run, Started};
use crate::policy::{Deny, Grant, Policy};
use crate::resolve::{Reach, Resolution};
use crate::source::Spanned;
use crate::topology::Gpu;

/// The rules of a policy, and which of them tests cover.
#[derive(Clone, Debug)]
pub struct Coverage<'p> {
    policy: &'p Policy,
    grants: BTreeSet<String>,
    denies: BTreeSet<String>,
}

/// A grant or a deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<'p> {
    /// Its node: `grant` or `deny`.
    pub kind: &'static str,
    /// Its name, where it is defined.
    pub name: &'p Spanned<String>,
    /// Whether a test covers it.
    pub covered: bool,
}

impl<'p> Coverage<'p> {
    /// No test has run yet.
    #[must_use]
    pub fn of(policy: &'p Policy) -> Self {
        Self { policy, grants: BTreeSet::new(), denies: BTreeSet::new() }
    }

    /// Takes a test into account that ran on the host of `resolution`.
    pub fn add(&mut self, run: &Run, resolution: &Resolution) {
        if !run.findings.is_empty() {
            return;
        }
        for started in &run.started {
            if let Outcome::Granted(gift) = &started.outcome {
                self.grants.insert(gift.grant.clone());
            }
            let takes = |reach: &&Reach| {
                is_denied_by(started, reach) || is_narrowed_by(started, reach.rule, self.policy)
            };
            let denying = resolution.denies.iter().filter(takes);
            self.denies.extend(denying.map(|reach| reach.rule.name.value.clone()));
        }
    }

    /// Every grant, then every deny, by their names.
    pub fn rules(&self) -> impl Iterator<Item = Rule<'p>> {
        let covered = |names: &BTreeSet<String>, name: &Spanned<String>| names.contains(&name.value);
        let grants = self.policy.grants.values().map(move |grant| &grant.name);
        let grants = grants.map(move |name| ("grant", name, covered(&self.grants, name)));
        let denies = self.policy.denies.values().map(move |deny| &deny.name);
        let denies = denies.map(move |name| ("deny", name, covered(&self.denies, name)));
        grants.chain(denies).map(|(kind, name, covered)| Rule { kind, name, covered })
    }
}

fn is_denied_by(started: &Started, reach: &Reach) -> bool {
    let Outcome::Denied { tenant: Some(tenant), .. } = &started.outcome else { return false };
    let takes = |name: &str| reach.gpus.values().any(|gpu| is_of(name, gpu));
    reach.rule.to.iter().any(|to| to.value == *tenant)
        && match started.asked.as_ref().map(|request| &request.devices) {
            Some(Devices::Named(names)) => names.iter().any(|name| takes(name)),
            Some(Devices::Lines(sets)) => reach.rule.gpu_sets.iter().any(|set| sets.contains_key(&set.value)),
            Some(Devices::Allocated(allocation)) => allocation.names.iter().any(|name| takes(name)),
            // Made-up containers ask so for a number of devices, as Docker does.
            Some(Devices::Default | Devices::Count(_) | Devices::Indices(_)) | None => false,
        }
}

/// Whether the container asked for a capability or a feature that the deny takes out of a grant of its tenant, and did
/// not get it.
fn is_narrowed_by(started: &Started, deny: &Deny, policy: &Policy) -> bool {
    let (tenant, by, capabilities) = match &started.outcome {
        Outcome::NotAsked | Outcome::Denied { tenant: None, .. } => return false,
        Outcome::Denied { tenant: Some(tenant), .. } => (tenant, None, None),
        Outcome::Granted(gift) => (&gift.tenant, Some(&gift.grant), Some(&gift.capabilities)),
    };
    let Some(asked) = started.asked.as_ref().filter(|_| deny.names(tenant)) else { return false };
    let wants = |capability: &Capability| match &asked.capabilities {
        Capabilities::Named(named) => named.contains(capability),
        Capabilities::All => true,
    };
    let has = |capability: &Capability| capabilities.is_some_and(|has| has.contains(capability));
    let applied = |grant: &&Grant| match by {
        Some(name) => grant.name.value == *name,
        None => grant.to.iter().any(|to| to.value == *tenant),
    };
    policy.grants.values().filter(applied).any(|grant| {
        let taken = |capability: &&Capability| grant.capabilities.contains(capability);
        let mut features = grant.features.iter().flat_map(|features| &features.value);
        deny.capabilities.iter().filter(taken).any(|one| wants(one) && !has(one))
            || features.any(|own| deny.takes(*own) && asked.features.iter().any(|asked| asked.covers(*own)))
    })
}

/// Whether a name means a GPU or one of its MIG devices.
fn is_of(name: &str, gpu: &Gpu) -> bool {
    let index = gpu.index.to_string();
    let whole = gpu.pci.known().filter(|_| gpu.partition_number().is_none());
    names_device(name, &index, &gpu.uuid, whole.map(String::as_str))
        || gpu
            .mig_devices
            .iter()
            .any(|mig| names_device(name, &format!("{index}:{}", mig.index), &mig.uuid, None))
}
