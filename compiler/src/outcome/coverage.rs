//! Which grants and denies the tests of a policy show at work.
//!
//! A grant is covered when a container got devices by it. A deny of devices is covered when a container of one of its
//! tenants named a device or a gpu-set that it takes away, and was denied. A deny of capabilities or features is covered
//! when a container of one of its tenants asked for one that it takes out of a grant, and did not get it. Only tests that
//! passed count.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::capability::Capability;
use gpupol_plan::choose::names_device;
use gpupol_plan::request::{Capabilities, Devices, Request};

use super::Outcome;
use super::test::{Run, Started};
use crate::policy::Policy;
use crate::policy::rights::Rights;
use crate::resolve::{Reach, Resolution};
use crate::source::Spanned;
use crate::topology::Gpu;

/// The rules of a policy, and which of them tests cover.
#[derive(Clone, Debug)]
pub struct Coverage<'p> {
    policy: &'p Policy,
    /// What all grants of each tenant say together.
    rights: BTreeMap<&'p str, Rights>,
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
        let mut rights: BTreeMap<&str, Rights> = BTreeMap::new();
        for grant in policy.grants.values() {
            grant.to.iter().for_each(|to| rights.entry(&to.value).or_default().add(grant));
        }
        Self { policy, rights, grants: BTreeSet::new(), denies: BTreeSet::new() }
    }

    /// Takes tests into account that ran on the host of `resolution`.
    pub fn add<'r>(&mut self, runs: impl IntoIterator<Item = &'r Run>, resolution: &Resolution) {
        let denies = resolution.denies.iter();
        let mut open = Open::of(denies.filter(|reach| !self.denies.contains(&reach.rule.name.value)));
        let passed = runs.into_iter().filter(|run| run.findings.is_empty());
        for started in passed.flat_map(|run| &run.started) {
            if let Outcome::Granted(gift) = &started.outcome {
                self.grants.insert(gift.grant.clone());
            }
            if let Some(missed) = self.missed(started) {
                self.denies.extend(open.covered(&missed));
            }
        }
    }

    /// What a container asked for and did not get; nothing if it is of no tenant or asked for nothing.
    fn missed<'s>(&self, started: &'s Started) -> Option<Missed<'s>> {
        let request = started.asked.as_ref()?;
        let none = BTreeSet::new();
        let (tenant, devices, rights, had) = match &started.outcome {
            Outcome::NotAsked | Outcome::Denied { tenant: None, .. } => return None,
            Outcome::Denied { tenant: Some(tenant), .. } => {
                let rights = self.rights.get(tenant.as_str()).cloned();
                (tenant, Some(&request.devices), rights, &none)
            }
            Outcome::Granted(gift) => {
                let rights = self.policy.grants.get(&gift.grant).map(Rights::of);
                (&gift.tenant, None, rights, &gift.capabilities)
            }
        };
        let mut rights = rights.unwrap_or_default();
        rights.capabilities.retain(|one| wants(request, *one) && !had.contains(one));
        rights.features.retain(|own| request.features.iter().any(|asked| asked.covers(*own)));
        Some(Missed { tenant, devices, rights })
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

/// What a container asked for and did not get.
struct Missed<'s> {
    tenant: &'s str,
    /// The devices that it asked for, if it was denied.
    devices: Option<&'s Devices>,
    /// What grants have of it: all of its tenant if it was denied, else its own.
    rights: Rights,
}

impl Missed<'_> {
    /// The names of devices that it asked for.
    fn names(&self) -> &[String] {
        match self.devices {
            Some(Devices::Named(names)) => names,
            Some(Devices::Allocated(allocation)) => &allocation.names,
            // Made-up containers ask so for a number of devices, as Docker does.
            Some(Devices::Default | Devices::Count(_) | Devices::Indices(_)) => &[],
            Some(Devices::Lines(_)) | None => &[],
        }
    }

    /// Whether a deny of its tenant takes any of it away; `named` are the GPUs whose names it asked for.
    fn is_taken_by(&self, reach: &Reach, named: &BTreeSet<u32>) -> bool {
        let Reach { rule: deny, gpus } = reach;
        let is_asked = |set: &Spanned<String>| match self.devices {
            Some(Devices::Lines(sets)) => sets.contains_key(&set.value),
            _ => false,
        };
        named.iter().any(|index| gpus.contains_key(index))
            || deny.gpu_sets.iter().any(is_asked)
            || !deny.capabilities.is_disjoint(&self.rights.capabilities)
            || self.rights.features.iter().any(|own| deny.takes(*own))
    }
}

/// The denies of a host that no test covers yet.
struct Open<'h> {
    by_tenant: BTreeMap<&'h str, Vec<&'h Reach<'h>>>,
    /// What any of them takes away, by index.
    gpus: BTreeMap<u32, &'h Gpu>,
}

impl<'h> Open<'h> {
    fn of(denies: impl Iterator<Item = &'h Reach<'h>>) -> Self {
        let mut open = Self { by_tenant: BTreeMap::new(), gpus: BTreeMap::new() };
        for reach in denies {
            open.gpus.extend(&reach.gpus);
            for to in &reach.rule.to {
                open.by_tenant.entry(&to.value).or_default().push(reach);
            }
        }
        open
    }

    /// The names of those that this covers, which are not open any more.
    fn covered(&mut self, missed: &Missed) -> Vec<String> {
        let Some(denies) = self.by_tenant.get_mut(missed.tenant) else { return Vec::new() };
        let is_named = |gpu: &Gpu| missed.names().iter().any(|name| is_of(name, gpu));
        let named = self.gpus.iter().filter(|(_, gpu)| is_named(gpu)).map(|(index, _)| *index).collect();
        let taking = denies.extract_if(.., |reach| missed.is_taken_by(reach, &named));
        taking.map(|reach| reach.rule.name.value.clone()).collect()
    }
}

fn wants(request: &Request, capability: Capability) -> bool {
    match &request.capabilities {
        Capabilities::Named(named) => named.contains(&capability),
        Capabilities::All => true,
    }
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
