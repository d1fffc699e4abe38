//! Which grants and denies the tests of a policy show at work.
//!
//! A grant is covered when a container got devices by it. A deny is covered when a container of one of its tenants
//! named a device or a gpu-set that it takes away, and was denied. Only tests that passed count.

use std::collections::BTreeSet;

use gpupol_plan::choose::names_device;
use gpupol_plan::request::Devices;

use super::Outcome;
use super::test::{Run, Started};
use crate::policy::Policy;
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
            let denying = resolution.denies.iter().filter(|reach| is_denied_by(started, reach));
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
        && match &started.asked {
            Some(Devices::Named(names)) => names.iter().any(|name| takes(name)),
            Some(Devices::Lines(sets)) => reach.rule.gpu_sets.iter().any(|set| sets.contains_key(&set.value)),
            // Made-up containers ask so for a number of devices, as Docker does.
            Some(Devices::Default | Devices::Count(_) | Devices::Indices(_)) | None => false,
        }
}

/// Whether a name means a GPU or one of its MIG devices.
fn is_of(name: &str, gpu: &Gpu) -> bool {
    let index = gpu.index.to_string();
    names_device(name, &index, &gpu.uuid, Some(&gpu.pci))
        || gpu
            .mig_devices
            .iter()
            .any(|mig| names_device(name, &format!("{index}:{}", mig.index), &mig.uuid, None))
}
