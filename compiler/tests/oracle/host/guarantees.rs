//! Guarantees: whether all can be kept, which smallest group wants too much if not, and what is kept for whom.

use std::collections::BTreeMap;

use gpupol::diag::{Code, Finding};

use super::Case;
use super::world::{Demand, Key, Keys, TENANTS};
use crate::text::quoted;

/// Whether each of these can have as many devices of its own as it wants: every assignment is tried.
fn can_be_served(wants: &[(usize, &Keys)], free: &Keys) -> bool {
    let Some(((wanted, devices), rest)) = wants.split_first() else { return true };
    if *wanted == 0 {
        return can_be_served(rest, free);
    }
    let choices = devices.intersection(free).copied().collect::<Vec<_>>();
    choices.into_iter().any(|key| {
        let mut left = free.clone();
        left.remove(&key);
        // In ascending order, so that no choice is made twice.
        let later: Keys = devices.iter().copied().filter(|other| *other > key).collect();
        let mut wants = vec![(wanted - 1, &later)];
        wants.extend_from_slice(rest);
        can_be_served(&wants, &left)
    })
}

fn served(demands: &[Demand], group: &[usize]) -> bool {
    let wants: Vec<(usize, &Keys)> = group.iter().map(|at| (demands[*at].1, &demands[*at].3)).collect();
    can_be_served(&wants, &wants.iter().flat_map(|(_, keys)| keys.iter().copied()).collect())
}

/// The demands that a finding names, by their numbers.
fn blamed_by(finding: &Finding, demands: &[Demand]) -> Vec<usize> {
    let names = quoted(&finding.message);
    let number = |pair: &[&str]| {
        let is = |demand: &Demand| TENANTS[demand.0] == pair[0] && format!("s{}", demand.2) == pair[1];
        demands.iter().position(is).unwrap()
    };
    names[..names.len() - 1].chunks(2).map(number).collect()
}

/// What a finding says of its group: how many devices they want, how many may serve them, and which.
fn counted(finding: &Finding, group: &[usize], demands: &[Demand]) -> Result<(), String> {
    let wanted: usize = group.iter().map(|at| demands[*at].1).sum();
    let keys: Keys = group.iter().flat_map(|at| demands[*at].3.clone()).collect();
    let noun = if wanted == 1 { "device" } else { "devices" };
    let says = format!(" cannot be guaranteed {wanted} {noun} of ");
    let has = format!(" {}", keys.len());
    let index = |(gpu, mig): &Key| mig.map_or(gpu.to_string(), |mig| format!("{gpu}:{mig}"));
    let list: Vec<String> = keys.iter().map(index).collect();
    let witness =
        if list.is_empty() { "no device".to_owned() } else { format!("devices {}", list.join(", ")) };
    let right = finding.message.contains(&says) && finding.message.ends_with(&has);
    if right && finding.witness.as_ref() == Some(&witness) {
        return Ok(());
    }
    Err(format!("{finding:?} should say {wanted} of {keys:?}"))
}

/// Whether of all that compete one of the groups that are blamed is as small as any that cannot be served: every group is tried.
fn fewest(demands: &[Demand], blamed: &[Vec<usize>]) -> Result<(), String> {
    for rivals in competing(demands) {
        let groups = (1..1_u32 << rivals.len()).map(|mask| {
            let picked = rivals.iter().enumerate().filter(|(bit, _)| mask & 1 << bit != 0);
            picked.map(|(_, at)| *at).collect::<Vec<usize>>()
        });
        let least = groups.filter(|group| !served(demands, group)).map(|group| group.len()).min();
        let of_these = blamed.iter().filter(|group| group.iter().any(|at| rivals.contains(at)));
        if of_these.map(Vec::len).min() != least {
            return Err(format!("{blamed:?} are blamed, and of {rivals:?} there are groups of {least:?}"));
        }
    }
    Ok(())
}

/// The demands in groups of such as have devices in common, directly or by others.
fn competing(demands: &[Demand]) -> Vec<Vec<usize>> {
    let mut groups: Vec<(Vec<usize>, Keys)> = Vec::new();
    for (at, demand) in demands.iter().enumerate() {
        let (with, mut apart): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|(_, keys)| !keys.is_disjoint(&demand.3));
        let mut own = (vec![at], demand.3.clone());
        for (demands, keys) in with {
            own.0.extend(demands);
            own.1.extend(keys);
        }
        apart.push(own);
        groups = apart;
    }
    groups.into_iter().map(|(demands, _)| demands).collect()
}

impl Case<'_> {
    pub(super) fn guarantees(&self) -> Result<(), String> {
        let demands = self.world.demands();
        let all: Vec<usize> = (0..demands.len()).collect();
        if served(&demands, &all) != self.of(Code::GuaranteeImpossible).next().is_none() {
            let so = served(&demands, &all);
            return Err(format!("guarantees can be kept: {so}, and is said otherwise"));
        }
        let mut blamed = Vec::new();
        for finding in self.of(Code::GuaranteeImpossible) {
            let group = blamed_by(finding, &demands);
            let spare = group.iter().find(|out| {
                !served(&demands, &group.iter().copied().filter(|at| at != *out).collect::<Vec<_>>())
            });
            if served(&demands, &group) || spare.is_some() {
                return Err(format!("{group:?} is no smallest group that cannot be served"));
            }
            counted(finding, &group, &demands)?;
            blamed.push(group);
        }
        fewest(&demands, &blamed)
    }

    /// What is kept for each tenant, judged by what it must suffice for.
    pub(super) fn reserved(&self) -> Result<BTreeMap<Key, usize>, String> {
        let mut owners: BTreeMap<Key, usize> = BTreeMap::new();
        for grant in &self.resolution.grants {
            let tenant = TENANTS.iter().position(|name| *name == grant.tenant).unwrap();
            for device in grant.devices().filter(|device| grant.reserved.contains(device.uuid())) {
                if owners.insert(device.key(), tenant).is_some_and(|other| other != tenant) {
                    return Err(format!("{:?} is kept for two", device.key()));
                }
            }
        }
        if self.of(Code::GuaranteeImpossible).next().is_none() {
            for (tenant, name) in TENANTS.iter().enumerate() {
                let own: Keys =
                    owners.iter().filter(|(_, owner)| **owner == tenant).map(|(key, _)| *key).collect();
                let demands = self.world.demands();
                let wants: Vec<(usize, &Keys)> = demands
                    .iter()
                    .filter(|demand| demand.0 == tenant)
                    .map(|demand| (demand.1, &demand.3))
                    .collect();
                let wanted: usize = wants.iter().map(|(wanted, _)| wanted).sum();
                if !can_be_served(&wants, &own) || own.len() != wanted {
                    return Err(format!("{own:?} is kept for {name}"));
                }
            }
        }
        Ok(owners)
    }
}
