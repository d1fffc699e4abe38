//! Whether every amount that a grant allows can be had while nobody else holds anything, as the hook would choose.

use std::collections::{BTreeMap, BTreeSet};

use gpupol_plan::capability::Capability;
use gpupol_plan::refusal::Refusal;

use super::{Judge, diags};
use crate::diag::Finding;
use crate::resolve::{Device, Grant, Key, Line};
use crate::source::Spanned;

/// More amounts than this of one grant are not tried one by one.
const MOST_AMOUNTS: usize = 4096;

/// How many of each line, in the order of the lines.
type Amounts = Vec<usize>;

/// Devices and slots of one line.
type Share<'g> = (Vec<Key>, Option<&'g [Vec<u32>]>);

/// What one tenant has by a grant.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Had<'g> {
    trusted: bool,
    /// If it is less than the lines allow together.
    limit: Option<usize>,
    capabilities: &'g BTreeSet<Capability>,
    /// Of each line, and how many it allows.
    lines: Vec<(Share<'g>, usize)>,
}

impl<'a> Judge<'a> {
    /// Whether the host has any device of the grant's gpu-sets, whoever has it.
    pub(super) fn has_devices_of(&self, grant: &str) -> bool {
        let lines = self.policy.grants.get(grant).into_iter().flat_map(|grant| &grant.lines);
        let mut extents = lines.filter_map(|line| self.resolution.extents.get(line.gpu_set.value.as_str()));
        extents.any(|extent| !extent.grantable.is_empty())
    }

    pub(super) fn always_satisfiable(&self, name: &Spanned<String>, most: usize) -> Vec<Finding> {
        if !self.has_devices_of(&name.value) {
            return Vec::new();
        }
        let mut findings = Vec::new();
        for grant in self.receivers(&name.value) {
            // Hundreds of tenants may have the same by it, and by other grants.
            if self.satisfied.borrow().contains(&self.had(grant)) {
                continue;
            }
            match self.unsatisfied(name, grant) {
                Some(finding) => findings.push(finding),
                None => _ = self.satisfied.borrow_mut().insert(self.had(grant)),
            }
            if findings.len() == most {
                break;
            }
        }
        findings
    }

    /// What each tenant has by a grant, by tenant.
    fn receivers(&self, grant: &str) -> Vec<&'a Grant<'a>> {
        let to = self.policy.grants.get(grant).into_iter().flat_map(|grant| &grant.to);
        let tenants: BTreeSet<&str> = to.map(|tenant| tenant.value.as_str()).collect();
        let by = |tenant| {
            let own: &'a [Grant<'a>] = self.resolution.of(tenant);
            let at = own.partition_point(|own| own.rule.name.value.as_str() < grant);
            own.get(at).filter(|own| own.rule.name.value == grant)
        };
        tenants.into_iter().filter_map(by).collect()
    }

    /// All that decides which amounts of a grant can be had.
    fn had(&self, grant: &'a Grant<'a>) -> Had<'a> {
        let tenant = self.policy.tenants.get(grant.tenant);
        let limit = tenant.and_then(|tenant| tenant.limit.as_ref()).map(|limit| limit.value);
        let together: usize = grant.lines.iter().map(most).sum();
        let share = |line: &'a Line<'a>| {
            ((line.devices.iter().map(Device::key).collect(), line.slots.as_deref()), most(line))
        };
        Had {
            trusted: self.policy.is_trusted(grant.tenant),
            limit: limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit < together),
            capabilities: &grant.capabilities,
            lines: grant.lines.iter().map(share).collect(),
        }
    }

    fn unsatisfied(&self, name: &Spanned<String>, grant: &Grant) -> Option<Finding> {
        let most: Amounts = grant.lines.iter().map(most).collect();
        let tried = match all(&most).filter(|all| all.len() <= self.tried.get()) {
            Some(all) => all,
            // Whoever can have the most can have less: a part of a choice is a choice.
            None if are_apart(grant) => vec![most],
            None => return Some(diags::too_many_amounts(name, grant, MOST_AMOUNTS, self.host)),
        };
        self.tried.set(self.tried.get().saturating_sub(tried.len()));
        let refused = |amounts: Amounts| Some((self.refusal(grant, &amounts)?, amounts));
        let (refusal, amounts) = tried.into_iter().find_map(refused)?;
        Some(diags::unsatisfied(name, grant, &amounts, &refusal, self))
    }

    /// Why so many cannot be had; nothing if they can.
    fn refusal(&self, grant: &Grant, amounts: &Amounts) -> Option<Refusal> {
        let mut asked = BTreeMap::new();
        for (line, amount) in grant.lines.iter().zip(amounts) {
            asked.insert(line.rule.gpu_set.value.clone(), u32::try_from(*amount).unwrap_or(u32::MAX));
        }
        self.plans.can_have(grant.tenant, &grant.rule.name.value, asked).err()
    }
}

/// How many the line allows; one more than it has stands for all that are more.
fn most(line: &Line) -> usize {
    let devices = line.devices.len();
    let amount = line.rule.at_most.of(devices).max(line.rule.default.of(devices));
    usize::try_from(amount).unwrap_or(usize::MAX).min(devices + 1)
}

/// Every way to ask for something, the fewest devices first; nothing if these are too many.
fn all(most: &Amounts) -> Option<Vec<Amounts>> {
    let mut all: Vec<Amounts> = vec![Vec::new()];
    for most in most {
        if all.len().saturating_mul(most + 1) > MOST_AMOUNTS {
            return None;
        }
        let with = |amounts: &Amounts| {
            let amounts = amounts.clone();
            (0..=*most).map(move |amount| [amounts.as_slice(), &[amount]].concat())
        };
        all = all.iter().flat_map(with).collect();
    }
    all.retain(|amounts| amounts.iter().any(|amount| *amount > 0));
    all.sort_by_key(|amounts| amounts.iter().sum::<usize>());
    Some(all)
}

/// Whether no device is in two lines, so that what is taken from one leaves the others as they are.
fn are_apart(grant: &Grant) -> bool {
    let keys: Vec<Key> = grant.devices().map(|device| device.key()).collect();
    keys.iter().collect::<BTreeSet<_>>().len() == keys.len()
}
